"""ONNX graphs become graphs of the tile engine that compute the same, or are refused in one line."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("onnx", reason="onnx is missing: `make runtimes` brings it")
pytest.importorskip("onnxruntime", reason="onnxruntime is missing: `make runtimes` brings it")

from dense_networks import dense_network
from detector_graphs import GraphMaker
from lowered_networks import assert_lowered_equals_dense, run_lowered
from onnx_blocks import BLOCKS, Block, conv, convolve, scalar

from regionmask_ros.importing.lowering.lowering import Lowered, lower_network
from regionmask_ros.importing.lowering.values import CannotLower
from regionmask_ros.importing.picture import draw_scene
from regionmask_ros.network.dense import DenseNetwork, Preprocessing
from regionmask_ros.tiles.operators.activations import Kind
from regionmask_ros.tiles.operators.convolution import Convolution
from regionmask_ros.tiles.operators.routing import ChannelSelect, SpaceToDepth
from regionmask_ros.tiles.tail import Tail

FREE = [1, 3, "height", "width"]
UNIT, BGR = Preprocessing(deviation=(255.0,) * 3), Preprocessing("bgr", (103.5, 116.3, 123.7), (57.0, 58.0, 59.0))


def network_of(*blocks: Block, preprocessing: Preprocessing = UNIT, opset: int = 13) -> DenseNetwork:
    """A network of blocks, one after the other."""
    make = GraphMaker((64, 64))
    data, channels = "images", 3
    for block in blocks:
        data, channels = block(make, data, channels)
    return finish(make, data, preprocessing=preprocessing, opset=opset)


def finish(make: GraphMaker, *outputs: str, preprocessing: Preprocessing = UNIT, opset: int = 13) -> DenseNetwork:
    model = make.model(outputs, FREE, opset)
    return dense_network(model.SerializeToString(), outputs, preprocessing)


def refusal(network: DenseNetwork) -> str:
    with pytest.raises(CannotLower) as caught:
        lower_network(network)
    line = str(caught.value)
    assert "\n" not in line
    return line


def operators(lowered: Lowered) -> list[str]:
    return [type(node.operator).__name__ for node in lowered.graph.nodes]


@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_between_convolutions_computes_the_same(name: str) -> None:
    network = network_of(conv(4, 3, 3, strides=[2, 2], pads=[1] * 4), BLOCKS[name], conv(4, 1, 1))
    assert_lowered_equals_dense(network, (64, 32), (96, 64))


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(sorted(BLOCKS)), min_size=1, max_size=5), st.sampled_from([UNIT, BGR]))
def test_any_chain_of_blocks_computes_the_same(names: list[str], preprocessing: Preprocessing) -> None:
    # A convolution keeps values near 1, channels few, and the stride above 1.
    first, between = conv(5, 4, 4, strides=[4, 4]), conv(5, 1, 1)
    parts = [part for name in names for part in (BLOCKS[name], between)]
    network = network_of(first, *parts, preprocessing=preprocessing)
    try:
        lower_network(network)
    except CannotLower as error:
        reasons = ("stride", "window", "blocks of 2x2", "depends on the size", "reshape", "must match", "in front of")
        assert any(reason in str(error) for reason in reasons)
        return
    assert_lowered_equals_dense(network, (128, 64), tolerance=3e-4)


@pytest.mark.parametrize(("name", "kind"), [
    ("relu", Kind.RELU), ("relu6", Kind.RELU6), ("relu6 by minimum", Kind.RELU6), ("clip without end", Kind.RELU),
    ("leaky relu", Kind.LEAKY_RELU), ("leaky by maximum", Kind.LEAKY_RELU), ("sigmoid", Kind.SIGMOID),
    ("swish", Kind.SILU), ("swish by exponential", Kind.SILU), ("hard sigmoid", Kind.HARD_SIGMOID),
    ("hard swish", Kind.HARD_SWISH), ("hard swish by sigmoid", Kind.HARD_SWISH)])
def test_activations_become_part_of_the_convolution_before(name: str, kind: Kind) -> None:
    lowered = lower_network(network_of(conv(4, 1, 1), BLOCKS["batch normalization"], BLOCKS[name], conv(4, 1, 1)))
    found = [node.operator for node in lowered.graph.nodes if isinstance(node.operator, Convolution)]
    assert len(found) == len(lowered.graph.nodes)
    assert [operator.activation.kind for operator in found] == [kind, Kind.NONE]


def test_factors_and_orders_of_channels_become_part_of_the_convolution_behind() -> None:
    blocks = [BLOCKS[name] for name in ("factor", "relu", "quotient", "reversed channels")]
    lowered = lower_network(network_of(conv(4, 1, 1), *blocks, conv(4, 3, 3, pads=[1] * 4), preprocessing=BGR))
    assert operators(lowered) == ["Convolution", "Convolution"]


@pytest.mark.parametrize("name", ["focus", "focus, other order", "space to depth"])
def test_a_focus_is_one_node(name: str) -> None:
    lowered = lower_network(network_of(BLOCKS[name], conv(4, 1, 1)))
    assert operators(lowered) == ["SpaceToDepth", "Convolution"]
    assert isinstance(lowered.graph.nodes[0].operator, SpaceToDepth)


def test_a_split_of_a_joint_reads_the_parts() -> None:
    make = GraphMaker((64, 64))
    parts = [make.node("Relu", convolve(make, "images", 3, 4, (1, 1))) for _ in range(2)]
    first, second = make.node("Split", make.node("Concat", *parts, axis=1), make.integers(4, 4), axis=1, outputs=2)
    outputs = [convolve(make, data, 4, 4, (1, 1)) for data in (first, second)]
    lowered = assert_lowered_equals_dense(finish(make, *outputs), (64, 64))
    assert operators(lowered) == ["Convolution"] * 4


def test_a_shuffle_and_a_split_are_selections_of_channels() -> None:
    lowered = lower_network(network_of(conv(4, 1, 1), BLOCKS["shuffle"], BLOCKS["first channels"], conv(4, 1, 1)))
    selections = [node.operator.channels for node in lowered.graph.nodes if isinstance(node.operator, ChannelSelect)]
    assert selections == [(0, 4)]


def test_normalization_in_the_graph_says_what_bytes_stand_for() -> None:
    def normalized(make: GraphMaker, data: str, channels: int) -> tuple[str, int]:
        mean = make.weight(np.array([0.485, 0.456, 0.406], np.float32).reshape(1, 3, 1, 1))
        deviation = make.weight(np.array([0.229, 0.224, 0.225], np.float32).reshape(1, 3, 1, 1))
        return make.node("Div", make.node("Sub", data, mean), deviation), channels

    network = network_of(normalized, conv(4, 3, 3, pads=[1] * 4))
    lowered = assert_lowered_equals_dense(network, (64, 32))
    assert operators(lowered) == ["Convolution"]
    np.testing.assert_array_equal(lowered.pixels.zero, [124, 116, 104])
    np.testing.assert_allclose(lowered.pixels.step, 1 / (255 * np.array([0.229, 0.224, 0.225])), rtol=1e-5)


def test_bytes_are_in_the_order_of_the_picture_for_a_network_that_wants_bgr() -> None:
    lowered = lower_network(network_of(conv(4, 3, 3), preprocessing=BGR))
    np.testing.assert_array_equal(lowered.pixels.zero, [124, 116, 104])
    np.testing.assert_allclose(lowered.pixels.step, 1 / np.array([59.0, 58.0, 57.0]), rtol=1e-6)


def test_a_tensor_that_both_the_body_and_the_tail_read_is_computed_for_both() -> None:
    make = GraphMaker((64, 64))
    shared = convolve(make, "images", 3, 4, (1, 1))
    activated = make.node("Relu", shared)
    deeper = convolve(make, activated, 4, 4, (1, 1))
    rows = make.node("Reshape", activated, make.integers(1, 4, -1))
    lowered = assert_lowered_equals_dense(finish(make, rows, deeper, shared), (64, 32))
    heads = [lowered.graph.node(name).operator for name in lowered.tail.heads]
    assert all(isinstance(operator, Convolution) and operator.is_head for operator in heads)


def test_channels_of_a_convolution_that_go_separate_ways_are_heads_of_their_own() -> None:
    make = GraphMaker((64, 64))
    whole = convolve(make, "images", 3, 10, (1, 1))
    scores, boxes = make.node("Split", whole, make.integers(6, 4), axis=1, outputs=2)
    lowered = assert_lowered_equals_dense(finish(make, make.node("Sigmoid", scores), boxes), (64, 32))
    kinds = {lowered.graph.shapes((32, 32))[name][2]: lowered.graph.node(name).operator.activation.kind
             for name in lowered.tail.heads}
    assert kinds == {6: Kind.SIGMOID, 4: Kind.NONE}


def test_a_sigmoid_behind_a_change_of_layout_becomes_part_of_the_head() -> None:
    make = GraphMaker((64, 64))
    head = make.node("Transpose", make.node("Reshape", convolve(make, "images", 3, 6, (1, 1)),
                                            make.integers(1, 2, 3, -1)), perm=[0, 1, 3, 2])
    scores = make.node("Sigmoid", head)
    lowered = assert_lowered_equals_dense(finish(make, make.node("Mul", scores, scalar(make, 2))), (64, 32))
    assert lowered.graph.node(lowered.tail.heads[0]).operator.activation.kind is Kind.SIGMOID
    assert "Sigmoid" not in [step.operator for step in lowered.tail.steps]


def test_a_sigmoid_stays_in_the_tail_where_its_channels_have_another_reader() -> None:
    make = GraphMaker((64, 64))
    flat = make.node("Reshape", convolve(make, "images", 3, 6, (1, 1)), make.integers(1, 6, -1))
    lowered = assert_lowered_equals_dense(finish(make, make.node("Sigmoid", flat), make.node("Exp", flat)), (64, 32))
    assert lowered.graph.node(lowered.tail.heads[0]).operator.activation.kind is Kind.NONE


def test_rows_of_heads_need_no_computation() -> None:
    make = GraphMaker((64, 64))
    levels = []
    for stride in (8, 16):
        data = make.node("Relu", convolve(make, "images", 3, 4, (stride, stride), strides=[stride] * 2))
        parts = [convolve(make, data, 4, count, (1, 1)) for count in (4, 2)]
        level = make.node("Reshape", make.node("Concat", *parts, axis=1), make.integers(1, 6, -1))
        levels.append(level)
    output = make.node("Transpose", make.node("Concat", *levels, axis=2), perm=[0, 2, 1])
    lowered = assert_lowered_equals_dense(finish(make, output), (64, 32))
    layout = lowered.tail.rows[output]
    shapes = lowered.graph.shapes((64, 32))
    assert [[shapes[name] for name in level] for level in layout.levels] == [
        [(4, 8, 4), (4, 8, 2)], [(2, 4, 4), (2, 4, 2)]]
    assert lowered.tail.prepare(shapes, (64, 32), placed=(output,)).outputs == ()


def test_a_tail_is_plain_data() -> None:
    network = network_of(conv(4, 1, 1), BLOCKS["joint"], lambda make, data, channels: (
        make.node("Softmax", make.node("Reshape", data, make.integers(1, 2, 4, -1)), axis=2), channels))
    lowered = lower_network(network)
    text = json.dumps(lowered.tail.to_plain())
    again = Lowered(lowered.graph, Tail.from_plain(json.loads(text), lowered.tail.arrays), lowered.pixels)
    image = draw_scene((64, 32))
    for name, array in run_lowered(lowered, image).items():
        np.testing.assert_array_equal(array, run_lowered(again, image)[name])


@pytest.mark.parametrize("damage", [
    {"steps": [["Explode", [], ["x"], {}]]}, {"steps": [["Relu", ["nowhere"], ["x"], {}]]}, {"outputs": ["nowhere"]},
    {"steps": [["InputShape", [], ["x"], {"stride": 0, "channels": 3}]]}, {"steps": 5}, {"rows": {"out": 3}}])
def test_a_damaged_tail_is_refused(damage: dict) -> None:
    plain = {"heads": ["head"], "steps": [], "outputs": ["head"], "rows": {}, **damage}
    with pytest.raises(ValueError):
        Tail.from_plain(plain, {})


def test_softmax_of_old_opsets_goes_over_all_axes_behind() -> None:
    network = network_of(conv(4, 8, 8, strides=[8, 8]), lambda make, data, channels: (
        make.node("Softmax", data, axis=2), channels), opset=11)
    assert_lowered_equals_dense(network, (64, 32))


def squeeze(make: GraphMaker, data: str, channels: int) -> tuple[str, int]:
    gate = make.node("HardSigmoid", convolve(make, make.node("GlobalAveragePool", data), channels, channels, (1, 1)))
    return make.node("Mul", data, gate), channels


def softplus(make: GraphMaker, data: str, channels: int) -> tuple[str, int]:
    return make.node("Softplus", data), channels


def transposed(make: GraphMaker, data: str, channels: int) -> tuple[str, int]:
    return make.node("Transpose", data, perm=[0, 1, 3, 2]), channels


def deconvolution(make: GraphMaker, data: str, channels: int) -> tuple[str, int]:
    weight = make.weight(np.ones((channels, channels, 2, 2), np.float32))
    return make.node("ConvTranspose", data, weight, strides=[2, 2]), channels


def reflection(make: GraphMaker, data: str, channels: int) -> tuple[str, int]:
    return make.node("Pad", data, make.integers(0, 0, 1, 1, 0, 0, 1, 1), mode="reflect"), channels


@pytest.mark.parametrize(("block", "start"), [
    (squeeze, "node 'GlobalAveragePool_1' (GlobalAveragePool): "),
    (softplus, "node 'Softplus_1' (Softplus): "),
    (transposed, "node 'Transpose_1' (Transpose): "),
    (deconvolution, "node 'ConvTranspose_1' (ConvTranspose): "),
    (reflection, "node 'Pad_1' (Pad): "),
    (conv(4, 3, 3, strides=[1, 2]), "node 'Conv_1' (Conv): different strides"),
    (conv(4, 128, 128, strides=[128, 128]), "node 'Conv_1' (Conv): a kernel of 128x128"),
    (BLOCKS["padded max pool"], ""),
])
def test_what_the_engine_does_not_have_is_refused_with_the_name_of_the_node(block: Block, start: str) -> None:
    network = network_of(conv(4, 1, 1), block, conv(4, 3, 3, pads=[1] * 4))
    if not start:
        lower_network(network)
        return
    assert refusal(network).startswith(start)


def test_zeros_around_negative_values_are_no_padding_of_a_max_pool() -> None:
    make = GraphMaker((64, 64))
    padded = make.node("Pad", convolve(make, "images", 3, 4, (1, 1)), make.integers(0, 0, 1, 1, 0, 0, 1, 1))
    pooled = make.node("MaxPool", padded, kernel_shape=[3, 3])
    assert "zeros around values that can be negative" in refusal(finish(make, pooled))


def test_numbers_that_would_fill_the_memory_are_refused() -> None:
    make = GraphMaker((64, 64))
    large = make.node("ConstantOfShape", make.integers(1, 1 << 20, 1 << 20))
    output = make.node("Add", convolve(make, "images", 3, 4, (1, 1)), large)
    assert "a result of more than" in refusal(finish(make, output))
