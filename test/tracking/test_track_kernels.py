"""The kernels of the tracker, against the same rules in a few lines of NumPy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from regionmask_ros.core.boxes import iou_matrix
from regionmask_ros.core.detections import Detections
from regionmask_ros.tracking import motion
from regionmask_ros.tracking.kernels import (
    INITIAL_VELOCITY_STD,
    MEASUREMENT_STD,
    MEMORY_FRAMES,
    SAME_OBJECT_IOU,
    VELOCITY_CHANGE_STD,
)
from regionmask_ros.tracking.motion import LEAST_PAIRS, LEAST_POINTS, LEAST_STEP, MAX_GROWTH, PAIRS, downsample
from regionmask_ros.tracking.tracker import Tracks, apply_motion, associate, predict

IMAGE_WH = (320, 240)
seeds = st.integers(0, 2**32 - 1)


def state_of(boxes: np.ndarray) -> np.ndarray:
    """Center and size of x0 y0 x1 y1."""
    boxes = np.asarray(boxes, np.float64)
    return np.concatenate([(boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]], axis=-1)


def boxes_of(state: np.ndarray) -> np.ndarray:
    half = np.maximum(state[..., 2:], 0.0) / 2
    return np.concatenate([state[..., :2] - half, state[..., :2] + half], axis=-1)


def detections(rng: np.random.Generator, most: int = 9) -> Detections:
    n = rng.integers(0, most)
    corner = rng.uniform(0, 150, (n, 2))
    boxes = np.hstack([corner, corner + rng.uniform(5, 120, (n, 2))]).astype(np.float32)
    return Detections(boxes, np.sort(rng.uniform(0, 1, n).astype(np.float32))[::-1], rng.integers(0, 2, n, np.int32))


def scene(rng: np.random.Generator, frames: int) -> Tracks:
    """Objects after some frames in which some were observed, and others not."""
    tracks = Tracks.none()
    for frame in range(frames):
        found = detections(rng)
        tracks, _ = associate(tracks, found, rng.random(len(found)) < 0.6, frame)
    return replace(tracks, predicted_boxes=tracks.predicted_boxes + rng.normal(0, 5, tracks.predicted_boxes.shape))


def plain_pairs(tracks: Tracks, found: Detections, observed: np.ndarray, frame: int) -> dict[int, int]:
    """Detection to object, the largest overlap first."""
    expected = boxes_of(state_of(tracks.predicted_boxes) + tracks.velocity * (frame - tracks.last_frame))
    boxes = found.boxes.astype(np.float64)
    overlap = np.where(observed[:, None], iou_matrix(boxes, expected), iou_matrix(boxes, tracks.observed_boxes))
    overlap[found.class_ids[:, None] != tracks.class_ids[None]] = 0.0
    pairs: dict[int, int] = {}
    while overlap.size and overlap.max() >= SAME_OBJECT_IOU:
        j, i = np.unravel_index(overlap.argmax(), overlap.shape)
        pairs[int(j)] = int(i)
        overlap[j], overlap[:, i] = 0.0, 0.0
    return pairs


def plain_kalman(state, velocity, spread, measured, elapsed):
    """One coordinate: its place and velocity after a measurement, and their covariance."""
    step = np.array([[1.0, elapsed], [0.0, 1.0]])
    noise = VELOCITY_CHANGE_STD**2 * np.array([[elapsed**3 / 3, elapsed**2 / 2], [elapsed**2 / 2, elapsed]])
    covariance = step @ np.array([[spread[0], spread[1]], [spread[1], spread[2]]]) @ step.T + noise
    gain = covariance[:, 0] / (covariance[0, 0] + MEASUREMENT_STD**2)
    expected = step @ [state, velocity]
    after = covariance - np.outer(gain, covariance[0])
    return expected + gain * (measured - expected[0]), [after[0, 0], after[0, 1], after[1, 1]]


@settings(max_examples=60)
@given(seeds, st.integers(0, 4), st.integers(1, MEMORY_FRAMES + 3))
def test_objects_are_associated_by_the_rule(seed, frames, later):
    rng = np.random.default_rng(seed)
    tracks, found, frame = scene(rng, frames), detections(rng), frames + later
    observed = rng.random(len(found)) < 0.6
    after, object_of = associate(tracks, found, observed, frame)

    pairs = plain_pairs(tracks, found, observed, frame)
    stay = [i for i in range(len(tracks)) if i in pairs.values() or frame - tracks.last_detected[i] <= MEMORY_FRAMES]
    new = [j for j in range(len(found)) if j not in pairs]
    assert after.ids.tolist() == [*tracks.ids[stay], *range(tracks.next_id, tracks.next_id + len(new))]
    assert (after.next_id, after.last_frame) == (tracks.next_id + len(new), frame)
    ids = [tracks.ids[pairs[j]] if j in pairs else tracks.next_id + new.index(j) for j in range(len(found))]
    assert after.ids[object_of].tolist() == ids
    for place, i in enumerate(stay):
        mine = [j for j in pairs if pairs[j] == i]
        if mine and observed[mine[0]]:
            continue
        for name in ("class_ids", "observed_boxes", "predicted_boxes", "state", "velocity", "covariance", "hits",
                     "last_observed"):
            np.testing.assert_array_equal(getattr(after, name)[place], getattr(tracks, name)[i], err_msg=name)
        assert after.last_detected[place] == (frame if mine else tracks.last_detected[i])
    for j, place in enumerate(object_of):
        state = state_of(found.boxes[j])
        assert after.scores[place] == found.scores[j] and after.last_detected[place] == frame
        if j not in pairs:
            assert (after.hits[place], after.last_observed[place]) == (1, frame)
            assert after.class_ids[place] == found.class_ids[j]
            np.testing.assert_array_equal(after.observed_boxes[place], found.boxes[j])
            np.testing.assert_array_equal(after.state[place], state)
            assert not after.velocity[place].any()
            np.testing.assert_allclose(
                after.covariance[place], [[MEASUREMENT_STD**2, 0, v**2] for v in INITIAL_VELOCITY_STD])
        elif observed[j]:
            i = pairs[j]
            np.testing.assert_array_equal(after.predicted_boxes[place], found.boxes[j])
            assert (after.hits[place], after.last_observed[place]) == (tracks.hits[i] + 1, frame)
            for c in range(4):
                (at, speed), spread = plain_kalman(
                    tracks.state[i, c], tracks.velocity[i, c], tracks.covariance[i, c // 2], state[c],
                    frame - tracks.last_observed[i])
                np.testing.assert_allclose([after.state[place, c], after.velocity[place, c]], [at, speed], rtol=1e-9,
                                           atol=1e-9)
                np.testing.assert_allclose(after.covariance[place, c // 2], spread, rtol=1e-9, atol=1e-12)


class KnownMotion:
    """A motion that is known in advance."""

    def __init__(self, shift: np.ndarray, growth: np.ndarray) -> None:
        self._known = shift, growth

    def of(self, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        assert len(boxes) == len(self._known[1])
        return self._known


@settings(max_examples=40)
@given(seeds, st.integers(1, 4))
def test_objects_are_predicted_and_their_boxes_moved_by_the_rule(seed, later):
    rng = np.random.default_rng(seed)
    tracks = scene(rng, 3)
    unobserved, frame = rng.random(len(tracks)) < 0.5, tracks.last_frame + later
    shift = np.where(rng.random((unobserved.sum(), 1)) < 0.3, np.nan, rng.normal(0, 9, (unobserved.sum(), 2)))
    growth = rng.uniform(0.85, 1.15, unobserved.sum())
    state = state_of(tracks.predicted_boxes)
    state[:, :2] += tracks.velocity[:, :2] * later
    np.testing.assert_allclose(predict(tracks, unobserved, None, frame).predicted_boxes, boxes_of(state), atol=1e-9)
    state[unobserved, :2] = state_of(tracks.predicted_boxes)[unobserved, :2] + np.where(
        np.isnan(shift), tracks.velocity[unobserved, :2] * later, shift)
    state[unobserved, 2:] *= growth[:, None]
    after = predict(tracks, unobserved, KnownMotion(shift, growth), frame)
    np.testing.assert_allclose(after.predicted_boxes, boxes_of(state), atol=1e-9)
    assert after.last_frame == frame
    on = state_of(tracks.predicted_boxes) + tracks.velocity * later
    np.testing.assert_allclose(tracks.extrapolate(frame), boxes_of(on), atol=1e-9)
    away = np.linalg.norm((on - state_of(tracks.observed_boxes))[:, :2], axis=1)
    sizes = np.sqrt(np.maximum(tracks.state[:, 2] * tracks.state[:, 3], 1.0))
    np.testing.assert_allclose(tracks.displacement(frame), away / sizes, atol=1e-9)

    found = detections(rng).take(slice(0, len(tracks)))
    object_of, observed = rng.permutation(len(tracks))[:len(found)], rng.random(len(found)) < 0.4
    seen, now = state_of(after.observed_boxes[object_of]), state_of(after.predicted_boxes[object_of])
    place = state_of(found.boxes)
    place[:, :2] += now[:, :2] - seen[:, :2]
    place[:, 2:] *= now[:, 2:] / seen[:, 2:]
    out = apply_motion(found, observed, after, object_of, IMAGE_WH)
    expected = np.clip(np.where(observed[:, None], found.boxes, boxes_of(place)), 0, [*IMAGE_WH, *IMAGE_WH])
    np.testing.assert_allclose(out.boxes, expected, rtol=1e-6, atol=1e-3)
    assert out.resting.tolist() == (~observed).tolist() and out.track_ids.tolist() == after.ids[object_of].tolist()


@settings(max_examples=40)
@given(seeds, st.integers(0, 5), st.integers(4, 12))
def test_the_motion_of_a_box_is_the_median_of_its_points(seed, boxes, step):
    rng = np.random.default_rng(seed)
    start, end = rng.uniform(0, 60, (2, boxes, 9, 2))
    found = (rng.random((boxes, 9)) < rng.uniform(0, 1)).astype(np.uint8)
    shift, growth = np.full((boxes, 2), np.nan), np.ones(boxes)
    motion._take_medians(start, end, found, step, shift, growth)
    for i in range(boxes):
        known = found[i] > 0
        expected = np.full(2, np.nan)
        if known.sum() >= LEAST_POINTS:
            expected = np.median((end - start)[i, known] * step, axis=0)
        np.testing.assert_allclose(shift[i], expected)
        ratios = [np.linalg.norm(end[i, a] - end[i, b]) / np.linalg.norm(start[i, a] - start[i, b])
                  for a, b in PAIRS if known[a] and known[b]]
        grown = np.median(ratios) if len(ratios) >= LEAST_PAIRS else 1.0
        np.testing.assert_allclose(growth[i], np.clip(grown, 1 - MAX_GROWTH, 1 + MAX_GROWTH))


@settings(max_examples=40)
@given(st.integers(1, 90), st.integers(1, 90), seeds, st.booleans())
def test_the_downsampled_image_is_every_fourth_pixel(height, width, seed, writeable):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)
    pixels.flags.writeable = writeable
    np.testing.assert_array_equal(downsample(pixels), pixels[::LEAST_STEP, ::LEAST_STEP, 1])
