"""The encoder's dense map and its list of events give the same, to every kernel set."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import Layers, assert_results_equal, head

from regionmask_ros.core.events import reach_masks
from regionmask_ros.encoder.encoder import Encoder
from regionmask_ros.engine.engine import EventEngine, PackedNetwork, available_kernel_sets
from regionmask_ros.network.chain import ConvSpec


def random_case(seed: int, channels: int):
    """(network, encoder, rng): two layers behind an encoder whose table is a straight line; windows up to 5x5."""
    rng = np.random.default_rng(seed)
    size, stride, outputs = int(rng.integers(1, 6)), int(rng.integers(1, 5)), int(rng.integers(1, 70))
    weight = rng.integers(-64, 65, (outputs, channels, size, size)).astype(np.int32)
    bias = rng.integers(-60, 60, outputs).astype(np.int32)
    last = rng.integers(-64, 65, (5, outputs, 1, 1)).astype(np.int32)
    network = Layers((
        ConvSpec("c", weight, bias, stride, int(rng.integers(0, size)), 6), ConvSpec("head", last, None, 1, 0, 0)))
    table = np.arange(-128, 128, dtype=np.int32)[:, None].repeat(channels, axis=1)
    return network, Encoder(table, 6, (64, 32)), rng


@pytest.mark.parametrize("kernel_set", available_kernel_sets())
@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 3, 4, 5, 70]))
def test_a_frame_as_map_and_as_list_gives_the_same(kernel_set, seed, channels):
    network, encoder, rng = random_case(seed, channels)
    packed = PackedNetwork(network)
    by_map, by_list = (EventEngine(packed, (64, 32), "carry", kernel_set) for _ in range(2))
    image = rng.integers(0, 256, (32, 64, channels)).astype(np.uint8)
    for _ in range(4):
        changed = rng.random(image.shape) < 0.2
        image = np.where(changed, rng.integers(0, 256, image.shape), image).astype(np.uint8)
        events = encoder.step(image, rng.random((2, 4)) < 0.7)
        one, other = by_map.step_changes(events.changes), by_list.step(events.index, events.message)
        assert_results_equal(one, other)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 3, 4, 6, 20]))
def test_reached_outputs_are_counted_for_each_event(seed, channels):
    _, encoder, rng = random_case(seed, channels)
    reach_y, reach_x = rng.integers(0, 6, 32).astype(np.int32), rng.integers(0, 6, 64).astype(np.int32)
    events = encoder.step(rng.integers(0, 256, (32, 64, channels)).astype(np.uint8), rng.random((2, 4)) < 0.5)
    y, x, _ = np.unravel_index(events.index, events.shape)
    counted = events.changes.reached(reach_y, reach_masks(reach_x, events.changes.stored))
    assert counted == int((reach_y[y].astype(np.int64) * reach_x[x]).sum())


def test_a_map_is_empty_after_a_masked_frame_and_after_a_reset():
    _, encoder, rng = random_case(5, 3)
    image = rng.integers(0, 256, (32, 64, 3)).astype(np.uint8)
    everything, nothing = np.ones((2, 4), bool), np.zeros((2, 4), bool)
    assert len(encoder.step(image, everything)) > 1000
    masked = encoder.step(255 - image, nothing)
    assert len(masked) == 0 and not masked.changes.value.any() and not masked.changes.spikes.any()
    assert len(encoder.step(255 - image, everything)) > 1000
    encoder.reset()
    changes = encoder.step(image, nothing).changes
    assert not changes.value.any() and not changes.fired.any()


@pytest.mark.parametrize("kernel_set", available_kernel_sets())
def test_a_map_of_another_size_is_an_error(kernel_set):
    network, encoder, rng = random_case(5, 3)
    changes = encoder.step(rng.integers(0, 256, (32, 64, 3)).astype(np.uint8), np.ones((2, 4), bool)).changes
    with pytest.raises(ValueError, match="a map of 64x32x3, the engine's input is 32x32x3"):
        EventEngine(PackedNetwork(network), (32, 32), "carry", kernel_set).step_changes(changes)


@pytest.mark.parametrize("kernel_set", available_kernel_sets())
def test_encoders_and_lists_and_maps_may_alternate(kernel_set):
    """An engine is bound to the last map that it read; another map, or a list, must not be taken for it."""
    network, encoder, rng = random_case(11, 3)
    other = Encoder(np.arange(-128, 128, dtype=np.int32)[:, None].repeat(3, axis=1), 6, (64, 32))
    engine, check = (EventEngine(PackedNetwork(network), (64, 32), "carry", kernel_set) for _ in range(2))
    for turn in range(9):
        image = rng.integers(0, 256, (32, 64, 3)).astype(np.uint8)
        events = (encoder if turn % 2 else other).step(image, np.ones((2, 4), bool))
        mixed = engine.step(events.index, events.message) if turn % 3 == 2 else engine.step_changes(events.changes)
        assert_results_equal(mixed, check.step(events.index, events.message))


@pytest.mark.parametrize("kernel_set", available_kernel_sets())
@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["lava", "carry", "snap"]))
def test_a_frame_without_events_changes_nothing(kernel_set, seed, arithmetic):
    """Such a frame is skipped; an engine that is profiled takes it through all layers."""
    _, encoder, rng = random_case(seed, 3)
    convolutions = [ConvSpec(
        f"c{n}", rng.integers(-60, 60, (after, before, 3, 3)).astype(np.int32),
        rng.integers(-500, 500, after).astype(np.int32), 1, 1, 6)
        for n, (before, after) in enumerate(pairwise((3, 20, 40, 7)))]
    packed = PackedNetwork(Layers((*convolutions, *head(rng.integers(-60, 60, (5, 7, 1, 1))).layers)))
    quick, whole = (EventEngine(packed, (64, 32), arithmetic, kernel_set) for _ in range(2))
    whole.profile_hook = lambda part: None
    for share in (0.0, 1.0, 0.0, 0.0, 0.5, 0.0, 1.0):
        keep = rng.random((2, 4)) < share
        changes = encoder.step(rng.integers(0, 256, (32, 64, 3)).astype(np.uint8), keep).changes
        one, other = quick.step_changes(changes), whole.step_changes(changes)
        assert_results_equal(one, other)
        assert changes.events or not any(one.synops)
