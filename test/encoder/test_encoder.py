from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from python_process import run_python

from regionmask_ros.encoder.encoder import Encoder
from regionmask_ros.encoder.kernels import OFFSET_BITS, SLOPE_BITS, affine_parameters
from regionmask_ros.engine.reference import ReferenceEncoder
from regionmask_ros.network.formats.lava_dl import input_table

RANDOM_TABLE = np.random.default_rng(4).integers(-170, 170, (256, 3)).astype(np.int32)


@st.composite
def tables(draw):
    """The trained network's table, a straight line, or a table that is not affine, of any number of channels."""
    channels, rng = draw(st.integers(1, 20)), np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    line = np.arange(-128, 128)[:, None].repeat(channels, axis=1)
    return draw(st.sampled_from([input_table(), line, RANDOM_TABLE, rng.integers(-170, 170, (256, channels))]))


@settings(max_examples=100)
@given(tables(), st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_the_encoder_equals_its_reference_with_any_table(table, threshold, seed):
    table, rng = table.astype(np.int32), np.random.default_rng(seed)
    encoder = Encoder(table, threshold, (64, 32))
    reference_network = ReferenceEncoder((32, 64, table.shape[1]), threshold)
    for _ in range(4):
        image = rng.integers(0, 256, (32, 64, table.shape[1])).astype(np.uint8)
        keep = rng.random((2, 4)) < 0.7
        value = np.stack([table[image[..., c], c] for c in range(table.shape[1])], axis=2).astype(np.int64)
        expected = reference_network.step(value, np.kron(keep, np.ones((16, 16), bool)).astype(bool)).ravel()
        events = encoder.step(image, keep)
        np.testing.assert_array_equal(events.index, np.flatnonzero(expected))
        np.testing.assert_array_equal(events.message, expected[events.index])


def affine_values(numbers: np.ndarray) -> np.ndarray:
    """Computes the table that ``affine_parameters`` stand for: int16 [256, channels]."""
    whole, slope, offset, base = numbers.astype(np.int64)
    byte = np.arange(256, dtype=np.int64)[:, None]
    part = (byte * (slope % (1 << SLOPE_BITS)) >> OFFSET_BITS) + offset >> OFFSET_BITS
    return (byte * whole + base + part).astype(np.int16)


@settings(max_examples=100)
@given(st.integers(0, 100), st.floats(0.05, 1.0), st.integers(1, 64))
def test_normalisation_is_a_straight_line(mean, deviation, unit):
    exact = unit * (np.arange(256) / 255 - mean / 100) / deviation
    # Where a value lies half-way between two integers, floats round it either way, and no line does that.
    assume(np.abs(exact % 1.0 - 0.5).min() > 1e-9)
    table = np.rint(exact).astype(np.int32)[:, None]
    np.testing.assert_array_equal(affine_values(affine_parameters(table)), table)


@settings(max_examples=100)
@given(st.integers(-3 << 16, 3 << 16), st.integers(-200 << 16, 200 << 16))
def test_numbers_that_are_found_give_the_table(slope, offset):
    table = ((np.arange(256, dtype=np.int64) * slope + offset) >> 16).astype(np.int32)[:, None]
    numbers = affine_parameters(table)
    assert numbers is None or (affine_values(numbers) == table).all()


def test_the_trained_network_s_table_is_a_straight_line_and_a_random_one_is_not():
    np.testing.assert_array_equal(affine_values(affine_parameters(input_table())), input_table())
    assert affine_parameters(RANDOM_TABLE) is None


def test_a_slow_ramp_fires_once_it_has_added_up():
    encoder, table = Encoder(input_table(), 6, (32, 32)), input_table()
    keep = np.ones((2, 2), bool)
    told = {}
    for level in range(40, 60):
        events = encoder.step(np.full((32, 32, 3), level, np.uint8), keep)
        told[level] = len(events)
        assert np.abs(table[level] - encoder._reference[:3]).max() < 6
    assert 0 < sum(count > 0 for count in told.values()) < 20


def test_held_regions_send_the_whole_difference_later():
    encoder, keep = Encoder(input_table(), 6, (32, 32)), np.ones((2, 2), bool)
    dark, bright = np.full((32, 32, 3), 90, np.uint8), np.full((32, 32, 3), 130, np.uint8)
    encoder.step(dark, keep)
    half = keep.copy()
    half[:, 0] = False
    assert len(encoder.step(bright, half)) == 32 * 16 * 3
    held = encoder.step(bright, keep)
    assert len(held) == 32 * 16 * 3 and (held.index % 96 < 48).all()
    change = (input_table()[130] - input_table()[90]) << 4
    np.testing.assert_array_equal(held.message.reshape(-1, 3), np.tile(change, (32 * 16, 1)))


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_a_region_that_was_masked_for_any_time_sends_what_changed_over_all_of_it(seed, held):
    """Frames in between are as if they had never been: where a region rests, its reference does."""
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 256, (held + 2, 32, 64, 3)).astype(np.uint8)
    resting = rng.random((2, 4)) < 0.5
    through, skipping = Encoder(input_table(), 6, (64, 32)), Encoder(input_table(), 6, (64, 32))
    for encoder in (through, skipping):
        encoder.step(frames[0], np.ones((2, 4), bool))
    for frame in frames[1:-1]:
        sent = through.step(frame, ~resting)
        y, x = np.divmod(sent.index // 3, 64)
        assert not resting[y // 16, x // 16].any(), "nothing comes from a region that rests"
    late, at_once = (encoder.step(frames[-1], resting) for encoder in (through, skipping))
    np.testing.assert_array_equal(late.index, at_once.index)
    np.testing.assert_array_equal(late.message, at_once.message)


def test_a_reset_restores_the_initial_references():
    encoder, keep = Encoder(input_table(), 6, (32, 32)), np.ones((2, 2), bool)
    image = np.full((32, 32, 3), 200, np.uint8)
    first = encoder.step(image, keep).message.copy()
    while len(encoder.step(image, keep)):
        pass
    encoder.reset()
    np.testing.assert_array_equal(encoder.step(image, keep).message, first)


def test_a_table_too_wide_for_the_reference_is_refused():
    with pytest.raises(ValueError, match="15 signed bits"):
        Encoder(np.full((256, 3), 1 << 14, np.int32), 6, (32, 32))


@pytest.mark.parametrize("image_shape, keep_shape", [((16, 32, 3), (2, 2)), ((32, 32), (2, 2)), ((32, 32, 3), (1, 2))])
def test_another_shape_is_refused(image_shape, keep_shape):
    with pytest.raises(ValueError, match="expected \\[32, 32, 3\\] and \\[2, 2\\]"):
        Encoder(input_table(), 6, (32, 32)).step(np.zeros(image_shape, np.uint8), np.ones(keep_shape, bool))


def test_the_portable_path_runs_without_a_compiler():
    script = """
import numpy as np
from regionmask_ros.encoder.encoder import Encoder
from regionmask_ros.engine.engine import EventEngine, PackedNetwork
from regionmask_ros.network.formats.lava_dl import input_table
from regionmask_ros.network.chain import ConvSpec
class Layers: layers = (ConvSpec("head", np.ones((2, 3, 1, 1), np.int32), None, 1, 0, 0),)
events = Encoder(input_table(), 6, (32, 32)).step(np.full((32, 32, 3), 200, np.uint8), np.ones((2, 2), bool))
engine = EventEngine(PackedNetwork(Layers()), (32, 32))
print(engine.kernel_set, int(engine.step_changes(events.changes).head[0, 0, 0]), int(events.message[:3].sum()))
"""
    kernel_set, head, expected = run_python("-c", script, NUMBA_DISABLE_JIT="1").stdout.split()
    assert kernel_set == "portable" and head == expected
