"""Which detections of the teacher become objects, and where objects lie in a sample."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionmask_ros.lab.training.clips import TrainingClip, find_cuts, label_shots
from regionmask_ros.lab.training.samples import draw_sample, join_halves, whole_frame_sample
from regionmask_ros.lab.training.teacher import ClipLabels, select_labels

BOX = (0.2, 0.2, 0.3, 0.4)


def detections(*rows) -> np.ndarray:
    """Each row: (frame, box, score, whether the teacher's)."""
    return np.array([(frame, *box, score, teacher) for frame, box, score, teacher in rows], np.float32).reshape(-1, 7)


def counts(found: np.ndarray, frames: int = 5, cuts=()) -> tuple[list[int], list[int]]:
    labels = select_labels(found, frames, cuts)
    return [len(boxes) for boxes in labels.objects], [len(boxes) for boxes in labels.uncertain]


def test_a_box_is_an_object_when_neighboring_frames_have_it():
    alone = detections((2, BOX, 0.5, 1))
    assert counts(alone) == ([0] * 5, [0, 0, 1, 0, 0]), "uncertain: neither an object nor background"
    thrice = detections((1, BOX, 0.5, 1), (2, BOX, 0.5, 1), (3, BOX, 0.5, 1))
    assert counts(thrice)[0] == [0, 1, 1, 1, 0]
    assert counts(thrice, cuts=[2])[0] == [0, 0, 0, 0, 0] or counts(thrice, cuts=[2])[0] == [0, 0, 1, 1, 0]
    elsewhere = detections((1, BOX, 0.5, 1), (2, (0.6, 0.6, 0.7, 0.9), 0.5, 1), (3, BOX, 0.5, 1))
    assert counts(elsewhere)[0] == [0, 0, 0, 0, 0]
    sure = detections((1, BOX, 0.7, 1), (2, BOX, 0.2, 1))
    assert counts(sure)[0] == [0, 1, 0, 0, 0], "a box with a high score needs one neighbor, however weak"


def test_large_weak_boxes_are_dropped():
    large = (0.0, 0.3, 1.0, 1.0)
    rows = [(frame, large, 0.5, 1) for frame in range(5)]
    assert counts(detections(*rows)) == ([0] * 5, [0] * 5)
    assert counts(detections(*[(frame, large, 0.8, 1) for frame in range(5)]))[0] == [1] * 5


def test_detections_of_the_detector_in_use_are_known_and_no_objects():
    labels = select_labels(detections((0, BOX, 0.9, 0), (1, BOX, 0.9, 0), (2, BOX, 0.9, 0)), 3)
    assert [len(boxes) for boxes in labels.known] == [1, 1, 1] and not any(map(len, labels.objects))


def test_cuts_are_found():
    dark, bright = np.full((4, 90, 160, 3), 40, np.uint8), np.full((3, 90, 160, 3), 200, np.uint8)
    images = np.concatenate([dark, bright, dark])
    assert find_cuts(images).tolist() == [4, 7]
    assert label_shots(find_cuts(images), 11).tolist() == [0] * 4 + [1] * 3 + [2] * 4


@pytest.fixture(scope="module")
def clip() -> TrainingClip:
    """A bright square moves over a dark background; its labels are exact."""
    frames, boxes = [], []
    for t in range(12):
        image = np.full((180, 320, 3), 30, np.uint8)
        x = 40 + 12 * t
        image[60:110, x:x + 50] = 220
        frames.append(image)
        boxes.append(np.array([[x / 320, 60 / 180, (x + 50) / 320, 110 / 180]], np.float32))
    nothing = tuple(np.zeros((0, 4), np.float32) for _ in boxes)
    return TrainingClip("square", np.stack(frames), ClipLabels(tuple(boxes), nothing, nothing), np.zeros(12, np.int64))


CELLS, SIZE = (20, 36), (80, 144)


@given(st.integers(0, 11), st.integers(0, 2**31))
def test_the_target_lies_on_the_object_in_every_random_geometry(clip, number, seed):
    sample = draw_sample(clip, number, SIZE, CELLS, np.random.default_rng(seed))
    assert sample.values.shape == (4, *SIZE) and sample.values.dtype == np.uint8
    assert sample.target.shape == sample.weight.shape == CELLS and 0.0 <= sample.target.min()
    brightness = sample.values[:3].mean(axis=0).reshape(CELLS[0], 4, CELLS[1], 4).mean(axis=(1, 3))
    counted = sample.weight > 0.0
    inner, outer = counted & (sample.target == 1.0), counted & (sample.target < 0.5)
    if inner.sum() >= 9 and outer.sum() >= 9 and brightness.max() - brightness.min() > 20:
        assert brightness[inner].mean() > brightness[outer].mean() + 0.4 * (brightness.max() - brightness.min())


def test_a_whole_frame_has_its_target_and_its_change(clip):
    sample = whole_frame_sample(clip, 5, SIZE, CELLS)
    rows, cols = np.nonzero(sample.target == 1.0)
    # 50 pixels of 180 down and of 320 across, on a grid of 20x36.
    assert (rows.min(), rows.max()) == (6, 12) and (cols.min(), cols.max()) == (11, 16)
    assert sample.target[rows.min() - 1, cols.min()] == pytest.approx(0.7), "less beside it"
    assert sample.values[3].max() > 100 and sample.values[3][:20].max() == 0, "change where the square moved"
    both = join_halves(sample, sample)
    assert both.values.shape == (4, 80, 288) and both.target.shape == (20, 72)
