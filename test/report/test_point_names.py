"""Names of points in plots: they never overlap each other or a point."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from regionmask_ros.report.point_names import POINT_PX, place_names

AREA = (0.0, 0.0, 600.0, 400.0)
points = st.lists(st.tuples(st.floats(10, 590), st.floats(10, 390), st.floats(10, 120)), max_size=16)


@settings(max_examples=20)
@given(points)
def test_names_overlap_nothing_and_stay_in_the_plot(drawn):
    at, sizes = [(x, y) for x, y, _ in drawn], [(width, 11.0) for *_, width in drawn]
    boxes = place_names(np.array(at), np.array(sizes), AREA)
    assert boxes.shape == (len(drawn), 4)
    placed = boxes[~np.isnan(boxes[:, 0])]
    assert len(placed) == len(drawn), "there is room for all of them"
    assert (placed[:, :2] >= 0).all() and (placed[:, 2] <= AREA[2]).all() and (placed[:, 3] <= AREA[3]).all()
    markers = np.array([(x - POINT_PX, y - POINT_PX, x + POINT_PX, y + POINT_PX) for x, y in at]).reshape(-1, 4)
    for index, box in enumerate(placed):
        others = np.concatenate([np.delete(placed, index, axis=0), markers])
        across = np.minimum(box[2], others[:, 2]) - np.maximum(box[0], others[:, 0])
        down = np.minimum(box[3], others[:, 3]) - np.maximum(box[1], others[:, 1])
        assert not ((across > 1e-9) & (down > 1e-9)).any()


def test_a_name_goes_to_a_side_where_no_line_is():
    line = np.stack([np.linspace(100, 300, 80), np.full(80, 206.0)], axis=1)
    ((_, low, _, high),) = place_names(np.array([[100.0, 200.0]]), np.array([[80.0, 11.0]]), AREA, line)
    assert not low < 206 < high


def test_in_a_full_plot_some_names_have_no_place():
    boxes = place_names(np.array([[10.0, 10.0]] * 9), np.array([[50.0, 10.0]] * 9), (0.0, 0.0, 60.0, 40.0))
    assert np.isnan(boxes[:, 0]).any() and len(boxes) == 9
