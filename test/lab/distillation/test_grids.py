"""Grids of weights are exact: every weight is a whole number of steps, the nearest one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from regionmask_ros.lab.distillation.grids import CHANNEL, FLOAT, GRIDS, LARGEST, LAVA64, POW2, find_steps, round_weight

WEIGHTS = arrays(np.float32, st.tuples(st.integers(1, 5), st.integers(1, 6)),
                 elements=st.floats(-8, 8, width=32, allow_subnormal=False))


@pytest.mark.parametrize("grid", [name for name in GRIDS if name != FLOAT])
@given(weight=WEIGHTS)
def test_rounded_weights_are_whole_numbers_of_steps_and_the_nearest_ones(grid, weight):
    steps = find_steps(weight, grid).astype(np.float64)[:, None]
    whole = round_weight(weight, grid) / steps
    assert np.abs(whole).max() <= LARGEST + 1e-3
    np.testing.assert_allclose(whole, np.rint(whole), atol=1e-4)
    reachable = np.clip(weight / steps, -LARGEST, LARGEST)
    assert (np.abs(whole - reachable) <= 0.5 + 1e-4).all()


@given(weight=WEIGHTS)
def test_a_step_of_pow2_is_one_power_of_two_for_the_layer(weight):
    steps = find_steps(weight, POW2)
    assert len(set(steps)) == 1 and np.log2(steps[0]) == np.rint(np.log2(steps[0]))


@given(weight=WEIGHTS)
def test_no_weight_is_cut_on_grids_that_follow_the_weights(weight):
    for grid in (CHANNEL, POW2):
        assert (np.abs(round_weight(weight, grid) - weight) <= find_steps(weight, grid)[:, None] * 0.501).all()


def test_the_grid_of_lava_has_64_steps_for_1_and_ends_at_127_of_them():
    found = round_weight(np.array([[1.0, 0.4 / 64, -3.0]], np.float32), LAVA64)
    np.testing.assert_array_equal(found, np.array([[1.0, 0.0, -127 / 64]], np.float32))


def test_without_a_grid_weights_stay_as_they_are():
    weight = np.array([[0.123]], np.float32)
    assert round_weight(weight, FLOAT) is weight
