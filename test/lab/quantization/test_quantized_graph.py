"""Quantized graphs: integers where they belong, and outputs near those of fp32, in both runtimes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

for package in ("onnx", "onnxruntime", "openvino"):
    pytest.importorskip(package, reason=f"no {package}: `make runtimes` brings it")

import onnx  # noqa: E402
from dense_networks import INPUT, make_convolutions, make_model  # noqa: E402
from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from hypothesis.extra.numpy import arrays  # noqa: E402
from onnx import helper, numpy_helper  # noqa: E402

from regionmask_ros.backends import runtimes  # noqa: E402
from regionmask_ros.errors import UserError  # noqa: E402
from regionmask_ros.lab.quantization.graph import (  # noqa: E402
    ChannelRanges,
    _choose_range,
    find_convolutions,
    find_sums,
    list_sources,
    prepare_model,
    quantize_model,
    show_ranges,
)

IMAGE = np.random.default_rng(3).uniform(0, 1, (1, 3, 64, 96)).astype(np.float32)


def measure(model, convolutions, sums=()):
    sources = list_sources(convolutions, sums)
    data, outputs = show_ranges(model, sources)
    found = runtimes.run_once(data, INPUT, IMAGE)
    return {source: ChannelRanges(found[outputs[2 * place]][None], found[outputs[2 * place + 1]][None])
            for place, source in enumerate(sources)}


def quantize(data: bytes, coarse: bool = False) -> bytes:
    model = prepare_model(data, "small")
    convolutions = [replace(one, by_channel=one.by_channel and not coarse) for one in find_convolutions(model)]
    sums = find_sums(model)
    return quantize_model(model, convolutions, sums, measure(model, convolutions, sums), widest=True)


def depthwise_model(spread: float) -> bytes:
    """1x1, depthwise 3x3, 1x1; the channels between them differ by the factor ``spread``."""
    rng, gains = np.random.default_rng(5), np.geomspace(1, spread, 8).astype(np.float32)
    constants = {"a": rng.normal(0, 1, (8, 3, 1, 1)) * gains[:, None, None, None], "b": rng.normal(0, 1, (8, 1, 3, 3)),
                 "c": rng.normal(0, 1, (5, 8, 1, 1)) / gains[:, None, None]}
    nodes = [helper.make_node("Conv", [INPUT, "a"], ["x"]),
             helper.make_node("Conv", ["x", "b"], ["y"], group=8, pads=[1, 1, 1, 1]),
             helper.make_node("Conv", ["y", "c"], ["out"])]
    return make_model(nodes, ["out"], [numpy_helper.from_array(value.astype(np.float32), name)
                                       for name, value in constants.items()])


def error(data: bytes, quantized: bytes) -> float:
    """Root mean square of the difference, relative to the output's deviation."""
    exact, rounded = (runtimes.run_once(one, INPUT, IMAGE)["out"] for one in (data, quantized))
    return float(np.sqrt(np.mean((exact - rounded) ** 2)) / exact.std())


def test_rounding_costs_little_and_both_runtimes_agree():
    data = make_convolutions((8, 12, 6))
    quantized = quantize(data)
    assert 0 < error(data, quantized) < 0.03
    one, other = (run(quantized, INPUT, IMAGE)["out"] for run in (runtimes._run_openvino, runtimes._run_onnxruntime))
    assert np.abs(one - other).max() < 0.05 * np.ptp(other)


def test_a_range_for_each_channel_keeps_small_channels_in_front_of_a_depthwise_convolution():
    data = depthwise_model(spread=300.0)
    model = prepare_model(data, "small")
    assert [one.by_channel for one in find_convolutions(model)] == [False, True, False]
    only = [one for one in find_convolutions(model) if one.by_channel]
    ranges = measure(model, only)
    fine, coarse = (quantize_model(model, [replace(only[0], by_channel=by)], [], ranges, True) for by in (True, False))
    assert error(data, fine) < 0.02 < 0.2 * error(data, coarse)


def test_weights_become_bytes_and_activations_stay_in_one_piece():
    quantized = onnx.load_from_string(quantize(make_convolutions()))
    kinds = {tensor.name: tensor.data_type for tensor in quantized.graph.initializer}
    makers = {output: node for node in quantized.graph.node for output in node.output}
    convolutions = [node for node in quantized.graph.node if node.op_type == "Conv"]
    assert len(convolutions) == 2
    for node in convolutions:
        source, weights = (makers[name] for name in node.input[:2])
        assert source.op_type == weights.op_type == "DequantizeLinear"
        assert kinds[weights.input[0]] == onnx.TensorProto.INT8 and len(source.attribute) == 0
        readers = [other.op_type for other in quantized.graph.node if node.output[0] in other.input]
        assert sorted(readers) == ["Mul", "Sigmoid"]


def test_convolutions_behind_a_mean_of_whole_channels_stay_exact():
    constants = [numpy_helper.from_array(np.ones((4, 3, 1, 1), np.float32), "a"),
                 numpy_helper.from_array(np.ones((2, 4, 1, 1), np.float32), "b")]
    nodes = [helper.make_node("GlobalAveragePool", [INPUT], ["mean"]), helper.make_node("Conv", ["mean", "a"], ["x"]),
             helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Conv", ["y", "b"], ["out"])]
    assert find_convolutions(prepare_model(make_model(nodes, ["out"], constants), "small")) == []


def test_weights_that_are_computed_are_left_alone():
    nodes = [helper.make_node("GlobalAveragePool", [INPUT], ["weights"]),
             helper.make_node("Conv", [INPUT, "weights"], ["out"])]
    assert find_convolutions(prepare_model(make_model(nodes, ["out"]), "small")) == []


def test_an_older_operator_set_is_brought_up_and_an_impossible_one_is_one_line():
    old = onnx.load_from_string(make_convolutions())
    old.opset_import[0].version = 11
    assert prepare_model(old.SerializeToString(), "small").opset_import[0].version == 13
    old.graph.node[0].op_type = "Unheard"
    with pytest.raises(UserError, match="small: cannot be brought to operator set 13") as refused:
        prepare_model(old.SerializeToString(), "small")
    assert "\n" not in str(refused.value)


values = arrays(np.float32, (3, 4), elements=st.floats(-100, 100, width=32))


@given(values, values, st.booleans(), st.booleans())
def test_ranges_hold_zero_and_the_widest_holds_all(first, second, by_channel, widest):
    ranges = ChannelRanges(np.minimum(first, second), np.maximum(first, second))
    low, high = _choose_range(ranges, by_channel, widest)
    assert low.shape == high.shape == ((4,) if by_channel else ())
    assert (low <= 0).all() and (high >= 0).all()
    if widest:
        assert (low <= ranges.low).all() and (high >= ranges.high).all()


def test_openvino_computes_integers_and_fuses_swish_with_its_convolution():
    kinds = compiled_nodes(quantize(make_convolutions((16, 32, 16))))
    assert sum(kind == "Convolution" and number in ("u8", "i8") for kind, number in kinds) == 3
    assert {kind for kind, _ in kinds} <= {"Convolution", "Input", "Output", "Subgraph", "Reorder", "Const", "Reshape"}
    # One of them makes integers of the picture.
    assert sum(kind == "Subgraph" for kind, _ in kinds) <= 1


def pooled_sum_model() -> bytes:
    """A convolution, a residual one that is added to it, and a convolution of a pyramid of the sum."""
    rng = np.random.default_rng(7)
    weights = {"a": (16, 3, 3, 3), "b": (16, 16, 1, 1), "c": (6, 48, 1, 1)}
    constants = [numpy_helper.from_array(rng.normal(0, 0.3, shape).astype(np.float32), name)
                 for name, shape in weights.items()]
    constants.append(numpy_helper.from_array(np.array([1.0, 1.0, 2.0, 2.0], np.float32), "twice"))
    nodes = [
        helper.make_node("Conv", [INPUT, "a"], ["x"], pads=[1, 1, 1, 1]), helper.make_node("Sigmoid", ["x"], ["gx"]),
        helper.make_node("Mul", ["x", "gx"], ["old"]), helper.make_node("Conv", ["old", "b"], ["y"]),
        helper.make_node("Sigmoid", ["y"], ["gy"]), helper.make_node("Mul", ["y", "gy"], ["new"]),
        helper.make_node("Add", ["new", "old"], ["sum"]),
        helper.make_node("MaxPool", ["sum"], ["pooled"], kernel_shape=[5, 5], pads=[2, 2, 2, 2]),
        helper.make_node("MaxPool", ["sum"], ["half"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Resize", ["half", "", "twice"], ["whole"], mode="nearest",
                         coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
        helper.make_node("Concat", ["sum", "pooled", "whole"], ["pyramid"], axis=1),
        helper.make_node("Conv", ["pyramid", "c"], ["out"]),
    ]
    return make_model(nodes, ["out"], constants)


def test_integers_go_through_pools_and_joints_and_sums_read_integers():
    data = pooled_sum_model()
    quantized = quantize(data)
    makers = {output: node for node in onnx.load_from_string(quantized).graph.node for output in node.output}
    pyramid = makers[makers["out"].input[0]]
    assert pyramid.op_type == "Concat"
    first, pooled, whole = (makers[name] for name in pyramid.input)
    assert (pooled.op_type, whole.op_type) == ("MaxPool", "Resize")
    assert makers[pooled.input[0]] is first and first.op_type == "DequantizeLinear", "one pair serves all"
    assert {makers[name].op_type for name in makers["sum"].input} == {"DequantizeLinear"}
    assert not {"pooled", "half", "whole", "pyramid"} & set(makers), "nobody reads the real ones"
    assert error(data, quantized) < 0.05
    computing = {(kind, precision) for kind, precision in compiled_nodes(quantized) if kind in (
        "Convolution", "Pooling", "Interpolate", "Eltwise", "Concatenation", "Subgraph")}
    assert {precision for kind, precision in computing if kind != "Subgraph"} == {"u8"}, computing


def test_a_sum_of_constants_or_of_what_others_read_is_left_alone():
    nodes = [helper.make_node("Conv", [INPUT, "a"], ["x"]), helper.make_node("Add", ["x", "b"], ["y"]),
             helper.make_node("Relu", ["y"], ["z"]), helper.make_node("Add", ["y", "z"], ["s"]),
             helper.make_node("Concat", ["s", "y", "z"], ["out"], axis=1)]
    constants = [numpy_helper.from_array(np.ones((2, 3, 1, 1), np.float32), "a"),
                 numpy_helper.from_array(np.ones((1, 2, 1, 1), np.float32), "b")]
    assert find_sums(prepare_model(make_model(nodes, ["out"], constants), "small")) == []


def test_a_picture_of_bytes_is_read_as_integers_with_weights_that_cannot_overflow():
    model = prepare_model(make_convolutions((16, 8)), "small")
    convolutions = find_convolutions(model)
    ranges = measure(model, convolutions)
    ranges[INPUT] = ChannelRanges(np.zeros((1, 3), np.float32), np.full((1, 3), 255, np.float32))
    quantized = quantize_model(model, convolutions, [], ranges, widest=True)
    graph = onnx.load_from_string(quantized).graph
    largest = [np.abs(numpy_helper.to_array(tensor).astype(int)).max() for tensor in graph.initializer
               if tensor.data_type == onnx.TensorProto.INT8 and numpy_helper.to_array(tensor).ndim == 4]
    assert largest == [63, 127]
    # A pair of products, as processors without VNNI add it.
    assert 2 * 255 * largest[0] < 2**15
    assert [precision for kind, precision in compiled_nodes(quantized) if kind == "Convolution"] == ["u8", "u8"]
    scale = next(numpy_helper.to_array(tensor) for tensor in graph.initializer if tensor.name == next(
        node.input[1] for node in graph.node if node.op_type == "QuantizeLinear" and node.input[0] == INPUT))
    assert np.array_equal(np.rint(np.arange(256, dtype=np.float32) / scale), np.arange(256))


def compiled_nodes(quantized: bytes) -> list[tuple[str, str]]:
    """Kinds and precisions of the nodes that OpenVINO runs."""
    core = runtimes.load_runtime("openvino").Core()
    model = core.read_model(quantized, b"")
    model.reshape([1, 3, 64, 96])
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    nodes = [node.get_rt_info() for node in compiled.get_runtime_model().get_ordered_ops()]
    return [(node["layerType"].astype(str), node["runtimePrecision"].astype(str)) for node in nodes]


def test_models_of_newer_operator_sets_are_measured_alike():
    """From operator set 18 on, the axes of ReduceMin and ReduceMax are an input."""
    older = prepare_model(make_convolutions(), "small")
    newer = prepare_model(onnx.version_converter.convert_version(older, 18).SerializeToString(), "small")
    expected, found = (measure(model, find_convolutions(model)) for model in (older, newer))
    assert expected.keys() == found.keys()
    for source, ranges in expected.items():
        np.testing.assert_allclose(found[source].low, ranges.low, atol=1e-6)
        np.testing.assert_allclose(found[source].high, ranges.high, atol=1e-6)
