"""The tile engine on detectors: the same bytes as its reference, on drawn ones and on public ones."""

import detector_graphs
import made_graphs
import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx is missing: `make runtimes` brings it")
pytest.importorskip("onnxruntime", reason="onnxruntime is missing: `make runtimes` brings it")

from regionmask_ros.importing.detector import Wishes, import_detector
from regionmask_ros.importing.lowering.lowering import lower_network
from regionmask_ros.importing.picture import draw_scene
from regionmask_ros.tiles.compiled import list_kernel_sets
from regionmask_ros.tiles.engine import TileEngine
from regionmask_ros.tiles.evaluation import evaluate_graph
from regionmask_ros.tiles.network import TileNetwork, quantize_graph
from regionmask_ros.tiles.operators.quantized import Quantization
from regionmask_ros.tiles.reference import TileReference
from regionmask_ros.tiles.work import WorkMeter


def quantize(path, input_wh):
    """A network with the ranges that it has on one drawn picture, and a threshold of 1 everywhere at level 1."""
    lowered = lower_network(import_detector(path, Wishes()).network)
    found = evaluate_graph(lowered.graph, lowered.pixels.dequantize(draw_scene(input_wh)))
    ranges = {name: Quantization.of_range(values.min((0, 1)), values.max((0, 1))) for name, values in found.items()}
    network = quantize_graph(lowered.graph, lowered.pixels, ranges)
    return TileNetwork(network.graph, network.quantizations, {node.name: 1.0 for node in network.graph.nodes})


def assert_same_frames(network, input_wh):
    """Masks, thresholds, a frame without either, on every kernel set."""
    reference = TileReference(network, input_wh)
    engines = [TileEngine(network, input_wh, name) for name in list_kernel_sets()]
    images = made_graphs.make_video(1, input_wh, 3)
    images = [draw_scene(input_wh), *images[1:]]
    half = np.arange(-(-input_wh[0] // 16)) % 3 > 0
    mask = np.broadcast_to(half, (-(-input_wh[1] // 16), len(half)))
    for image, attended, level in zip(images, (None, mask, None), (0.0, 2.0, 0.0)):
        expected = reference.step(image, attended, level)
        for engine in engines:
            found = engine.step(image, attended, level)
            for name in [network.graph.input, *(node.name for node in network.graph.nodes)]:
                np.testing.assert_array_equal(engine.held(name), reference.held(name), f"{engine.kernel_set} {name}")
            np.testing.assert_array_equal(found.counts, expected.counts)


@pytest.mark.parametrize("file", ["yolox_nano.onnx", "nanodet_m_320.onnx", "fastestdet.onnx", "yolov5n_fp16.onnx"])
def test_public_detectors_have_the_bytes_of_the_reference(public_network, file):
    assert_same_frames(quantize(public_network(file), (192, 128)), (192, 128))


@pytest.mark.parametrize("kind", ["shuffles", "resizes"])
def test_drawn_detectors_have_the_bytes_of_the_reference(tmp_path, kind):
    path = tmp_path / "drawn.onnx"
    path.write_bytes(detector_graphs.detector_model(**{kind: True}).SerializeToString())
    assert_same_frames(quantize(path, (96, 64)), (96, 64))


def test_one_more_camera_of_a_public_detector_takes_at_most_40_mb(public_network):
    network = quantize(public_network("yolox_nano.onnx"), (160, 96))
    assert TileEngine(network, (640, 480), list_kernel_sets()[0]).memory_bytes <= 40e6


def test_a_dense_frame_costs_every_operation_of_the_network():
    network, input_wh = made_graphs.make_network(11, (64, 48)), (64, 48)
    engine, meter = TileEngine(network, input_wh), WorkMeter(network, input_wh)
    (image,) = made_graphs.make_video(1, input_wh, 1)
    work = meter.measure(engine.step(image).counts)
    assert work.macs.tolist() == list(network.graph.macs(input_wh).values())
    assert work.moved_bytes.all() and work.totals.mac_share == 1.0
    still = meter.measure(engine.step(image).counts)
    assert not still.macs.any() and not still.moved_bytes.any() and not still.tiles.any()
    assert work.tiles.all(), "counts outlive the next frame"


def test_a_changed_tile_costs_what_its_computed_and_replaced_pixels_cost():
    network, input_wh = made_graphs.make_network(3, (96, 64)), (96, 64)
    engine, meter = TileEngine(network, input_wh), WorkMeter(network, input_wh)
    (image,) = made_graphs.make_video(1, input_wh, 1)
    engine.step(image)
    image = image.copy()
    image[20:24, 36:40] ^= 0x55
    counted = engine.step(image).counts
    work, shapes = meter.measure(counted), network.graph.shapes(input_wh)
    macs = network.graph.macs(input_wh)
    expected = [macs[node.name] * pixels // (shapes[node.name][0] * shapes[node.name][1])
                for node, pixels in zip(network.graph.nodes, counted[1:, 1].tolist())]
    assert work.macs.tolist() == expected and work.tiles.tolist() == counted[1:, 0].tolist()
    totals = work.totals
    assert totals.tiles == sum(work.tiles) > 0 and totals.moved_bytes == sum(work.moved_bytes)
    assert totals.macs == sum(expected) and totals.mac_share == sum(expected) / sum(macs.values()) < 1.0
    idle = meter.idle().totals
    assert (idle.tiles, idle.macs, idle.moved_bytes, idle.mac_share) == (0, 0, 0, 0.0)
