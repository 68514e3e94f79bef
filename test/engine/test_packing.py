"""What is checked when a network is loaded, and what its weights prove about sums."""

from __future__ import annotations

import numpy as np
import pytest

from regionmask_ros.engine.engine import EventEngine, PackedNetwork, available_kernel_sets
from regionmask_ros.engine.layer import MAX_MESSAGE, Convolution
from regionmask_ros.network.graph import ConvSpec

each_path = pytest.mark.parametrize("path", [path for path in available_kernel_sets() if path != "amx"])


def spec(weight: np.ndarray, bias=None, threshold: int = 6, stride: int = 1, padding: int = 0) -> ConvSpec:
    return ConvSpec("c", np.asarray(weight, np.int32), None if bias is None else np.asarray(bias, np.int32), stride,
                    padding, threshold)


@pytest.mark.parametrize("value, fits", [(32767, True), (32768, False), (-32768, True), (-32769, False)])
def test_weights_fit_16_bits(value, fits):
    case = spec(np.full((1, 1, 1, 1), value))
    if fits:
        assert Convolution.of(case).weight.item() == value
    else:
        with pytest.raises(ValueError, match="16 signed bits"):
            Convolution.of(case)


@pytest.mark.parametrize("bias, threshold, fits", [
    (2**21 - 1, 6, True), (2**21, 6, False), (-2**21, 6, True), (-2**21 - 1, 6, False), (0, 2**21 - 1, True),
    (0, 2**21, False),
])
def test_biases_and_thresholds_fit_22_bits(bias, threshold, fits):
    case = spec(np.ones((1, 1, 1, 1)), [bias], threshold)
    if fits:
        assert Convolution.of(case).bias.item() == bias << 10
    else:
        with pytest.raises(ValueError, match="22 signed bits"):
            Convolution.of(case)


def test_channels_fit_16_bit_counts():
    assert Convolution.of(spec(np.zeros((1, 65535, 1, 1)))).in_channels == 65535
    with pytest.raises(ValueError, match="65535 channels"):
        Convolution.of(spec(np.zeros((65536, 1, 1, 1))))


@pytest.mark.parametrize("rows, cols, fits", [
    (1, 32767, True), (1, 32768, False), (32768, 1, False), (32767, 8192, True), (32767, 9363, False),
])
def test_positions_fit_their_integers(rows, cols, fits):
    layer = Convolution.of(spec(np.ones((7, 7, 1, 1))))
    if fits:
        assert layer.output_size(rows, cols) == (rows, cols)
    else:
        with pytest.raises(ValueError, match="too large"):
            layer.output_size(rows, cols)


def test_the_largest_sum_is_what_the_worst_messages_give():
    rng = np.random.default_rng(2)
    weight = rng.integers(-500, 500, (5, 6, 3, 3))
    worst = max(int(np.abs(one).sum()) for one in weight) * MAX_MESSAGE
    assert Convolution.of(spec(weight)).sum_bound == worst


def test_the_trained_networks_sums_stay_within_32_bits_by_proof(trained):
    """Not needed (see ``packing``), but true of this network where messages fit 16 bits: nothing wraps beyond int32."""
    assert all(Convolution.of(layer).sum_bound < 2**31 for layer in trained.layers)


@each_path
@pytest.mark.parametrize("message", [-32768, 32767])
def test_the_largest_messages_and_weights_wrap_and_are_exact(path, message):
    """Both of a pair at their limits are the one product sum that int32 cannot hold, 2**31."""
    for value in (-32768, 32767):
        head = spec(np.full((3, 4, 3, 3), value))
        engine = EventEngine(PackedNetwork(type("Layers", (), {"layers": (head,)})), (3, 3), "carry", path)
        result = engine.step(np.arange(36, dtype=np.int32), np.full(36, message, np.int32)).head
        exact = 36 * value * message
        assert (result == (exact + 2**23) % 2**24 - 2**23).all()
