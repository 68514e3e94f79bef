"""Ages of regions, and boxes that no observed region confirms."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from made_detections import detections_of

from regionmask_ros.core.detections import Detections
from regionmask_ros.core.grid import RegionGrid
from regionmask_ros.mask.region_age import MAX_AGE, find_unobserved, initial_age, update_age

GRID, IMAGE_WH = RegionGrid(4, 6), (96, 64)


def test_an_age_counts_the_frames_since_a_region_was_sent():
    sent = np.zeros(GRID.shape, bool)
    sent[1, 2] = True
    first = update_age(initial_age(GRID), GRID.full(True))
    later = update_age(update_age(first, sent), sent)
    assert first.dtype == later.dtype == np.uint16
    assert not first.any() and later[1, 2] == 0 and later.sum() == 2 * (later.size - 1)


def test_an_age_ends_at_the_largest_number_and_does_not_start_again():
    nothing = GRID.full(False)
    assert (update_age(initial_age(GRID), nothing) == MAX_AGE).all()
    assert (update_age(np.full(GRID.shape, MAX_AGE - 1, np.uint16), nothing) == MAX_AGE).all()


def test_a_box_is_unobserved_when_none_of_its_regions_was_sent():
    keep = GRID.full(False)
    keep[1, 2] = True
    found = detections_of([32, 16, 48, 32], [40, 20, 90, 60], [0, 0, 32, 64], [48, 16, 64, 32], [96, 0, 96, 10])
    assert find_unobserved(found, keep, IMAGE_WH).tolist() == [False, False, True, True, True]
    assert find_unobserved(Detections.empty(), keep, IMAGE_WH).shape == (0,)


@given(st.integers(0, 2**32 - 1))
def test_unobserved_boxes_are_those_that_cover_no_kept_region(seed):
    rng = np.random.default_rng(seed)
    keep = rng.random(GRID.shape) < 0.2
    corner = rng.uniform(-20, 90, (5, 2))
    found = detections_of(*np.concatenate([corner, corner + rng.uniform(1, 40, (5, 2))], axis=1))
    expected = [not (keep & GRID.cover(box, IMAGE_WH)).any() for box in found.boxes]
    unobserved, visible = find_unobserved(found, keep, IMAGE_WH), GRID.spans(found.boxes, IMAGE_WH)[2]
    assert unobserved[visible].tolist() == [e for e, v in zip(expected, visible) if v]
