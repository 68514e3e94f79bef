"""Operators in float32 against sums over windows, written out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regionmask_ros.network.graph import Graph, Node
from regionmask_ros.tiles.evaluation import evaluate_graph
from regionmask_ros.tiles.operators.activations import Activation, Kind
from regionmask_ros.tiles.operators.convolution import Convolution
from regionmask_ros.tiles.operators.elementwise import Activate, Add, Multiply
from regionmask_ros.tiles.operators.geometry import Window
from regionmask_ros.tiles.operators.pooling import AveragePool, MaxPool
from regionmask_ros.tiles.operators.resizing import Resize
from regionmask_ros.tiles.operators.routing import ChannelSelect, Concat, SpaceToDepth


@st.composite
def windows(draw: st.DrawFn) -> Window:
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    top, left, below, right = (draw(st.integers(0, kernel[side % 2] - 1)) for side in range(4))
    return Window(kernel, draw(st.integers(1, 3)), (top, left, below, right))


def inside_of(window: Window, image: np.ndarray, row: int, col: int) -> list[tuple[tuple[int, int], np.ndarray]]:
    """Places in the kernel that are inside the image, and the pixels there."""
    found = []
    for down in range(window.kernel[0]):
        for across in range(window.kernel[1]):
            y, x = row * window.stride + down - window.pads[0], col * window.stride + across - window.pads[1]
            if 0 <= y < image.shape[0] and 0 <= x < image.shape[1]:
                found.append(((down, across), image[y, x]))
    return found


@settings(max_examples=40)
@given(windows(), st.sampled_from([(1, 3, 2), (3, 1, 1), (3, 1, 2), (2, 2, 3)]), st.integers(0, 99))
def test_a_convolution_is_the_sum_over_its_window(window: Window, sizes: tuple[int, int, int], seed: int) -> None:
    groups, width, outputs = sizes
    rng = np.random.default_rng(seed)
    image = rng.normal(0, 1, (6, 7, groups * width)).astype(np.float32)
    weight = rng.normal(0, 1, (groups * outputs, *window.kernel, width)).astype(np.float32)
    bias = rng.normal(0, 1, groups * outputs).astype(np.float32)
    parameters = {"weight": weight, "bias": bias}
    operator = Convolution(window, groups)
    found = operator.evaluate([image], parameters)
    assert found.shape == operator.output_shape([(6, 7, groups * width)], parameters)
    expected = np.empty_like(found)
    for row, col, channel in np.ndindex(found.shape):
        first = channel // outputs * width
        expected[row, col, channel] = bias[channel] + sum(
            pixel[first:first + width] @ weight[channel][place]
            for place, pixel in inside_of(window, image, row, col))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@settings(max_examples=40)
@given(windows(), st.booleans())
def test_pools_take_what_is_inside_the_image(window: Window, counts_padding: bool) -> None:
    image = np.random.default_rng(0).normal(0, 1, (6, 5, 3)).astype(np.float32)
    largest = MaxPool(window).evaluate([image], {})
    mean = AveragePool(window, counts_padding).evaluate([image], {})
    assert largest.shape == mean.shape == MaxPool(window).output_shape([(6, 5, 3)], {})
    for row, col in np.ndindex(largest.shape[:2]):
        pixels = [pixel for _, pixel in inside_of(window, image, row, col)]
        if not pixels:
            continue
        np.testing.assert_array_equal(largest[row, col], np.max(pixels, axis=0))
        count = window.kernel[0] * window.kernel[1] if counts_padding else len(pixels)
        np.testing.assert_allclose(mean[row, col], np.sum(pixels, axis=0) / count, atol=1e-5)


@pytest.mark.parametrize(("activation", "expected"), [
    (Activation(), [-8.0, -1.0, 0.0, 1.0, 8.0]),
    (Activation(Kind.RELU), [0.0, 0.0, 0.0, 1.0, 8.0]),
    (Activation(Kind.RELU6), [0.0, 0.0, 0.0, 1.0, 6.0]),
    (Activation(Kind.LEAKY_RELU, alpha=0.25), [-2.0, -0.25, 0.0, 1.0, 8.0]),
    (Activation(Kind.SIGMOID), [0.000335, 0.268941, 0.5, 0.731059, 0.999665]),
    (Activation(Kind.SILU), [-0.002683, -0.268941, 0.0, 0.731059, 7.997317]),
    (Activation(Kind.HARD_SIGMOID, alpha=0.25, beta=0.5), [0.0, 0.25, 0.5, 0.75, 1.0]),
    (Activation(Kind.HARD_SWISH), [0.0, -0.333333, 0.0, 0.666667, 8.0]),
])
def test_activations_have_known_values(activation: Activation, expected: list[float]) -> None:
    values = np.array([-8.0, -1.0, 0.0, 1.0, 8.0], np.float32)
    found = activation.apply(values)
    assert found.dtype == np.float32
    # The kernels' exponential moves a sigmoid by less than 2.6e-5.
    np.testing.assert_allclose(found, expected, atol=3e-5)


def test_sigmoid_of_very_negative_values_is_zero() -> None:
    assert Activation(Kind.SIGMOID).apply(np.array([-1e4], np.float32)) < 1e-37


def test_a_linear_resize_puts_old_centers_between_new_ones() -> None:
    image = np.array([[0.0, 4.0]], np.float32)[..., None]
    found = Resize(2, is_linear=True).evaluate([image], {})
    np.testing.assert_array_equal(found[..., 0], [[0.0, 1.0, 3.0, 4.0], [0.0, 1.0, 3.0, 4.0]])


def test_a_graph_is_computed_node_by_node() -> None:
    image = np.arange(4 * 4 * 2, dtype=np.float32).reshape(4, 4, 2)
    factors = {"factor": np.array([2.0, -1.0], np.float32), "addend": np.array([0.0, 1.0], np.float32)}
    graph = Graph("image", 2, (
        Node("turned", ChannelSelect((1, 0)), ("image",)),
        Node("scaled", Activate(), ("turned",), factors),
        Node("sum", Add(Activation(Kind.RELU)), ("image", "scaled")),
        Node("product", Multiply(), ("sum", "sum")),
        Node("large", Resize(2), ("product",)),
        Node("deep", SpaceToDepth(((1, 0), (0, 1))), ("large",)),
        Node("joined", Concat(), ("deep", "image")),
    ), ("joined",))
    product = np.maximum(image + image[..., ::-1] * [2, -1] + [0, 1], 0) ** 2
    found = evaluate_graph(graph, image)
    assert {name: array.shape for name, array in found.items()} == graph.shapes((4, 4))
    np.testing.assert_array_equal(found["joined"], np.concatenate([product, product, image], axis=-1))
    assert list(evaluate_graph(graph, image, kept=("sum",))) == ["sum", "joined"]
