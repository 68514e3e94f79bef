"""Quantized operators: their bytes stand for what the float operators compute."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regionmask_ros.network.graph import Graph, Node
from regionmask_ros.tiles.network import change_limit, quantize_graph
from regionmask_ros.tiles.operators.activations import Activation, Kind
from regionmask_ros.tiles.operators.convolution import Convolution
from regionmask_ros.tiles.operators.elementwise import Activate, Add, Multiply
from regionmask_ros.tiles.operators.geometry import Window
from regionmask_ros.tiles.operators.pooling import AveragePool, MaxPool
from regionmask_ros.tiles.operators.quantized import Quantization
from regionmask_ros.tiles.operators.resizing import Resize
from regionmask_ros.tiles.operators.routing import ChannelSelect, Concat, SpaceToDepth

RANGES = {
    "any": Quantization.of_range(np.array([-2.0, -1.0, -4.0, 0.0]), np.array([3.0, 1.0, 4.0, 2.0])),
    "plain": Quantization(np.full(4, 0.5, np.float32), np.array([0, 7, 128, 255], np.uint8)),
}


def draw_bytes(seed, rows=9, cols=11, channels=4):
    return np.random.default_rng(seed).integers(0, 256, (rows, cols, channels), np.uint8)


@pytest.mark.parametrize("quantization", RANGES.values(), ids=RANGES)
def test_zero_is_exact_and_rounding_undoes_the_real_value(quantization):
    every = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 4, 1)
    np.testing.assert_array_equal(quantization.quantize(quantization.dequantize(every)), every)
    assert not quantization.dequantize(quantization.zero).any()


def test_pixels_with_a_mean_that_is_no_whole_number_stand_for_exact_values():
    quantization = Quantization.of_pixels(np.array([103.53, 116.28, 0.0]), np.array([57.375, 57.12, 1.0]))
    pixels = draw_bytes(1, channels=3)
    expected = (pixels - np.array([103.53, 116.28, 0.0])) / np.array([57.375, 57.12, 1.0])
    np.testing.assert_allclose(quantization.dequantize(pixels), expected, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 999), groups=st.sampled_from([1, 2, 4]), kernel=st.tuples(*[st.integers(1, 4)] * 2),
       stride=st.integers(1, 3), pads=st.tuples(*[st.integers(0, 2)] * 4), kind=st.sampled_from(Kind))
def test_a_quantized_convolution_is_the_float_one_but_for_rounding(seed, groups, kernel, stride, pads, kind):
    random = np.random.default_rng(seed)
    weight = random.normal(size=(8, *kernel, 4 // groups)).astype(np.float32)
    bias = random.normal(size=8).astype(np.float32)
    activation = Activation(kind, 0.2, 0.5)
    head = Convolution(Window(kernel, stride, pads), groups, activation, is_head=True)
    source, pixels = RANGES["any"], draw_bytes(seed)
    parameters = head.quantize({"weight": weight, "bias": bias}, [source], None)
    found = head.step([pixels], parameters)
    windows = head.window.gather(source.dequantize(pixels), np.zeros(4, np.float32))
    parts = windows.reshape(*windows.shape[:4], groups, -1)
    expected = np.einsum("rwijgc,gojic->rwgo", parts, weight.reshape(groups, -1, *kernel, 4 // groups).swapaxes(2, 3))
    expected = activation.apply((expected.reshape(*found.shape) + bias).astype(np.float32))
    # Each weight is off by half a step at most; no activation is steeper than 1.5.
    farthest = np.abs(pixels.astype(int) - source.zero)
    reached = head.window.gather(farthest, np.zeros(4)).reshape(*windows.shape[:2], -1).sum(2, keepdims=True)
    assert np.all(np.abs(found - expected) <= 1.5 * 0.5 * parameters["multiplier"] * reached + 1e-3)
    output = Quantization.of_range(found.min((0, 1)), found.max((0, 1)))
    body = Convolution(head.window, groups, activation)
    rounded = body.step([pixels], body.quantize({"weight": weight, "bias": bias}, [source], output))
    assert np.all(np.abs(output.dequantize(rounded) - found) <= output.step * 1.001)


def test_elementwise_operators_compute_on_the_real_values():
    first, second, (a, b) = draw_bytes(1), draw_bytes(2), RANGES.values()
    left, right = a.dequantize(first), b.dequantize(second)
    factor, addend = np.array([2.0, -1.0, 0.5, 3.0], np.float32), np.array([1.0, 0.0, -2.0, 0.5], np.float32)
    cases: list[tuple[Any, ...]] = [
        (Add(), [first, second], [a, b], {}, left + right),
        (Multiply(), [first, second], [a, b], {}, left * right),
        (Activate(), [first], [a], {"factor": factor, "addend": addend}, left * factor + addend)]
    for operator, values, inputs, parameters, expected in cases:
        output = Quantization.of_range(expected.min((0, 1)), expected.max((0, 1)))
        found = operator.step(values, operator.quantize(parameters, inputs, output))
        assert np.all(np.abs(output.dequantize(found) - expected) <= output.step * 0.51), operator


def test_pools_see_the_image_only_or_padding_with_zero():
    pixels, window, source = draw_bytes(3, 3, 3), Window((3, 3), 1, (1, 1, 1, 1)), RANGES["plain"]
    assert MaxPool(window).step([pixels], {})[0, 0, 0] == pixels[:2, :2, 0].max()
    mean = AveragePool(window)
    assert mean.step([pixels], mean.quantize({}, [source], None))[0, 0, 1] == math.floor(pixels[:2, :2, 1].mean() + 0.5)
    padded = AveragePool(window, counts_padding=True)
    expected = math.floor((pixels[:2, :2, 1].astype(int).sum() + 5 * 7) / 9 + 0.5)
    assert padded.step([pixels], padded.quantize({}, [source], None))[0, 0, 1] == expected
    with pytest.raises(ValueError, match="as wide as the pool"):
        MaxPool(Window((2, 2), 2, (0, 2, 0, 0)))


def test_copies_keep_bytes_and_their_meaning():
    pixels, source = draw_bytes(4, 4, 6), RANGES["any"]
    assert np.array_equal(Resize(3).step([pixels], {})[5, 7], pixels[1, 2])
    select = ChannelSelect((3, 0))
    assert np.array_equal(select.step([pixels], {}), pixels[:, :, [3, 0]])
    assert select.output_quantization([source]).zero.tolist() == source.zero[[3, 0]].tolist()
    assert np.array_equal(SpaceToDepth().step([pixels], {})[1, 2, 4:8], pixels[3, 4])
    joined = Concat().output_quantization([source, RANGES["plain"]])
    assert joined.step.tolist() == [*source.step, *RANGES["plain"].step]


def test_linear_enlargement_weighs_neighbors_by_distance():
    pixels = np.array([[[0], [100]], [[200], [60]]], np.uint8)
    found = Resize(2, is_linear=True).step([pixels], {})[..., 0]
    assert found[0].tolist() == [0, 25, 75, 100]
    inner = [(9 * 0 + 3 * 100 + 3 * 200 + 60 + 8) // 16, (3 * 0 + 9 * 100 + 200 + 3 * 60 + 8) // 16]
    assert found[1].tolist() == [50, *inner, 90]


@settings(max_examples=60, deadline=None)
@given(kernel=st.integers(1, 5), stride=st.integers(1, 3), pad=st.integers(0, 3), first=st.integers(0, 3),
       more=st.integers(0, 3))
def test_an_output_depends_on_the_pixels_that_its_operator_reads_and_on_no_other(kernel, stride, pad, first, more):
    operator = Convolution(Window((kernel, kernel), stride, (pad, pad, pad, pad)), is_head=True)
    pixels, ones = draw_bytes(5, 16, 16, 1), Quantization(np.ones(1, np.float32), np.zeros(1, np.uint8))
    weights = {"weight": np.ones((1, kernel, kernel, 1), np.float32), "bias": np.zeros(1, np.float32)}
    parameters = operator.quantize(weights, [ones], None)
    before, last = operator.step([pixels], parameters), first + more
    low, high = operator.reads(0, first, last)
    for row in range(16):
        changed = pixels.copy()
        changed[row] ^= 255
        differs = (operator.step([changed], parameters) != before)[first:last + 1].any()
        if differs:
            assert low <= row <= high
        elif stride <= kernel and last < len(before):
            assert not low <= row <= high


def test_a_graph_is_quantized_node_by_node_and_heads_stay_float():
    window = Window((1, 1))
    weights = {"weight": np.ones((2, 1, 1, 4), np.float32), "bias": np.zeros(2, np.float32)}
    graph = Graph("image", 4, (Node("select", ChannelSelect((0, 1, 2, 3)), ("image",)),
                               Node("body", Convolution(window), ("select",), weights),
                               Node("head", Convolution(window, is_head=True), ("select",), weights)), ("head",))
    output = Quantization.of_range(np.zeros(2), np.full(2, 12.0))
    network = quantize_graph(graph, RANGES["any"], {"body": output})
    assert set(network.quantizations) == {"image", "select", "body"}
    assert "scale" in network.graph.node("body").parameters
    assert "scale" not in network.graph.node("head").parameters


def test_the_limit_of_change_is_the_mean_square_over_the_tile():
    assert change_limit(0.0, 100) == 1
    assert change_limit(2.0, 100) == 400
    assert change_limit(0.1, 30) == math.ceil(0.1 * 0.1 * 30)
