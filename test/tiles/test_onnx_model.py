"""ONNX models of networks that have only their quantized form: runtimes detect with them what the tile engine does."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionmask_ros.backends import choose_backend, choose_fallback, open_backend
from regionmask_ros.backends.runtimes import RUNTIMES
from regionmask_ros.core.frame import resize_frame
from regionmask_ros.core.grid import RegionGrid
from regionmask_ros.core.look import Look, LookImage, MaskedImage
from regionmask_ros.detection.heads import decode_looks
from regionmask_ros.errors import UserError
from regionmask_ros.importing.opening import open_network
from regionmask_ros.installed import installed_file
from regionmask_ros.metrics.agreement import LOWEST_SCORE, NMS_IOU, measure_agreement
from regionmask_ros.network.dense import DenseNetwork, HeadSpec, Preprocessing
from regionmask_ros.network.graph import Graph, Node
from regionmask_ros.sources import open_source
from regionmask_ros.tiles.network import quantize_graph
from regionmask_ros.tiles.onnx_model import find_model, make_model, restore_weights
from regionmask_ros.tiles.operators.activations import Activation, Kind
from regionmask_ros.tiles.operators.convolution import Convolution
from regionmask_ros.tiles.operators.geometry import Window
from regionmask_ros.tiles.operators.quantized import Quantization
from regionmask_ros.tiles.quantization.files import StoredTiles
from regionmask_ros.tiles.tail import RowsLayout, Step, Tail

WH = (320, 192)


@pytest.fixture(scope="module")
def street():
    pytest.importorskip("onnx", reason="needs make runtimes")
    return open_network("street")


def detect_all(network, backend):
    """What a backend finds in six pictures, all of which it computes."""
    opened = open_backend(backend, network, WH, "", {} if backend == "cpu" else {"cache": "none"})
    found = []
    try:
        with open_source(str(installed_file("bikes.mp4"))) as source:
            look = Look((0.0, 0.0, *map(float, source.size_wh)), WH)
            for number, frame in source.numbered():
                if number % 20 == 0 and number < 120:
                    image = resize_frame(frame, WH)
                    opened.submit([MaskedImage(look, image, RegionGrid.of_input(WH).full(True), None)
                                   if backend == "cpu" else LookImage(look, image)], None)
                    found.append(decode_looks(opened.poll(0.0).head, network.head, source.size_wh, LOWEST_SCORE,
                                              NMS_IOU).found)
    finally:
        opened.close()
    return found


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_runtime_finds_in_street_what_the_tile_engine_finds(street, runtime):
    pytest.importorskip(runtime, reason="needs make runtimes")
    expected = detect_all(street, "cpu")
    assert sum(len(found) for found in expected) > 3
    assert measure_agreement(expected, detect_all(street, runtime)) >= 97


def test_a_dense_runtime_may_be_chosen_and_takes_over(street):
    assert choose_backend("openvino", street) == "openvino"
    assert choose_fallback("auto", "cpu", street) in RUNTIMES


@given(st.integers(0, 2 ** 32 - 1), st.sampled_from([(1, 6, 4), (2, 6, 4), (4, 4, 4)]))
def test_restored_weights_differ_by_half_a_step_at_most(seed, shape):
    rng, (groups, inputs, outputs) = np.random.default_rng(seed), shape
    weight = rng.normal(0, 1, (outputs, 3, 3, inputs // groups if inputs > groups else 1)).astype(np.float32)
    channels = weight.shape[3] * groups
    source = Quantization(rng.uniform(0.01, 2, channels).astype(np.float32),
                          rng.integers(0, 256, channels).astype(np.uint8),
                          rng.normal(0, 1, channels).astype(np.float32))
    bias = rng.normal(0, 1, outputs).astype(np.float32)
    made = Convolution(Window((3, 3)), groups, is_head=True).quantize({"weight": weight, "bias": bias}, [source], None)
    restored, back = restore_weights(made, groups, source)
    step = made["multiplier"].reshape(groups, -1, 1, 1, 1) / source.step.reshape(groups, 1, 1, 1, -1)
    wrong = np.abs(restored - weight).reshape(groups, -1, *weight.shape[1:])
    assert (wrong <= 0.5001 * step + 1e-6).all()
    shifted = (restored - weight).reshape(groups, -1, *weight.shape[1:]) * source.shift.reshape(groups, 1, 1, 1, -1)
    # Rounding of the weights is all that the biases differ by.
    np.testing.assert_allclose(back, bias - shifted.reshape(outputs, -1).sum(1), rtol=0, atol=1e-4)


def make_one(order, kind=Kind.RELU, outputs=("out",)):
    """One convolution as a network, with a weight that reads red only."""
    weight = np.zeros((1, 1, 1, 3), np.float32)
    weight[..., 0] = 2.0
    node = Node("head", Convolution(Window((1, 1)), activation=Activation(kind), is_head=True), ("image",),
                {"weight": weight, "bias": np.ones(1, np.float32)})
    pixels = Quantization(np.ones(3, np.float32), np.zeros(3, np.uint8), np.zeros(3, np.float32))
    tiles = quantize_graph(Graph("image", 3, (node,), ("head",)), pixels, {})
    network = DenseNetwork("one", b"", HeadSpec("yolox", 1, outputs, (1,)), ("thing",), Preprocessing(order), "pixels")
    tail = Tail(("head",), (Step("Concat", ("head",), ("out",), {"axis": 1}),), {}, (),
                {"out": RowsLayout((("head",),))})
    return StoredTiles(tiles, tail), network


@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_the_model_reads_channels_in_the_order_of_its_preprocessing(order):
    runtime = pytest.importorskip("onnxruntime", reason="needs make runtimes")
    stored, network = make_one(order)
    image = np.zeros((1, 3, 2, 3), np.float32)
    image[0, 0 if order == "rgb" else 2] = np.arange(6).reshape(2, 3)
    session = runtime.InferenceSession(make_model(stored, network), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(["out"], {"pixels": image})[0][0, :, 0], 1 + 2 * np.arange(6), atol=1e-5)


def test_what_cannot_be_written_is_named():
    pytest.importorskip("onnx", reason="needs make runtimes")
    with pytest.raises(UserError, match="node head: activation SILU cannot be written as ONNX"):
        make_model(*make_one("rgb", Kind.SILU))
    with pytest.raises(UserError, match="output other cannot be written as ONNX"):
        make_model(*make_one("rgb", outputs=("other",)))


def test_a_network_with_a_model_keeps_it():
    network = DenseNetwork("own", b"model", HeadSpec("yolox", 1, ("out",)), ("thing",), Preprocessing(), "pixels")
    assert find_model(network) == b"model"
