"""Whether outputs are gathered or computed densely changes nothing but the time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import (
    ALL_DENSE,
    ALL_GATHERED,
    assert_equals_reference,
    force_crossover,
    random_layers,
    random_messages,
)

from regionmask_ros.engine.engine import EventEngine, PackedNetwork, available_kernel_sets
from regionmask_ros.engine.reference import ReferenceNetwork
from regionmask_ros.engine.simd.crossover import NEVER, Crossover, Line
from regionmask_ros.engine.simd.kernels import outputs_per_step, plan_map

each_simd_set = pytest.mark.parametrize(
    "kernel_set", [name for name in available_kernel_sets() if name in ("avx512", "avx2")])
MIXED = Crossover(20, 0.0, 0.0, False)
"""Some outputs of a layer each way."""


@each_simd_set
@pytest.mark.parametrize("crossover", [ALL_DENSE, ALL_GATHERED, MIXED, Crossover(1, 0.0, 0.0, False)])
@settings(max_examples=12)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 3]), st.sampled_from([1, 2]), st.sampled_from([0.05, 1.0]),
       st.sampled_from([1, 997]))
def test_both_ways_equal_the_reference(kernel_set, crossover, seed, size, stride, density, factor):
    network, rng = random_layers(seed, (3, 20, 40, 64, 5), size, stride), np.random.default_rng(seed)
    engine = EventEngine(PackedNetwork(network), (11, 9), "carry", kernel_set)
    force_crossover(engine, crossover)
    assert_equals_reference(engine, ReferenceNetwork(network, (11, 9), "carry"), (
        random_messages(rng, (9, 11, 3), density, factor) for _ in range(3)))


def test_the_crossover_follows_from_measured_times():
    gathered, cheap = Line.through((10, 2.0), (20, 3.0)), Line(0.3, 0.05)
    assert gathered == Line(pytest.approx(1.0), pytest.approx(0.1))
    usual = Crossover(40, pytest.approx(3), pytest.approx(0.5), False)
    assert Crossover.of(gathered, 4.95, cheap, 100, 9, 9.0) == usual
    # Cheaper from less than one entry for each tap: lists are of no use.
    assert Crossover.of(gathered, 1.45, cheap, 100, 9, 9.0) == Crossover(5, pytest.approx(3), pytest.approx(0.5), True)
    # Writing a map costs more than gathering, and dense is cheaper for most windows.
    assert Crossover.of(gathered, 4.95, Line(0.0, 1.0), 100, 9, 9.0).always_dense
    assert not Crossover.of(gathered, 7.0, Line(0.0, 1.0), 100, 9, 9.0).always_dense
    # A clock that ran backwards for a while must not break anything.
    assert Crossover.of(Line(5.0, -1.0), 6.0, cheap, 100, 9, 9.0).entries == NEVER


def test_a_map_is_made_only_where_it_pays():
    crossover = Crossover(100, 0.1, 0.5, False)
    assert crossover.is_worthwhile(10, 10 * 150, 1000, lambda: 799)
    assert not crossover.is_worthwhile(10, 10 * 150, 1000, lambda: 801)
    assert not crossover.is_worthwhile(10, 10 * 150, 6000, lambda: 0)
    assert not crossover.is_worthwhile(0, 0, 0, lambda: 0)


@each_simd_set
def test_crossovers_are_measured_once_for_all_cameras(kernel_set):
    packed = PackedNetwork(random_layers(3, (3, 16, 32, 8), 3, 1))
    stacks: list[Any] = [EventEngine(packed, size, "carry", kernel_set)._stack for size in ((32, 32), (48, 32))]
    one, other = (stack.crossovers for stack in stacks)
    assert one.keys() == other.keys() == {1, 2}
    assert all(one[number] is other[number] and one[number].entries >= 1 for number in one)


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 4), st.integers(16, 70))
def test_the_plan_of_a_map_finds_exactly_the_outputs_that_an_event_reaches(seed, size, stride, cols_in):
    rng, rows_in, padding, before = np.random.default_rng(seed), 7, size // 2, 8
    events = rng.random((rows_in, cols_in)) < 0.05
    words = 1 + -(-cols_in // 16) + 4
    fired = np.zeros(((rows_in + 16), words), np.uint16)
    for y, x in np.argwhere(events):
        fired[y + before, 1 + x // 16] |= np.uint16(1 << x % 16)
    rows, cols = ((n + 2 * padding - size) // stride + 1 for n in (rows_in, cols_in))
    padded = np.pad(events, padding)
    expected = [y << 16 | x for y in range(rows) for x in range(cols)
                if padded[y * stride:y * stride + size, x * stride:x * stride + size].any()]
    place = np.empty(rows * cols, np.int32)
    flat = np.concatenate([fired.ravel(), np.zeros(4, np.uint16)])
    n = plan_map(False, flat, words, before, (size, stride, padding), outputs_per_step(size, stride), rows, cols, place)
    assert place[:n].tolist() == expected
