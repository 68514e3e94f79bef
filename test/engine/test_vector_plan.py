"""Which way outputs are computed changes nothing but the time: the integers are the twin's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regionmask_ros.encoder.encoder import Encoder
from regionmask_ros.engine.engine import EventEngine, PackedNetwork, available_kernel_sets
from regionmask_ros.engine.reference import ReferenceNetwork
from regionmask_ros.engine.simd.crossover import ALL_DENSE, ALL_GATHERED, NEVER, Crossover, Line
from regionmask_ros.engine.simd.kernels import outputs_per_step, plan_map
from regionmask_ros.network.formats.lava_dl import input_table
from regionmask_ros.network.graph import ConvSpec

VECTORS = [path for path in available_kernel_sets() if path in ("avx512", "avx2")]
HALF = Crossover(20, 0.0, 0.0, False)
"""Some outputs of a layer each way."""


@dataclass(frozen=True)
class Layers:
    layers: tuple[ConvSpec, ...]


def network(seed: int, channels: tuple[int, ...], size: int, stride: int) -> Layers:
    rng, specs = np.random.default_rng(seed), []
    for number, (inputs, outputs) in enumerate(zip(channels, channels[1:])):
        last = number == len(channels) - 2
        weight = rng.integers(-60, 61, (outputs, inputs, size, size)).astype(np.int32)
        bias = None if last else rng.integers(-90, 90, outputs).astype(np.int32)
        specs.append(ConvSpec(f"c{number}", weight, bias, stride if number == 1 else 1, size // 2, 6))
    return Layers(tuple(specs))


def force(engine: EventEngine, crossover: Crossover) -> None:
    layers = engine._layers.layers
    for before, layer in zip(layers, layers[1:]):
        layer.crossover, before.list_changes = crossover, not crossover.always_dense


@pytest.mark.parametrize("path", VECTORS)
@pytest.mark.parametrize("crossover", [ALL_DENSE, ALL_GATHERED, HALF, Crossover(1, 0.0, 0.0, False)])
@settings(max_examples=12)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 3]), st.sampled_from([1, 2]), st.sampled_from([0.05, 1.0]),
       st.sampled_from([1, 997]))
def test_both_ways_equal_the_twin(equals_reference, path, crossover, seed, size, stride, density, factor):
    small, rng = network(seed, (3, 20, 40, 64, 5), size, stride), np.random.default_rng(seed)
    reference_network = ReferenceNetwork(small, (11, 9), "carry")
    engine = EventEngine(PackedNetwork(small), (11, 9), "carry", path)
    force(engine, crossover)
    equals_reference(engine, reference_network, (
        np.where(rng.random((9, 11, 3)) < density, rng.integers(-128, 128, (9, 11, 3)) << 4, 0) * factor
        for _ in range(3)))


@pytest.mark.parametrize("path", VECTORS)
def test_change_maps_and_lists_give_the_same_when_they_alternate(path):
    small = network(7, (3, 16, 32, 8), 3, 2)
    packed, encoder = PackedNetwork(small), Encoder(input_table(), 6, (64, 48))
    by_map, by_list, mixed = (EventEngine(packed, (64, 48), "carry", path) for _ in range(3))
    rng = np.random.default_rng(5)
    for frame in range(8):
        keep = rng.random((3, 4)) < 0.6
        events = encoder.step(rng.integers(0, 256, (48, 64, 3)).astype(np.uint8), keep)
        results = [by_map.step_changes(events.changes), by_list.step(events.index, events.message)]
        results.append(mixed.step_changes(events.changes) if frame % 3 else mixed.step(events.index, events.message))
        for result in results[1:]:
            np.testing.assert_array_equal(result.head, results[0].head)
            assert result.synops == results[0].synops and result.layer_events == results[0].layer_events


def test_every_way_is_measured_and_chosen_by_its_time():
    gathered, cheap = Line.through((10, 2.0), (20, 3.0)), Line(0.3, 0.05)
    assert gathered == Line(pytest.approx(1.0), pytest.approx(0.1))
    usual = Crossover(40, pytest.approx(3), pytest.approx(0.5), False)
    assert Crossover.of(gathered, 4.95, cheap, 100, 9, 9.0) == usual
    # Cheaper from fewer than a spike for each tap: lists are of no use.
    assert Crossover.of(gathered, 1.45, cheap, 100, 9, 9.0) == Crossover(5, pytest.approx(3), pytest.approx(0.5), True)
    # Spreading costs more than gathering, and dense wins on most windows.
    assert Crossover.of(gathered, 4.95, Line(0.0, 1.0), 100, 9, 9.0).always_dense
    assert not Crossover.of(gathered, 7.0, Line(0.0, 1.0), 100, 9, 9.0).always_dense
    # A clock that ran backwards for a while must not break anything.
    assert Crossover.of(Line(5.0, -1.0), 6.0, cheap, 100, 9, 9.0).spikes == NEVER


def test_a_map_is_made_only_where_it_pays():
    crossover = Crossover(100, 0.1, 0.5, False)
    assert crossover.is_worthwhile(10, 10 * 150, 1000, lambda: 799)
    assert not crossover.is_worthwhile(10, 10 * 150, 1000, lambda: 801)
    assert not crossover.is_worthwhile(10, 10 * 150, 6000, lambda: 0)
    assert not crossover.is_worthwhile(0, 0, 0, lambda: 0)


@pytest.mark.parametrize("path", VECTORS)
def test_crossovers_are_measured_once_for_all_cameras(path):
    packed = PackedNetwork(network(3, (3, 16, 32, 8), 3, 1))
    one, other = EventEngine(packed, (32, 32), "carry", path), EventEngine(packed, (48, 32), "carry", path)
    measured = [layer.crossover for layer in one._layers.layers[1:]]
    assert all(crossover.spikes >= 1 for crossover in measured)
    assert all(mine is layer.crossover for mine, layer in zip(measured, other._layers.layers[1:]))


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 4), st.integers(16, 70))
def test_the_plan_of_a_map_finds_exactly_the_outputs_that_a_spike_reaches(seed, size, stride, cols_in):
    rng, rows_in, padding, before = np.random.default_rng(seed), 7, size // 2, 8
    spikes = rng.random((rows_in, cols_in)) < 0.05
    words = 1 + -(-cols_in // 16) + 4
    fired = np.zeros(((rows_in + 16), words), np.uint16)
    for y, x in np.argwhere(spikes):
        fired[y + before, 1 + x // 16] |= np.uint16(1 << x % 16)
    rows, cols = ((n + 2 * padding - size) // stride + 1 for n in (rows_in, cols_in))
    padded = np.pad(spikes, padding)
    due = [y << 16 | x for y in range(rows) for x in range(cols)
           if padded[y * stride:y * stride + size, x * stride:x * stride + size].any()]
    place = np.empty(rows * cols, np.int32)
    flat = np.concatenate([fired.ravel(), np.zeros(4, np.uint16)])
    n = plan_map(False, flat, words, before, size, stride, padding, outputs_per_step(size, stride), rows, cols, place)
    assert place[:n].tolist() == due
