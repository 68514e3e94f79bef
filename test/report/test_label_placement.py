"""Places of labels: outside the object where there is room, always inside the picture."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from regionmask_ros.report.overlay import place_labels

PICTURE = (200, 100)


def place(*boxes, size=(40, 10), top=0):
    return [tuple(row) for row in place_labels(np.array(boxes), [size] * len(boxes), PICTURE, top).tolist()]


def test_the_usual_place_is_above_and_flush_left():
    assert place((50, 30, 80, 60)) == [(50, 20, 90, 30)]


def test_without_room_above_it_goes_below():
    assert place((50, 5, 80, 60)) == [(50, 60, 90, 70)]
    assert place((50, 15, 80, 60), top=20) == [(50, 60, 90, 70)]


def test_between_two_full_borders_it_goes_beside():
    assert place((50, 0, 80, 100)) == [(80, 0, 120, 10)]


def test_an_object_that_fills_the_picture_gets_it_inside_at_the_top():
    assert place((0, 0, 200, 100), top=15) == [(0, 15, 40, 25)]


def test_labels_of_neighbours_keep_apart():
    first, second = place((50, 30, 60, 60), (65, 30, 75, 60))
    assert first == (50, 20, 90, 30)
    assert second[0] >= first[2] or second[1] >= first[3] or second[3] <= first[1] or second[2] <= first[0]


def test_no_object_no_label():
    assert place_labels(np.zeros((0, 4), np.int64), [], PICTURE).shape == (0, 4)


corner = st.tuples(st.integers(0, 200), st.integers(0, 100), st.integers(0, 200), st.integers(0, 100))


@given(st.lists(corner, max_size=12), st.integers(1, 200), st.integers(1, 100), st.integers(0, 120))
def test_labels_stay_inside_the_picture(corners, width, height, top):
    boxes = np.array(corners, np.int64).reshape(-1, 4)
    boxes = np.hstack([np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])])
    labels = place_labels(boxes, [(width, height)] * len(boxes), PICTURE, top)
    assert (labels[:, :2] >= 0).all() and (labels[:, 2:] <= PICTURE).all()
    assert (labels[:, 2:] - labels[:, :2] == (width, height)).all()
    assert (labels[:, 1] >= min(top, PICTURE[1] - height)).all()
