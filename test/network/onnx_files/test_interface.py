"""Inputs and outputs of a graph are brought into one form, and what it tells about itself is found."""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is missing: `make runtimes` brings it")
pytest.importorskip("onnxruntime", reason="onnxruntime is missing: `make runtimes` brings it")

from detector_graphs import GraphMaker, detector_model, make_detector  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from regionmask_ros.backends.runtimes import run_once  # noqa: E402
from regionmask_ros.errors import InvalidFile  # noqa: E402
from regionmask_ros.network.dense import Preprocessing  # noqa: E402
from regionmask_ros.network.onnx.cost import count_cost  # noqa: E402
from regionmask_ros.network.onnx.facts import find_normalization, find_precision, find_producers  # noqa: E402
from regionmask_ros.network.onnx.interface import unify_interface  # noqa: E402

WH = (96, 64)
PICTURE = np.random.default_rng(0).random((1, 3, 64, 96), np.float32)


def run(model) -> np.ndarray:
    return run_all(model)[0]


def run_all(model) -> list[np.ndarray]:
    return list(run_once(model.SerializeToString(), "images", PICTURE).values())


def test_channels_at_the_end_are_moved():
    make = make_detector(WH, data="turned")
    make.nodes.insert(0, helper.make_node("Transpose", ["images"], ["turned"], perm=[0, 3, 1, 2], name="turn"))
    model = make.model([make.nodes[-1].output[0]], shape=[1, 64, 96, 3])
    interface = unify_interface(model)
    assert interface.was_nhwc and interface.declared_wh == WH
    np.testing.assert_allclose(run(model), run(detector_model(WH)), rtol=1e-5)


@pytest.mark.parametrize("kind", [TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.UINT8])
def test_other_types_are_cast_at_both_ends(kind):
    make = GraphMaker(WH)
    output = make.node("Identity", "images")
    model = make.model([output], input_type=kind, output_type=kind)
    assert unify_interface(model).input_type == kind
    assert model.graph.output[0].type.tensor_type.elem_type == TensorProto.FLOAT
    wanted = PICTURE.astype(helper.tensor_dtype_to_np_dtype(kind)).astype(np.float32)
    result = run(model)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, wanted)


@pytest.mark.parametrize("shape, wh", [
    ([1, 3, 64, 96], WH), (["N", 3, 64, 96], WH), (["N", 3, "h", "w"], None), (["N", "c", "h", "w"], None),
])
def test_a_free_batch_becomes_one_picture(shape, wh):
    make = make_detector(WH, fixed=False)
    model = make.model([make.nodes[-1].output[0]], shape=shape)
    assert unify_interface(model).declared_wh == wh
    assert run(model).shape == (1, 126, 8)


@pytest.mark.parametrize("shape, reason", [
    ([4, 3, 64, 96], "takes 4 pictures at once: export it for one picture"),
    ([1, 1, 64, 96], "one image [1, 3, height, width] is needed"),
    ([1, 3, 64], "one image [1, 3, height, width] is needed"),
    ([1, 3, 1 << 20, 96], "impossible size 96x1048576"),
])
def test_other_inputs_are_named(shape, reason):
    make = make_detector(WH)
    with pytest.raises(InvalidFile) as caught:
        unify_interface(make.model([make.nodes[-1].output[0]], shape=shape))
    assert reason in str(caught.value)


def test_known_further_inputs_are_computed_from_the_image():
    make = GraphMaker(WH)
    size = make.node("Cast", "orig_target_sizes", to=TensorProto.FLOAT)
    outputs = [make.node("Identity", name) for name in (size, "im_shape", "scale_factor")]
    model = make.model([*outputs, make.node("Relu", "images")])
    model.graph.input.extend([
        helper.make_tensor_value_info("orig_target_sizes", TensorProto.INT64, ["N", 2]),
        helper.make_tensor_value_info("im_shape", TensorProto.FLOAT, ["N", 2]),
        helper.make_tensor_value_info("scale_factor", TensorProto.FLOAT, ["N", 2]),
    ])
    interface = unify_interface(model)
    assert interface.extra_inputs == ("orig_target_sizes", "im_shape", "scale_factor")
    assert [value.name for value in model.graph.input] == ["images"]
    assert [result.tolist() for result in run_all(model)[:3]] == [[[96, 64]], [[64, 96]], [[1, 1]]]


def test_an_unknown_further_input_is_named():
    model = detector_model(WH)
    model.graph.input.append(helper.make_tensor_value_info("threshold", TensorProto.FLOAT, [1]))
    with pytest.raises(InvalidFile, match=r"input 'threshold' \[1\] is unknown: export the network with the image"):
        unify_interface(model)


def normalizing(*steps):
    make = GraphMaker(WH)
    data = "images"
    for operator, values in steps:
        value = np.array(values, np.float32)
        data = make.node(operator, data, make.weight(value.reshape(1, -1, 1, 1) if value.ndim else value))
    return make.model([make.conv(data, 3, 8, 3, 1)])


@pytest.mark.parametrize("steps, wanted", [
    ([], None),
    ([("Div", 255.0)], Preprocessing("rgb")),
    ([("Mul", 1 / 255)], Preprocessing("rgb")),
    ([("Sub", (0.485, 0.456, 0.406)), ("Div", (0.229, 0.224, 0.225))], Preprocessing("rgb", deviation=(255.0,) * 3)),
    ([("Sub", (0.5, 0.5, 0.5)), ("Div", (0.5, 0.5, 0.5))], Preprocessing("rgb", deviation=(255.0,) * 3)),
    ([("Sub", (103.53, 116.28, 123.675)), ("Mul", (0.017, 0.017, 0.017))], Preprocessing("bgr")),
    ([("Mul", 2 / 255), ("Sub", 1.0)], Preprocessing("rgb")),
])
def test_a_graph_that_normalizes_its_input_is_noticed(steps, wanted):
    model = normalizing(*steps)
    unify_interface(model)
    assert find_normalization(model, "images") == wanted


def test_arithmetic_behind_a_convolution_is_no_normalization():
    make = GraphMaker(WH)
    level = make.conv("images", 3, 3, 3, 1)
    model = make.model([make.node("Div", level, make.weight(np.float32(255)))])
    assert find_normalization(model, "images") is None


def test_producers_precision_and_cost_are_told():
    model = detector_model(WH)
    (producers,) = find_producers(model).values()
    assert producers[:2] == ("Concat", "Transpose") and 2 < len(producers) <= 32
    assert find_precision(model) == "fp32"
    operators, weights, macs = count_cost(model.SerializeToString(), "images", WH)
    heads = 8 * 8 * (96 + 24 + 6)
    assert operators["Conv"] == 9 and macs == 3 * 8 * 64 * 96 + 8 * 8 * 4 * (24 + 6) + heads
    assert weights == 3 * 8 * 64 + 2 * 8 * 8 * 4 + 3 * 8 * 8
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name))
    assert find_precision(model) == "fp16"
