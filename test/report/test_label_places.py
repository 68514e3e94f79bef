"""Where labels are: they hide little, stay inside the image, and do not jump."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from regionmask_ros.report.label_places import NEW, place_labels

IMAGE_WH = (200, 100)


def place(*boxes, size=(40, 10), top=0):
    tabs, _ = place_labels(np.array(boxes), [size] * len(boxes), IMAGE_WH, top)
    return [tuple(row) for row in tabs.tolist()]


def test_a_label_is_above_the_box_aligned_left():
    assert place((50, 30, 80, 60)) == [(50, 20, 90, 30)]


def test_without_room_above_a_label_is_below():
    assert place((50, 5, 80, 60)) == [(50, 60, 90, 70)]
    assert place((50, 15, 80, 60), top=20) == [(50, 60, 90, 70)]


def test_without_room_above_and_below_a_label_is_beside_the_box():
    assert place((50, 0, 80, 100)) == [(80, 0, 120, 10)]


def test_the_label_of_an_object_that_fills_the_image_is_inside_at_the_top():
    assert place((0, 0, 200, 100), top=15) == [(0, 15, 40, 25)]


def test_labels_of_neighbors_keep_apart():
    first, second = place((50, 30, 60, 60), (65, 30, 75, 60))
    assert first == (50, 20, 90, 30)
    assert second[0] >= first[2] or second[1] >= first[3] or second[3] <= first[1] or second[2] <= first[0]


def test_without_objects_there_are_no_labels():
    tabs, places = place_labels(np.zeros((0, 4), np.int64), [], IMAGE_WH)
    assert tabs.shape == (0, 4) and places == []


@given(st.lists(st.integers(-6, 6), min_size=20, max_size=20))
def test_the_label_of_a_box_that_moves_a_little_stays_on_its_side(steps):
    # Around this height, the label has just room above the box, or not.
    sides = []
    for step in steps:
        box = np.array([(50, 22 + step, 80, 60)])
        before = sides[-1] if sides else [NEW]
        sides.append(place_labels(box, [(40, 10)], IMAGE_WH, 20, before)[1])
    assert len({tuple(side) for side in sides}) == 1


def test_a_label_moves_when_it_would_hide_another_one():
    boxes = np.array([(50, 60, 60, 90), (65, 60, 75, 90)])
    _, alone = place_labels(boxes[1:], [(40, 10)], IMAGE_WH)
    tabs, places = place_labels(boxes, [(40, 10)] * 2, IMAGE_WH, 0, [alone[0], alone[0]])
    assert places[0] == alone[0] != places[1]
    assert tabs[0, 2] <= tabs[1, 0] or tabs[0, 3] <= tabs[1, 1] or tabs[1, 3] <= tabs[0, 1]


corner = st.tuples(st.integers(0, 200), st.integers(0, 100), st.integers(0, 200), st.integers(0, 100))


@given(st.lists(corner, max_size=12), st.integers(1, 200), st.integers(1, 100), st.integers(0, 120))
def test_labels_stay_inside_the_image(corners, width, height, top):
    boxes = np.array(corners, np.int64).reshape(-1, 4)
    boxes = np.hstack([np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])])
    labels, _ = place_labels(boxes, [(width, height)] * len(boxes), IMAGE_WH, top)
    assert (labels[:, :2] >= 0).all() and (labels[:, 2:] <= IMAGE_WH).all()
    assert (labels[:, 2:] - labels[:, :2] == (width, height)).all()
    assert (labels[:, 1] >= min(top, IMAGE_WH[1] - height)).all()
