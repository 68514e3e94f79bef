"""The state before the first frame is computed from a small input, and equals that of the real size."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from small_networks import Layers

from regionmask_ros.core.arithmetic import RULES
from regionmask_ros.engine.engine import initial_state, min_warm_up_length
from regionmask_ros.engine.layer import CheckedConv
from regionmask_ros.engine.reference import ReferenceNetwork
from regionmask_ros.network.chain import ConvSpec


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
@given(small_networks(), st.integers(1, 150), st.integers(1, 150), st.sampled_from(list(RULES)))
def test_every_neuron_equals_the_reference(network, width, height, arithmetic):
    convs, rows, cols = [CheckedConv.of(spec) for spec in network.layers], height, width
    for conv in convs:
        rows, cols = conv.output_length(rows), conv.output_length(cols)
        assume(min(rows, cols) >= 1)
    reference_network = ReferenceNetwork(network, (width, height), arithmetic)
    states = initial_state(convs, (width, height), RULES[arithmetic])
    for layer, (sigma, reference) in zip(reference_network.layers, states):
        np.testing.assert_array_equal(sigma, layer.sigma)
        assert (reference is None) == (layer is reference_network.layers[-1])
        if reference is not None:
            np.testing.assert_array_equal(reference, layer.reference)


def test_large_inputs_are_computed_from_small_ones(trained):
    convs = [CheckedConv.of(spec) for spec in trained.layers]
    lengths = {min_warm_up_length(convs, length) for length in range(448, 2048, 32)}
    assert len(lengths) == 1 and max(lengths) < 448
    # An input that is too small to have a middle is used as it is.
    assert min_warm_up_length(convs, 32) == 32
