"""What is checked when a network is loaded, and what its weights prove about sums."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest
from small_networks import head

from regionmask_ros.engine.engine import EventEngine, PackedNetwork, available_kernel_sets
from regionmask_ros.engine.layer import MAX_MESSAGE, CheckedConv
from regionmask_ros.network.chain import ConvSpec


def spec(weight, bias=None, threshold: int = 6) -> ConvSpec:
    return ConvSpec("c", np.asarray(weight, np.int32), None if bias is None else np.asarray(bias, np.int32), 1, 0,
                    threshold)


def refused_unless(fits: bool, reason: str):
    """A context whose body must pass, or fail with that reason."""
    return nullcontext() if fits else pytest.raises(ValueError, match=reason)


@pytest.mark.parametrize("value, fits", [(32767, True), (32768, False), (-32768, True), (-32769, False)])
def test_weights_fit_16_bits(value, fits):
    with refused_unless(fits, "16 signed bits"):
        assert CheckedConv.of(spec(np.full((1, 1, 1, 1), value))).weight.item() == value


@pytest.mark.parametrize("bias, threshold, fits", [
    (2**21 - 1, 6, True), (2**21, 6, False), (-2**21, 6, True), (-2**21 - 1, 6, False), (0, 2**21 - 1, True),
    (0, 2**21, False),
])
def test_biases_and_thresholds_fit_22_bits(bias, threshold, fits):
    with refused_unless(fits, "22 signed bits"):
        assert CheckedConv.of(spec(np.ones((1, 1, 1, 1)), [bias], threshold)).bias.item() == bias << 10


@pytest.mark.parametrize("shape, fits", [((1, 65535, 1, 1), True), ((65536, 1, 1, 1), False)])
def test_channels_fit_16_bit_counts(shape, fits):
    with refused_unless(fits, "65535 channels"):
        assert CheckedConv.of(spec(np.zeros(shape))).in_channels == 65535


@pytest.mark.parametrize("rows, cols, fits", [
    (1, 32767, True), (1, 32768, False), (32768, 1, False), (32767, 8192, True), (32767, 9363, False),
])
def test_positions_fit_their_integers(rows, cols, fits):
    with refused_unless(fits, "too large"):
        assert CheckedConv.of(spec(np.ones((7, 7, 1, 1)))).output_size(rows, cols) == (rows, cols)


def test_the_sum_bound_is_what_the_worst_messages_give():
    weight = np.random.default_rng(2).integers(-500, 500, (5, 6, 3, 3))
    worst = max(int(np.abs(one).sum()) for one in weight) * MAX_MESSAGE
    assert CheckedConv.of(spec(weight)).sum_bound == worst


def test_the_sums_of_the_trained_network_stay_within_32_bits(trained):
    """Not needed (see ``engine.layer``), but true of this network where messages fit 16 bits."""
    assert all(CheckedConv.of(layer).sum_bound < 2**31 for layer in trained.layers)


@pytest.mark.parametrize("kernel_set", [name for name in available_kernel_sets() if name != "amx"])
@pytest.mark.parametrize("message", [-32768, 32767])
def test_the_largest_messages_and_weights_wrap_and_are_exact(kernel_set, message):
    """Both of a pair at their limits give the one sum of two products that int32 cannot hold, 2**31."""
    for value in (-32768, 32767):
        engine = EventEngine(PackedNetwork(head(np.full((3, 4, 3, 3), value))), (3, 3), "carry", kernel_set)
        result = engine.step(np.arange(36, dtype=np.int32), np.full(36, message, np.int32)).head
        exact = 36 * value * message
        assert (result == (exact + 2**23) % 2**24 - 2**23).all()
