"""Overlaps of boxes with each other and with masks, against counting whole pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regionmask_ros.core.boxes import covered_fraction, iou_matrix
from regionmask_ros.core.grid import OBSERVED_SHARE, RegionGrid, coverage, is_observed
from regionmask_ros.mask.heat import compute_heat

GRID, WIDTH, HEIGHT = RegionGrid(3, 4), 32, 24
"""Regions of 8x8 pixels."""

boxes = st.lists(st.tuples(
    st.integers(-8, WIDTH), st.integers(-8, HEIGHT), st.integers(0, 30), st.integers(0, 30)), max_size=5,
).map(lambda rows: np.array([[x, y, x + w, y + h] for x, y, w, h in rows], float).reshape(-1, 4))
masks = st.integers(0, 2**12 - 1).map(lambda bits: np.array([bits >> i & 1 for i in range(12)], bool).reshape(3, 4))


def painted(box: np.ndarray) -> np.ndarray:
    """bool, pixels of a plane large enough for every box here."""
    plane = np.zeros((HEIGHT + 60, WIDTH + 60), bool)
    x0, y0, x1, y1 = (box + 20).astype(int)
    plane[y0:y1, x0:x1] = True
    return plane


def inside(box: np.ndarray) -> np.ndarray:
    """The pixels of a box in the image, bool [HEIGHT, WIDTH]."""
    return painted(box)[20:20 + HEIGHT, 20:20 + WIDTH]


@settings(max_examples=40)
@given(boxes, boxes)
def test_overlaps_are_those_of_pixels(some, others):
    union, own = iou_matrix(some, others), covered_fraction(some, others)
    assert union.shape == own.shape == (len(some), len(others))
    np.testing.assert_array_equal(union, iou_matrix(others, some).T)
    for i, one in enumerate(map(painted, some)):
        for j, other in enumerate(map(painted, others)):
            common, either = np.count_nonzero(one & other), np.count_nonzero(one | other)
            assert union[i, j] == pytest.approx(common / either if either else 0.0)
            assert own[i, j] == pytest.approx(common / np.count_nonzero(one) if one.any() else 0.0)


@given(boxes)
def test_a_box_overlaps_itself_wholly_and_moving_all_changes_nothing(some):
    area = (some[:, 2] - some[:, 0]) * (some[:, 3] - some[:, 1]) > 0
    np.testing.assert_array_equal(np.diag(iou_matrix(some, some)), area.astype(float))
    np.testing.assert_array_equal(iou_matrix(some + 64.0, some + 64.0), iou_matrix(some, some))


@settings(max_examples=40)
@given(boxes, masks)
def test_the_observed_share_of_a_box_is_its_share_of_pixels(some, keep):
    observed = np.kron(keep, np.ones((8, 8), bool)).astype(bool)
    expected = [np.count_nonzero(pixels & observed) / max(np.count_nonzero(pixels), 1) for pixels in map(inside, some)]
    assert coverage(some, keep, (WIDTH, HEIGHT)) == pytest.approx(expected)
    assert coverage(some, ~keep, (WIDTH, HEIGHT)) == pytest.approx(
        [inside(box).any() - share for box, share in zip(some, expected)]), "what is not observed is masked"
    for grid in (keep, GRID.full(True), GRID.full(False)):
        seen = coverage(some, grid, (WIDTH, HEIGHT)) >= OBSERVED_SHARE if grid.any() and not grid.all() else grid.all()
        assert (is_observed(some, grid, (WIDTH, HEIGHT)) == seen).all()


@given(boxes)
def test_boxes_touch_exactly_the_regions_that_they_heat(some):
    touched = GRID.cover(some, (WIDTH, HEIGHT))
    np.testing.assert_array_equal(touched, compute_heat(some, GRID, (WIDTH, HEIGHT)) > 0)
    low, high, visible = GRID.spans(some, (WIDTH, HEIGHT))
    assert (low >= 0).all() and (high <= [GRID.cols, GRID.rows]).all()
    for box, start, end, shown in zip(some, low, high, visible):
        regions = inside(box).reshape(3, 8, 4, 8).any(axis=(1, 3))
        assert shown == regions.any()
        if shown:
            places = np.argwhere(regions)[:, ::-1]
            assert [*start, *end] == [*places.min(axis=0), *(places.max(axis=0) + 1)]


@given(boxes, boxes, st.integers(0, 3))
def test_covering_more_boxes_is_a_union_and_a_wider_ring_holds_a_narrower_one(some, others, ring):
    def cover(which: np.ndarray, wide: int) -> np.ndarray:
        return GRID.cover(which, (WIDTH, HEIGHT), wide)

    both = np.concatenate([some, others])
    np.testing.assert_array_equal(cover(both, ring), cover(some, ring) | cover(others, ring))
    assert cover(some, ring + 1)[cover(some, ring)].all()
