"""Networks with rectifiers become networks of the event engine."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_float_graph import small_graph
from tiny_yolox import draw_scene, make_tiny
from video_writer import write_video

from regionmask_ros.commands.model import main
from regionmask_ros.core.frame import Frame
from regionmask_ros.engine.branched.operators import Enlarge
from regionmask_ros.errors import UserError
from regionmask_ros.importing.branching import check_branching, make_branched, measure_sizes
from regionmask_ros.importing.lowering.lowering import lower_network
from regionmask_ros.importing.opening import open_network
from regionmask_ros.lab.distillation.grids import GRIDS, LAVA64, POW2, round_weight
from regionmask_ros.metrics.dense_reference import dense_heads, encode_exactly
from regionmask_ros.network.branched import BranchedNetwork
from regionmask_ros.network.cards import store_network
from regionmask_ros.network.graph import Graph, Node
from regionmask_ros.pipeline.pipeline import Pipeline
from regionmask_ros.pipeline.settings import PipelineSettings
from regionmask_ros.tiles.evaluation import evaluate_graph
from regionmask_ros.tiles.operators.convolution import Convolution

INPUT_WH = (160, 96)


def on_grid(lowered, grid: str):
    """The same network with weights on a grid."""
    nodes = [Node(node.name, node.operator, node.inputs,
                  {**node.parameters, "weight": round_weight(node.parameters["weight"], grid)})
             if isinstance(node.operator, Convolution) else node for node in lowered.graph.nodes]
    graph = lowered.graph
    return replace(lowered, graph=Graph(graph.input, graph.channels, tuple(nodes), graph.outputs))


def scenes(count: int) -> list[np.ndarray]:
    return [draw_scene(seed, *INPUT_WH)[0] for seed in range(count)]


@pytest.fixture(scope="module")
def relu():
    network = make_tiny("tiny", "relu")
    return network, lower_network(network)


@pytest.mark.parametrize("grid", [POW2, LAVA64])
def test_weights_of_a_grid_stay_what_they_are(relu, grid):
    network, lowered = relu[0], on_grid(relu[1], grid)
    assert grid in GRIDS
    made = make_branched(network, lowered, measure_sizes(lowered, scenes(2)), "events", 0.01, {})
    layers = {layer.name: layer for layer in made.layers}
    for node in lowered.graph.nodes:
        if not isinstance(node.operator, Convolution):
            continue
        layer = layers[node.name]
        real, kept = layer.real_weight.transpose(0, 2, 3, 1), node.parameters["weight"]
        factor = np.abs(real).max() / np.abs(kept).max()
        assert np.log2(factor) == round(np.log2(factor)), "a power of two, the gain"
        np.testing.assert_array_equal(real, kept * factor)
        assert np.abs(layer.weight).max() <= 127 and layer.groups == node.operator.groups


def real_heads(made: BranchedNetwork, heads) -> dict[str, np.ndarray]:
    """Values of the heads as the float graph has them, before the sigmoid."""
    parts = {part.name: part for part in made.head.parts}
    exponents = {layer.name: layer.exponent for layer in made.layers}
    return {name: head * 2.0 ** (10 + exponents[name] - parts[name].scale) + parts[name].bias
            for name, head in zip(made.graph.outputs, heads, strict=True)}


def test_the_dense_integers_are_close_to_the_float_network(relu):
    network, lowered = relu[0], on_grid(relu[1], POW2)
    made = make_branched(network, lowered, measure_sizes(lowered, scenes(4)), "events", 0.01, {})
    picture = scenes(6)[-1]
    found = real_heads(made, dense_heads(made, encode_exactly(made, picture)))
    expected = evaluate_graph(lowered.graph, lowered.pixels.dequantize(picture))
    for name, head in found.items():
        wanted = expected[name]
        if name in {part.name for part in made.head.parts if part.is_score}:
            wanted = np.log(wanted / (1 - wanted))
        assert np.sqrt(np.mean(np.square(head - wanted))) < 0.06 * max(1.0, np.sqrt(np.mean(np.square(wanted))))


def test_events_come_close_to_the_dense_integers(relu):
    """With small thresholds, after each of some frames, whatever came before."""
    network, lowered = relu
    made = make_branched(network, lowered, measure_sizes(lowered, scenes(4)), "events", 0.003, {})
    pipeline = Pipeline(made, PipelineSettings(input_size=INPUT_WH))
    assert any(isinstance(node.operator, Enlarge) for node in made.nodes)
    for number, picture in enumerate(scenes(6)):
        (result,) = pipeline.process(Frame(picture, "rgb", number + 1, "camera"))
        exponents = {layer.name: layer.exponent for layer in made.layers}
        sums = [sigma / 2.0 ** (10 + exponents[name]) for name, sigma in zip(made.graph.outputs, result.head)]
        found, exact = (real_heads(made, heads) for heads in (sums, dense_heads(made, encode_exactly(made, picture))))
        for name, head in found.items():
            size = np.sqrt(np.mean(np.square(exact[name] - np.mean(exact[name]))))
            assert np.sqrt(np.mean(np.square(head - exact[name]))) < 0.25 * size


def test_networks_without_rectifiers_are_refused_by_node():
    network = make_tiny("tiny", "silu")
    with pytest.raises(UserError, match="tiny: node down2.*SILU, which the event engine lacks"):
        check_branching(network, lower_network(network))


def test_other_operators_are_refused_by_node(relu):
    network, lowered = relu
    with pytest.raises(UserError, match="node focus: SpaceToDepth, which the event engine lacks"):
        check_branching(network, replace(lowered, graph=small_graph()))


def test_the_command_makes_a_network_that_all_commands_run(relu, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    video = tmp_path / "scene.mp4"
    write_video(video, [np.ascontiguousarray(picture[..., ::-1]) for picture in scenes(24)], 10.0)
    store_network(relu[0])
    assert main(["events", "tiny", "--calibrate", str(video)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("tiny-events installed") and "event engine: thresholds of" in out
    made = open_network("tiny-events")
    assert isinstance(made, BranchedNetwork) and made.labels == relu[0].labels
    assert main(["inspect", "tiny-events"]) == 0
    assert "(concatenation)" in capsys.readouterr().out
    assert main(["list"]) == 0
    assert "tiny-events" in capsys.readouterr().out
    assert main(["events", "tiny-events"]) == 2
    assert "a sigma-delta network already" in capsys.readouterr().err
