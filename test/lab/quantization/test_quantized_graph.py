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
    prepare_model,
    quantize_model,
    show_ranges,
)

IMAGE = np.random.default_rng(3).uniform(0, 1, (1, 3, 64, 96)).astype(np.float32)


def measure(model, convolutions):
    data, outputs = show_ranges(model, convolutions)
    found = runtimes.run_once(data, INPUT, IMAGE)
    return {source: ChannelRanges(found[outputs[2 * place]][None], found[outputs[2 * place + 1]][None])
            for place, source in enumerate(dict.fromkeys(one.source for one in convolutions))}


def quantize(data: bytes, coarse: bool = False) -> bytes:
    model = prepare_model(data, "small")
    convolutions = [replace(one, by_channel=one.by_channel and not coarse) for one in find_convolutions(model)]
    return quantize_model(model, convolutions, measure(model, convolutions), widest=True)


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
    fine, coarse = (quantize_model(model, [replace(only[0], by_channel=by)], ranges, True) for by in (True, False))
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
    openvino = runtimes.load_runtime("openvino")
    core = openvino.Core()
    model = core.read_model(quantize(make_convolutions((16, 32, 16))), b"")
    model.reshape([1, 3, 64, 96])
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    nodes = [node.get_rt_info() for node in compiled.get_runtime_model().get_ordered_ops()]
    kinds = [(node["layerType"].astype(str), node["runtimePrecision"].astype(str)) for node in nodes]
    assert sum(kind == "Convolution" and number in ("u8", "i8") for kind, number in kinds) == 3
    assert {kind for kind, _ in kinds} <= {"Convolution", "Input", "Output", "Subgraph", "Reorder", "Const", "Reshape"}
    # One of them makes integers of the picture.
    assert sum(kind == "Subgraph" for kind, _ in kinds) <= 1


def test_models_of_newer_operator_sets_are_measured_alike():
    """From operator set 18 on, the axes of ReduceMin and ReduceMax are an input."""
    older = prepare_model(make_convolutions(), "small")
    newer = prepare_model(onnx.version_converter.convert_version(older, 18).SerializeToString(), "small")
    expected, found = (measure(model, find_convolutions(model)) for model in (older, newer))
    assert expected.keys() == found.keys()
    for source, ranges in expected.items():
        np.testing.assert_allclose(found[source].low, ranges.low, atol=1e-6)
        np.testing.assert_allclose(found[source].high, ranges.high, atol=1e-6)
