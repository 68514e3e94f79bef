from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionmask_ros.core.grid import RegionGrid
from regionmask_ros.errors import UserError
from regionmask_ros.mask.budget import attended_regions, nearest_regions
from regionmask_ros.mask.heat import Calibration, HeatMap, Target, compute_heat, grow_mask, min_cover_mask, top_k_mask

GRID, IMAGE_WH = RegionGrid(4, 6), (96, 64)

boxes = st.lists(
    st.tuples(st.floats(-50, 120), st.floats(-50, 120), st.floats(0, 90), st.floats(0, 90)), max_size=6,
).map(lambda rows: np.array([[x, y, x + w, y + h] for x, y, w, h in rows]).reshape(-1, 4))


def test_heat_is_what_boxes_cover():
    heat = compute_heat(np.array([[16, 16, 40, 32], [16, 16, 32, 32]]), GRID, IMAGE_WH)
    assert heat[1, 1] == 2 and heat[1, 2] == 0.5 and heat.sum() == 2.5


@given(boxes)
def test_heat_adds_up_to_the_boxes_area_in_the_image(some):
    inside = np.clip(some, 0, [96, 64, 96, 64])
    area = ((inside[:, 2] - inside[:, 0]) * (inside[:, 3] - inside[:, 1])).sum()
    assert compute_heat(some, GRID, IMAGE_WH).sum() * 256 == pytest.approx(area, abs=1e-6)


@given(st.lists(boxes, max_size=4))
def test_heat_collected_frame_by_frame_is_the_heat_of_all_boxes(frames):
    collected = HeatMap(GRID, IMAGE_WH)
    array = collected.heat
    for some in frames:
        collected.add(some.astype(np.float32))
    expected = compute_heat(np.concatenate([np.zeros((0, 4)), *frames]).astype(np.float32), GRID, IMAGE_WH)
    np.testing.assert_allclose(collected.heat, expected, atol=1e-9)
    assert collected.heat is array and collected.frames == len(frames)
    collected.clear()
    assert not array.any() and collected.frames == 0


def test_the_smallest_mask_that_holds_a_share():
    heat = np.zeros((4, 6))
    heat[0, :4] = 5, 3, 1, 1
    assert np.flatnonzero(min_cover_mask(heat, 0.5)).tolist() == [0]
    assert np.flatnonzero(min_cover_mask(heat, 0.8)).tolist() == [0, 1]
    assert np.flatnonzero(min_cover_mask(heat, 1.0)).tolist() == [0, 1, 2, 3]
    with pytest.raises(UserError, match="no object was seen"):
        min_cover_mask(np.zeros((4, 6)))


@given(st.integers(0, 2**32 - 1), st.floats(0.01, 1.0))
def test_the_smallest_mask_holds_the_share_and_one_region_less_would_not(seed, cover):
    heat = np.random.default_rng(seed).exponential(1.0, (4, 6)).round(2) + 0.01
    keep = min_cover_mask(heat, cover)
    assert heat[keep].sum() >= cover * heat.sum() * (1 - 1e-9)
    assert heat[top_k_mask(heat, int(keep.sum()) - 1)].sum() < cover * heat.sum()


def test_regions_of_equal_heat_come_from_where_it_is_hot():
    heat = np.zeros((9, 9))
    heat[4, 4] = 1
    assert np.array_equal(top_k_mask(heat, 9), grow_mask(heat > 0, 1))
    assert not top_k_mask(heat, 0).any() and top_k_mask(heat, 81).all()


@given(st.lists(boxes, min_size=1, max_size=4), st.integers(0, 2), st.floats(0.1, 1.0))
def test_the_curve_of_losses_holds_every_mask_that_can_be_chosen(frames, ring, cover):
    calibration = Calibration(GRID)
    for number, some in enumerate(frames):
        calibration.add(some, ["car"] * len(some), IMAGE_WH if number % 2 else (120, 80))
    curve = calibration.loss_curve(ring)
    assert (np.diff(curve.kept) >= 0).all() and (np.diff(curve.lost) <= 0).all()
    if calibration.heat.any():
        keep = Target(cover, None, ring).mask(calibration.heat)
        lost = sum(loss.lost for loss in calibration.losses(keep)) / calibration.objects
        assert (keep.mean(), lost) in set(zip(curve.kept, curve.lost)), "24 regions: all sizes are in the curve"
        assert curve.kept[0] == 0.0 and curve.lost[0] == 1.0


def test_a_budget_counts_the_refresh_frames():
    grid = RegionGrid(10, 10)
    assert attended_regions(grid, 0.6, 8) == 31, "7 of 8 frames must mask more than 60 %"
    assert attended_regions(grid, 0.6, 0) == 40 and attended_regions(grid, 0.0, 8) == 100
    assert attended_regions(grid, 0.875, 8) == 0
    with pytest.raises(UserError, match="at most 0.88 can be masked"):
        attended_regions(grid, 0.9, 8)


def test_the_nearest_regions_come_ring_by_ring_and_boxes_of_higher_scores_first():
    one = np.array([[34, 18, 46, 30]])
    assert np.argwhere(nearest_regions(one, [0.5], GRID, IMAGE_WH, 1)).tolist() == [[1, 2]]
    assert np.array_equal(nearest_regions(one, [0.5], GRID, IMAGE_WH, 9), GRID.cover(one, IMAGE_WH, ring=1))
    two = np.array([[0, 0, 16, 16], [80, 48, 96, 64]])
    assert np.argwhere(nearest_regions(two, [0.3, 0.9], GRID, IMAGE_WH, 1)).tolist() == [[3, 5]]
    assert not nearest_regions(np.zeros((0, 4)), [], GRID, IMAGE_WH, 5).any()
    assert not nearest_regions(np.array([[200, 200, 220, 220]]), [1.0], GRID, IMAGE_WH, 5).any(), "outside the image"


@given(boxes, st.integers(0, 24))
def test_a_budget_is_kept(some, regions):
    keep = nearest_regions(some, np.full(len(some), 0.5), GRID, IMAGE_WH, regions)
    touched = GRID.cover(some, IMAGE_WH)
    assert keep.sum() == (regions if touched.any() else 0)
    assert keep[touched].all() or not keep[~touched].any(), "boxes come before anything else"
