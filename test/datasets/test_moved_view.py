"""A sequence whose view moves once: images and labels move together, and all pixels are those of the sequence."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionmask_ros.datasets.labels import LabelledSequence, LabelRow, Labels
from regionmask_ros.datasets.moved_view import ViewShift, shift_view
from regionmask_ros.errors import UserError
from regionmask_ros.sources import open_source

FRAMES, WIDTH, HEIGHT = 6, 130, 40


@pytest.fixture(scope="module")
def sequence(tmp_path_factory):
    """A bright square at columns 60 to 80; one other object is half outside of the first view."""
    folder = tmp_path_factory.mktemp("images")
    for t in range(FRAMES):
        image = np.full((HEIGHT, WIDTH, 3), 10 * t, np.uint8)
        image[10:30, 60:80] = 255
        cv2.imwrite(str(folder / f"{t}.png"), image)
    rows = [LabelRow(t, "person", 60, 10, 20, 20, track=1) for t in range(FRAMES)]
    rows += [LabelRow(1, "person", 95, 0, 12, 9), LabelRow(1, "person", 80, 0, 30, 9)]
    rows += [LabelRow(1, "any", 70, 30, 60, 9, ignore=True), LabelRow(1, "person", 110, 0, 9, 9)]
    return LabelledSequence("still", Labels.of_rows(rows), lambda: open_source(str(folder)), (str(folder),))


def test_images_and_labels_move_together(sequence):
    moved = shift_view(sequence, ViewShift(0.3, 3))
    with moved.open() as source:
        assert source.size_wh == (100, HEIGHT) and source.frame_count == FRAMES and source.name == sequence.open().name
        frames = list(source.frames())
    for t, frame in enumerate(frames):
        assert frame.size_wh == (100, HEIGHT)
        (x0, y0, x1, y1), track = moved.labels.at(t).boxes[0].astype(int), moved.labels.at(t).tracks[0]
        assert (x0, x1, track) == ((60, 80, 1) if t < 3 else (30, 50, 1))
        bright = np.argwhere(frame.pixels[..., 0] == 255)
        assert [*bright.min(axis=0), *(bright.max(axis=0) + 1)] == [y0, x0, y1, x1]
    assert moved.labels.counted_class == sequence.labels.counted_class


def test_objects_mostly_outside_of_the_view_are_ignored(sequence):
    labels = shift_view(sequence, ViewShift(0.3, 3)).labels.at(1)
    assert labels.boxes.tolist() == [[60, 10, 80, 30], [95, 0, 100, 9], [80, 0, 100, 9], [70, 30, 100, 39]]
    assert labels.ignore.tolist() == [False, True, False, True] and labels.names[3] == "any"


@given(st.floats(0.01, 1.0), st.integers(2, 4000))
def test_the_second_view_is_the_share_of_its_width_further_right(share, width):
    move = ViewShift(share, 5)
    (left, end), (low, right) = move.span(width, 4), move.span(width, 5)
    assert left == 0 and right == width and end == right - low > 0
    assert abs(low - share * end) <= 1.0 + 1e-9


@pytest.mark.parametrize("share", [0.0, -0.1, 1.5, float("nan")])
def test_a_share_out_of_range_is_rejected(share):
    with pytest.raises(UserError, match="a view moved by"):
        ViewShift(share, 3)
