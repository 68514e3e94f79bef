from __future__ import annotations

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from made_detections import detections_of

from regionmask_ros.core.detections import Detections
from regionmask_ros.tracking.kernels import MEMORY_FRAMES
from regionmask_ros.tracking.motion import UNKNOWN, OpticalFlow, downsample
from regionmask_ros.tracking.tracker import Tracks, apply_motion, associate, predict, update_reach

IMAGE_WH = (640, 480)


def walk(t: float) -> list[float]:
    """A box of 40 x 100 pixels that moves by 6 pixels a frame to the right and by 2 down."""
    return [100 + 6 * t, 50 + 2 * t, 140 + 6 * t, 150 + 2 * t]


def step(tracks: Tracks, detections: Detections, observed: np.ndarray, t: int, motion=None):
    """One frame in which tracks are not observed unless a detection is."""
    unobserved = np.full(len(tracks), not observed.any())
    return associate(predict(tracks, unobserved, motion, t), detections, observed, t)


def after(frames, tracks=None):
    tracks = Tracks.none() if tracks is None else tracks
    for t in frames:
        tracks, object_of = step(tracks, detections_of(walk(t)), np.array([True]), t)
    return tracks, object_of


def test_a_box_that_is_not_sent_moves_with_its_object():
    tracks, _ = after(range(0, 24, 3))
    for t in (22, 23):
        unobserved = detections_of(walk(21))
        tracks, object_of = step(tracks, unobserved, np.array([False]), t)
        out = apply_motion(unobserved, np.array([False]), tracks, object_of, IMAGE_WH)
        np.testing.assert_allclose(out.boxes[0], walk(t), atol=1.0)
    assert len(tracks) == 1 and tracks.ids.tolist() == [0] and tracks.last_observed.tolist() == [21]


def test_a_box_that_is_not_sent_moves_with_the_image():
    rng = np.random.default_rng(3)
    texture = cv2.GaussianBlur(rng.integers(0, 256, (480, 640, 3)).astype(np.uint8), (0, 0), 6)
    images = [downsample(np.ascontiguousarray(np.roll(texture, (4 * t, 8 * t), (0, 1)))) for t in range(4)]
    tracks, object_of = step(Tracks.none(), detections_of([200, 150, 280, 290]), np.array([True]), 0)
    for t in range(1, 4):
        tracks, object_of = step(tracks, detections_of([200, 150, 280, 290]), np.array([False]), t,
                                 OpticalFlow(images[t - 1], images[t]))
        out = apply_motion(detections_of([200, 150, 280, 290]), np.array([False]), tracks, object_of, IMAGE_WH)
        np.testing.assert_allclose(out.boxes[0], np.array([200, 150, 280, 290]) + [8 * t, 4 * t] * 2, atol=1.5)
        np.testing.assert_allclose(tracks.displacement(t), np.hypot(8, 4) * t / np.sqrt(80 * 140), atol=0.02)
    assert len(tracks) == 1 and tracks.observed_boxes[0].tolist() == [200, 150, 280, 290]


def test_boxes_that_jitter_give_small_velocities():
    rng, tracks = np.random.default_rng(2), Tracks.none()
    for t in range(40):
        box = np.array([100, 50, 140, 150]) + rng.normal(0, 3, 4)
        tracks, _ = step(tracks, detections_of(box), np.array([True]), t)
    assert len(tracks) == 1 and np.abs(tracks.velocity).max() < 1.0


def test_other_classes_and_far_boxes_are_other_objects():
    tracks, _ = after(range(3))
    two = detections_of(walk(3), [400, 300, 440, 400], class_ids=[2, 0])
    tracks, object_of = step(tracks, two, np.ones(2, bool), 3)
    assert tracks.ids[object_of].tolist() == [1, 2] and len(tracks) == 3


def test_a_lost_object_is_remembered_for_a_while():
    tracks, _ = after(range(3))
    for t in range(3, 3 + MEMORY_FRAMES + 2):
        tracks, _ = step(tracks, Detections.empty(), np.zeros(0, bool), t)
        assert len(tracks) == (t - 2 <= MEMORY_FRAMES)


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_each_detection_has_one_object_and_arguments_stay_as_they_are(seed):
    rng, tracks = np.random.default_rng(seed), Tracks.none()
    for t in range(6):
        corner = rng.uniform(0, 300, (rng.integers(0, 8), 2))
        detections = detections_of(*np.hstack([corner, corner + rng.uniform(5, 90, corner.shape)]))
        observed = rng.random(len(detections)) < 0.6
        before = {name: np.copy(value) for name, value in vars(tracks).items()}
        new, object_of = step(tracks, detections, observed, t)
        for name, value in before.items():
            np.testing.assert_array_equal(value, getattr(tracks, name))
        assert len(set(object_of.tolist())) == len(detections) and len(set(new.ids.tolist())) == len(new)
        np.testing.assert_allclose(new.observed_boxes[object_of][observed], detections.boxes[observed])
        out = apply_motion(detections, observed, new, object_of, IMAGE_WH).boxes
        assert np.isfinite(out).all() and (out[:, 2:] >= out[:, :2]).all() and (out >= 0).all()
        tracks = new


def test_the_reach_follows_the_fastest_object():
    two = detections_of([10, 10, 60, 90], [300, 10, 350, 90])
    everything = np.array([True, True])
    first, _ = associate(Tracks.none(), two, everything, 0)
    assert update_reach(UNKNOWN, Tracks.none(), first) == UNKNOWN
    moved = detections_of([10, 10, 60, 90], [290, 22, 340, 102])
    second, _ = associate(first, moved, everything, 1)
    assert update_reach(UNKNOWN, first, second) == 12.0 and update_reach(8.0, first, second) == 12.0
    assert update_reach(40.0, first, second) == 20.0, "one quiet frame does not end the search"


def test_the_reach_is_unknown_when_most_objects_were_lost():
    three = detections_of([10, 10, 60, 90], [300, 10, 350, 90], [500, 10, 550, 90])
    first, _ = associate(Tracks.none(), three, np.ones(3, bool), 0)
    for jumped, known in ((1, True), (2, False), (3, False)):
        boxes = three.boxes.copy()
        boxes[:jumped] += [0, 200, 0, 200]
        second, _ = associate(first, detections_of(*boxes), np.ones(3, bool), 1)
        assert (update_reach(4.0, first, second) == 2.0) == known
    assert update_reach(4.0, first, Tracks.none()) == UNKNOWN
