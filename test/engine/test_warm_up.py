"""A warmed-up state is made from a small input, and is that of the real size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from regionmask_ros.core.arithmetic import ARITHMETICS, RULES
from regionmask_ros.engine.layer import Convolution
from regionmask_ros.engine.reference import ReferenceNetwork
from regionmask_ros.engine.warm_state import initial_state, min_warm_up_length
from regionmask_ros.network.graph import ConvSpec


@dataclass(frozen=True)
class Layers:
    """A network as the engine sees it: layers only."""

    layers: tuple[ConvSpec, ...]


@st.composite
def small_networks(draw):
    """Up to four layers of one or two channels, whose biases are large enough for neurons to fire on them alone."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count, layers, inputs = draw(st.integers(1, 4)), [], 1
    for number in range(count):
        size = draw(st.integers(1, 5))
        stride, padding, outputs = draw(st.integers(1, 3)), draw(st.integers(0, size - 1)), draw(st.integers(1, 2))
        weight = rng.integers(-60, 61, (outputs, inputs, size, size)).astype(np.int32)
        bias = rng.integers(-256, 255, outputs).astype(np.int32) if number < count - 1 else None
        layers.append(ConvSpec(f"c{number}", weight, bias, stride, padding, 6))
        inputs = outputs
    return Layers(tuple(layers))


@settings(max_examples=150)
@given(small_networks(), st.integers(1, 150), st.integers(1, 150), st.sampled_from(ARITHMETICS))
def test_every_neuron_is_as_the_twin_s(network, width, height, arithmetic):
    convolutions = [Convolution.of(spec) for spec in network.layers]
    try:
        for spec, (rows, cols) in zip(convolutions, _sizes(convolutions, height, width)):
            spec.output_size(rows, cols)
    except ValueError:
        return
    reference_network = ReferenceNetwork(network, (width, height), arithmetic)
    for layer, (sigma, reference) in zip(reference_network.layers, initial_state(convolutions, (width, height), RULES[arithmetic])):
        np.testing.assert_array_equal(sigma, layer.sigma)
        assert (reference is None) == (layer is reference_network.layers[-1])
        if reference is not None:
            np.testing.assert_array_equal(reference, layer.reference)


def _sizes(convolutions, rows, cols):
    for spec in convolutions:
        yield rows, cols
        rows, cols = spec.output_size(rows, cols)


def test_large_inputs_are_made_from_small_ones(trained):
    convolutions = [Convolution.of(spec) for spec in trained.layers]
    lengths = {min_warm_up_length(convolutions, length) for length in range(448, 2048, 32)}
    assert len(lengths) == 1 and max(lengths) < 448
    # What is too small to have a middle stays as it is.
    assert min_warm_up_length(convolutions, 32) == 32
