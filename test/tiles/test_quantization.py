"""Ranges, quantized graphs, corrected biases, and thresholds from sensitivity."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_float_graph import INPUT_WH, PIXELS, RELU, SILU, pictures, small_graph

from regionmask_ros.network.graph import Graph, Node
from regionmask_ros.tiles.evaluation import evaluate_graph
from regionmask_ros.tiles.operators.activations import IDENTITY, Activation, Kind
from regionmask_ros.tiles.operators.convolution import Convolution
from regionmask_ros.tiles.operators.geometry import Window
from regionmask_ros.tiles.operators.quantized import operator_of
from regionmask_ros.tiles.quantization import ranges
from regionmask_ros.tiles.quantization.calibration import quantize_network
from regionmask_ros.tiles.quantization.ranges import (
    MARGIN,
    Statistics,
    choose_margin,
    choose_quantization,
    measure_statistics,
)
from regionmask_ros.tiles.quantization.rounding import fit_weights, round_together
from regionmask_ros.tiles.quantization.sensitivity import (
    LARGEST_FACTOR,
    choose_factors,
    count_readers,
    measure_sensitivities,
)
from regionmask_ros.tiles.quantization.variants import make_variants
from regionmask_ros.tiles.reference import TileReference


def real(images):
    return [PIXELS.dequantize(image) for image in images]


def dense_heads(network, image) -> dict[str, np.ndarray]:
    found = TileReference(network, (image.shape[1], image.shape[0])).step(image)
    return {name: values.copy() for name, values in found.heads.items()}


def test_statistics_are_over_all_pictures():
    graph, images = small_graph(), real(pictures(3))
    found = measure_statistics(graph, images)
    every = np.stack([evaluate_graph(graph, image)["sum"] for image in images]).reshape(-1, 8)
    np.testing.assert_array_equal(found["sum"].low, every.min(0))
    np.testing.assert_array_equal(found["sum"].high, every.max(0))
    assert found.keys() == {"image", *(node.name for node in graph.nodes)}


numbers = st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=6)


@given(numbers, st.sampled_from(list(Kind)))
def test_a_quantization_covers_the_range_and_the_real_0(values, kind):
    values = np.array(values)
    # What an activation cannot give was not measured.
    activation = Activation(kind, 0.1, 0.5)
    values = activation.apply(values.astype(np.float32)).astype(np.float64)
    found = choose_quantization(Statistics(values, values), activation, MARGIN)
    assert (found.step > 0).all() and (found.dequantize(found.zero) == 0).all()
    assert (np.abs(found.dequantize(found.quantize(values)) - values) <= found.step * 0.51 + 1e-6).all()


def test_ranges_are_widened_but_not_beyond_the_activation():
    measured = Statistics(np.array([-0.2]), np.array([4.0]))
    wide, silu = (choose_quantization(measured, one, MARGIN) for one in (IDENTITY, SILU))
    assert wide.step[0] * 255 == pytest.approx(4.2 * (1 + MARGIN))
    assert silu.step[0] * 255 == pytest.approx(4.0 * (1 + MARGIN) + 0.2785)
    six = choose_quantization(Statistics(np.zeros(1), np.full(1, 5.0)), Activation(Kind.RELU6), MARGIN)
    assert six.step[0] * 255 == pytest.approx(6.0) and six.zero[0] == 0
    assert [choose_margin(stride) for stride in (2, 4, 8)] == [0.0, 0.0, MARGIN]


def test_a_channel_that_was_always_0_gets_no_step_of_0():
    measured = Statistics(np.zeros(2), np.array([0.0, 100.0]))
    step = choose_quantization(measured, RELU, 0.0).step
    assert step[0] == pytest.approx(step[1] * ranges.FINEST)
    assert (choose_quantization(Statistics(np.zeros(2), np.zeros(2)), RELU, 0.0).step > 0).all()


@pytest.mark.parametrize("seed", range(3))
def test_the_quantized_network_gives_nearly_the_same_heads(seed):
    graph, images = small_graph(seed), pictures(24, seed)
    network = fit_weights(graph, quantize_network(graph, PIXELS, measure_statistics(graph, real(images))), images)
    assert network.quantizations.keys() == {"image", *(node.name for node in graph.nodes)} - {"cells4", "cells8"}
    for image in pictures(2, seed + 100):
        wanted, found = evaluate_graph(graph, PIXELS.dequantize(image), ()), dense_heads(network, image)
        for name in graph.outputs:
            error = found[name] - wanted[name]
            assert np.sqrt(np.mean(error ** 2)) < 0.05 * wanted[name].std() + 1e-3


def test_copies_carry_the_quantization_along_and_sums_have_their_own():
    graph = small_graph()
    known = quantize_network(graph, PIXELS, measure_statistics(graph, real(pictures(2)))).quantizations
    for output, source, channels in (("focus", "image", [0, 1, 2] * 4), ("pooled", "gated", range(8)),
                                     ("up", "down", range(6)), ("half", "sum", [5, 0, 2])):
        np.testing.assert_array_equal(known[output].step, known[source].step[list(channels)])
        np.testing.assert_array_equal(known[output].zero, known[source].zero[list(channels)])
    np.testing.assert_array_equal(known["both"].step, np.concatenate([known["up"].step, known["half"].step]))
    assert not np.array_equal(known["sum"].step, known["stem"].step)


def one_convolution(seed: int, groups: int, width: int, side: int) -> tuple[Graph, np.ndarray]:
    """A head of random weights, and a smooth picture whose neighboring pixels and channels are alike."""
    rng = np.random.default_rng(seed)
    node = Node("out", Convolution(Window((side, side), 1, (side // 2,) * 4), groups, is_head=True), ("image",), {
        "weight": rng.normal(0, 1, (12, side, side, width)).astype(np.float32), "bias": np.zeros(12, np.float32)})
    coarse = rng.uniform(0, 1, (10, 10, 1)).repeat(4, 0).repeat(4, 1)
    image = (coarse + 0.1 * rng.random((40, 40, 12))) * rng.uniform(0.1, 5, 12)
    return Graph("image", 12, (node,), ("out",)), image.astype(np.float32)


@settings(max_examples=20)
@given(st.integers(0, 1000), st.sampled_from([(1, 12), (12, 1), (3, 4)]), st.sampled_from([1, 3]))
def test_fitted_weights_have_less_error_than_rounded_ones_and_no_mean_error(seed, sizes, side):
    groups, width = sizes
    graph, image = one_convolution(seed, groups, width, side)
    pixels = choose_quantization(Statistics(image.min((0, 1)), image.max((0, 1))), IDENTITY, 0.0)
    rounded = quantize_network(graph, pixels, measure_statistics(graph, [image]))
    fitted = fit_weights(graph, rounded, [pixels.quantize(image)])

    def error(network) -> np.ndarray:
        made = network.graph.nodes[0]
        return operator_of(made).step([pixels.quantize(image)], made.parameters) - evaluate_graph(graph, image)["out"]

    assert np.square(error(fitted)).mean() <= np.square(error(rounded)).mean() * 1.05 + 1e-9
    scale = float(evaluate_graph(graph, image)["out"].std())
    assert np.abs(error(fitted).mean((0, 1))).max() < 2e-3 * scale
    parameters = fitted.graph.nodes[0].parameters
    assert {name: (array.dtype, array.shape) for name, array in parameters.items()} == {
        name: (array.dtype, array.shape) for name, array in rounded.graph.nodes[0].parameters.items()}
    assert np.abs(parameters["weight"].astype(int)).max() <= 127


@given(st.integers(0, 1000), st.integers(1, 8))
def test_uncorrelated_weights_are_rounded_to_the_nearest(seed, inputs):
    rng = np.random.default_rng(seed)
    weights, steps = rng.uniform(-1, 1, (2, 3, inputs)), np.full((2, 3), 1 / 127)
    moments = np.stack([np.diag(rng.uniform(0.1, 5, inputs)) for _ in range(2)])
    np.testing.assert_array_equal(round_together(weights, moments, steps), np.rint(weights * 127))


def test_fitted_networks_are_the_same_each_time_and_nearer_to_the_float_network():
    graph, images = small_graph(1), pictures(6, 1)
    rounded = quantize_network(graph, PIXELS, measure_statistics(graph, real(images)))
    first, second = (fit_weights(graph, rounded, images) for _ in range(2))
    for one, other in zip(first.graph.nodes, second.graph.nodes):
        for name, array in one.parameters.items():
            np.testing.assert_array_equal(array, other.parameters[name])

    def error(network) -> float:
        found = [(dense_heads(network, image), evaluate_graph(graph, PIXELS.dequantize(image), ()))
                 for image in pictures(4, 100)]
        return float(np.mean([np.square(got[name] - wanted[name]).mean() / np.var(wanted[name])
                              for got, wanted in found for name in graph.outputs]))

    assert error(first) < error(rounded)


def read_all(known):
    return lambda heads: np.concatenate([heads[name].reshape(-1, 5) for name in sorted(known)])


def test_a_tensor_that_matters_little_gets_a_large_threshold():
    graph, images = small_graph(), real(pictures(2))
    # What the last 1x1 convolution reads of "up" no longer counts.
    nodes = tuple(node if node.name not in ("cells4", "cells8") else replace(node, parameters={
        **node.parameters, "weight": node.parameters["weight"] * np.float32(1e-3 if node.name == "cells8" else 1)})
        for node in graph.nodes)
    graph = replace(graph, nodes=nodes)
    network = quantize_network(graph, PIXELS, measure_statistics(graph, images))
    found = measure_sensitivities(graph, network.quantizations, images, read_all)
    assert found.keys() == {"stem", "depthwise", "pointwise", "down", "pooled", "mean"} and min(found.values()) > 0
    factors = choose_factors(graph, INPUT_WH, found)
    assert all(1 / LARGEST_FACTOR <= factor <= LARGEST_FACTOR for factor in factors.values())
    saved = count_readers(graph, INPUT_WH)
    ratio = (saved["stem"] / saved["down"]) * (found["down"] / found["stem"]) ** 2
    assert factors["stem"] / factors["down"] == pytest.approx(ratio ** (1 / 3), rel=1e-6)
    quiet = choose_factors(graph, INPUT_WH, {**found, "down": found["down"] / 100})
    assert quiet["down"] > factors["down"]
    for value in (float("inf"), float("nan")):  # boxes of an untrained network overflow
        broken = choose_factors(graph, INPUT_WH, {**found, "down": value})
        assert all(1 / LARGEST_FACTOR <= factor <= LARGEST_FACTOR for factor in broken.values())


def test_sensitivities_are_the_same_each_time_and_0_without_cells():
    graph, images = small_graph(), real(pictures(1))
    network = quantize_network(graph, PIXELS, measure_statistics(graph, images))
    first, second = (measure_sensitivities(graph, network.quantizations, images, read_all) for _ in range(2))
    assert first == second
    nothing = measure_sensitivities(graph, network.quantizations, images, lambda _: lambda heads: np.zeros((0, 5)))
    assert set(nothing.values()) == {0.0}
    assert max(choose_factors(graph, INPUT_WH, nothing).values()) <= LARGEST_FACTOR


def test_readers_are_counted_through_copies_by_their_share_of_channels():
    graph = small_graph()
    saved, macs = count_readers(graph, INPUT_WH), graph.macs(INPUT_WH)
    assert saved["both"] == macs["cells4"] and saved["cells4"] == 0.0
    assert saved["up"] == pytest.approx(macs["cells4"] * 6 / 9) and saved["half"] == pytest.approx(macs["cells4"] / 3)
    assert saved["down"] == pytest.approx(saved["up"] + macs["cells8"])


def test_variants_have_the_size_of_their_picture():
    (picture,) = pictures(1)
    for size in (picture, picture[:31, :63]):
        made = make_variants(size)
        assert [(one.shape, one.dtype) for one in made] == [(size.shape, np.uint8)] * 4
    near, _, contrast, dark = make_variants(picture)
    assert dark.mean() == pytest.approx(picture.mean() / 2, abs=1) and contrast.std() > picture.std()
    assert not np.array_equal(near, picture)
