from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionmask_ros.core.grid import RegionGrid


def test_grid_of_an_input():
    assert RegionGrid.of_input((704, 224)).shape == (14, 44)
    with pytest.raises(ValueError, match="do not tile"):
        RegionGrid.of_input((700, 224))


def test_box_edges_on_a_border_stay_inside():
    grid = RegionGrid(4, 4)
    keep = grid.cover(np.array([[16, 16, 32, 48]]), (64, 64))
    assert np.argwhere(keep).tolist() == [[1, 1], [2, 1]]
    assert grid.cover(np.array([[16, 16, 32.1, 48]]), (64, 64)).sum() == 4


@given(
    st.integers(1, 9), st.integers(1, 9), st.integers(20, 900), st.integers(20, 900), st.integers(0, 2),
    st.lists(st.tuples(*[st.floats(-300, 1200, width=32)] * 4), max_size=6),
)
def test_cover_equals_a_search_over_regions(rows, cols, width, height, ring, boxes):
    grid = RegionGrid(rows, cols)
    boxes = np.array([[min(a, c), min(b, d), max(a, c), max(b, d)] for a, b, c, d in boxes], float).reshape(-1, 4)
    expected = np.zeros((rows, cols), bool)
    for x0, y0, x1, y1 in np.clip(boxes, 0, [width, height, width, height]):
        if x1 <= x0 or y1 <= y0:
            continue
        # As in the code: box edges in units of regions.
        c0, c1, r0, r1 = x0 * (cols / width), x1 * (cols / width), y0 * (rows / height), y1 * (rows / height)
        for r in range(rows):
            for c in range(cols):
                near = r0 < r + 1 + ring and r1 > r - ring and c0 < c + 1 + ring and c1 > c - ring
                expected[r, c] |= near
    np.testing.assert_array_equal(grid.cover(boxes, (width, height), ring), expected)
