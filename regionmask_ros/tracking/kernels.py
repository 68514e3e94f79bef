"""The arithmetic of ``tracker``, one object at a time.

There are some tens of objects: with NumPy, the calls would cost far more than what they compute.
Boxes are float64, x0 y0 x1 y1; a state is center x, y and width, height. Arrays that a kernel writes belong to its
caller.
"""

from __future__ import annotations

import numpy as np

from ..core.boxes import iou
from ..jit.cache import Whole, kernel

# Numba would not notice that a constant has changed in another file.
SAME_OBJECT_IOU = 0.15

MEASUREMENT_STD = 0.2
"""Standard deviation of a detected box's center and size, in the box's size (the root of its area)."""
VELOCITY_CHANGE_STD = 0.01
"""Standard deviation of how much an object's velocity changes in a frame, in sizes a frame."""
INITIAL_VELOCITY_STD = (0.2, 0.01)
"""Standard deviation of the velocity of an object seen once, in sizes a frame: of its center, and of its size."""

MEMORY_FRAMES = 16
"""Frames that an object which is not detected is remembered, so that its velocity is not lost by one miss."""


@kernel
def _set_corners(boxes: np.ndarray, i: int, x: float, y: float, width: float, height: float) -> None:
    across, down = 0.5 * max(width, 0.0), 0.5 * max(height, 0.0)
    boxes[i, 0], boxes[i, 1], boxes[i, 2], boxes[i, 3] = x - across, y - down, x + across, y + down


@kernel
def predict_boxes(boxes: np.ndarray, velocity: np.ndarray, elapsed: float, result: np.ndarray) -> None:
    """Moves boxes by their velocity.

    Args:
        boxes: float64 [n, 4].
        velocity: float64 [n, 4], of the state, a frame.
        elapsed: Number of frames.
        result: float64 [n, 4], written.
    """
    for i in range(len(boxes)):
        _set_corners(
            result, i, 0.5 * (boxes[i, 0] + boxes[i, 2]) + velocity[i, 0] * elapsed,
            0.5 * (boxes[i, 1] + boxes[i, 3]) + velocity[i, 1] * elapsed,
            boxes[i, 2] - boxes[i, 0] + velocity[i, 2] * elapsed, boxes[i, 3] - boxes[i, 1] + velocity[i, 3] * elapsed)


@kernel
def displacement(boxes: np.ndarray, velocity: np.ndarray, elapsed: float, observed: np.ndarray, state: np.ndarray,
                 result: np.ndarray) -> None:
    """Distance of each center from that of another box, after some frames.

    Args:
        boxes: float64 [n, 4].
        velocity: float64 [n, 4], of the state, a frame.
        elapsed: Number of frames.
        observed: float64 [n, 4], the other boxes.
        state: float64 [n, 4]; its size is the unit.
        result: float64 [n], written.
    """
    for i in range(len(boxes)):
        x = 0.5 * (boxes[i, 0] + boxes[i, 2]) + velocity[i, 0] * elapsed - 0.5 * (observed[i, 0] + observed[i, 2])
        y = 0.5 * (boxes[i, 1] + boxes[i, 3]) + velocity[i, 1] * elapsed - 0.5 * (observed[i, 1] + observed[i, 3])
        result[i] = np.sqrt((x * x + y * y) / max(state[i, 2] * state[i, 3], 1.0))


@kernel
def predict_moving(boxes: np.ndarray, velocity: np.ndarray, elapsed: float, unobserved: np.ndarray, shift: np.ndarray,
                   growth: np.ndarray, result: np.ndarray) -> None:
    """As ``predict_boxes`` with sizes that stay, but unobserved boxes move with the image.

    Args:
        boxes: float64 [n, 4].
        velocity: float64 [n, 4], of the state, a frame.
        elapsed: Number of frames.
        unobserved: bool [n].
        shift: float64 [number of unobserved boxes, 2], nan where the velocity is used instead; or empty.
        growth: float64 [number of unobserved boxes], factor of the size; or empty.
        result: float64 [n, 4], written.
    """
    k = 0
    for i in range(len(boxes)):
        x, y, grown = velocity[i, 0] * elapsed, velocity[i, 1] * elapsed, 1.0
        if unobserved[i] and k < len(growth):
            x = x if np.isnan(shift[k, 0]) else shift[k, 0]
            y = y if np.isnan(shift[k, 1]) else shift[k, 1]
            grown = growth[k]
            k += 1
        _set_corners(result, i, 0.5 * (boxes[i, 0] + boxes[i, 2]) + x, 0.5 * (boxes[i, 1] + boxes[i, 3]) + y,
                     (boxes[i, 2] - boxes[i, 0]) * grown, (boxes[i, 3] - boxes[i, 1]) * grown)


@kernel
def move_unobserved_boxes(found: np.ndarray, observed: np.ndarray, object_of: np.ndarray, before: np.ndarray,
                          now: np.ndarray, width: float, height: float) -> None:
    """Moves and scales boxes as their objects have, where they were not observed; clips all to the image.

    Args:
        found: float64 [n, 4], changed.
        observed: bool [n].
        object_of: int64 [n], index of each box's object.
        before: float64 [objects, 4], where the objects were last observed.
        now: float64 [objects, 4], where they are.
        width: Of the image.
        height: Of the image.
    """
    for j in range(len(found)):
        if not observed[j]:
            i = object_of[j]
            _set_corners(
                found, j,
                0.5 * (found[j, 0] + found[j, 2])
                + (0.5 * (now[i, 0] + now[i, 2]) - 0.5 * (before[i, 0] + before[i, 2])),
                0.5 * (found[j, 1] + found[j, 3])
                + (0.5 * (now[i, 1] + now[i, 3]) - 0.5 * (before[i, 1] + before[i, 3])),
                (found[j, 2] - found[j, 0]) * ((now[i, 2] - now[i, 0]) / max(before[i, 2] - before[i, 0], 1e-6)),
                (found[j, 3] - found[j, 1]) * ((now[i, 3] - now[i, 1]) / max(before[i, 3] - before[i, 1], 1e-6)))
        for c in range(0, 4, 2):
            found[j, c] = min(max(found[j, c], 0.0), width)
            found[j, c + 1] = min(max(found[j, c + 1], 0.0), height)


@kernel
def _assign(boxes: np.ndarray, class_ids: np.ndarray, observed: np.ndarray, object_class: np.ndarray,
            predicted: np.ndarray, last_boxes: np.ndarray, object_of: np.ndarray, detection_of: np.ndarray) -> None:
    """Writes object_of [n] and detection_of [objects]: indices, -1 for none.

    Pairs of the largest overlap come first, of equal ones that of the earlier detection. A detection that was not
    observed is compared with where its object was last observed, which is what the network still shows.
    """
    object_of[:], detection_of[:] = -1, -1
    pair, overlap = np.empty((len(boxes) * len(last_boxes), 2), np.int64), np.empty(len(boxes) * len(last_boxes))
    count = 0
    for j in range(len(boxes)):
        for i in range(len(last_boxes)):
            if class_ids[j] == object_class[i]:
                common = iou(boxes, j, predicted, i) if observed[j] else iou(boxes, j, last_boxes, i)
                if common >= SAME_OBJECT_IOU:
                    pair[count, 0], pair[count, 1], overlap[count] = j, i, common
                    count += 1
    while True:
        best, most = -1, 0.0
        for k in range(count):
            if overlap[k] > most and object_of[pair[k, 0]] < 0 and detection_of[pair[k, 1]] < 0:
                best, most = k, overlap[k]
        if best < 0:
            break
        object_of[pair[best, 0]], detection_of[pair[best, 1]] = pair[best, 1], pair[best, 0]


@kernel
def _correct(box: np.ndarray, j: int, elapsed: float, boxes: np.ndarray, now: np.ndarray, state: np.ndarray,
             velocity: np.ndarray, covariance: np.ndarray, i: Whole) -> None:
    """Updates object i with the measured box j: the Kalman filter of constant velocity, for center and size."""
    for c in range(4):
        boxes[i, c] = now[i, c] = box[j, c]
    size = box[j, 2] - box[j, 0], box[j, 3] - box[j, 1]
    measured = (0.5 * (box[j, 0] + box[j, 2]), 0.5 * (box[j, 1] + box[j, 3]), size[0], size[1])
    for part in range(2):
        place, both, speed = covariance[i, part, 0], covariance[i, part, 1], covariance[i, part, 2]
        place = place + elapsed * (2.0 * both + elapsed * speed) + VELOCITY_CHANGE_STD**2 * elapsed**3 / 3.0
        both = both + elapsed * speed + VELOCITY_CHANGE_STD**2 * elapsed**2 / 2.0
        speed += VELOCITY_CHANGE_STD**2 * elapsed
        total = place + MEASUREMENT_STD**2
        for c in range(2 * part, 2 * part + 2):
            expected = state[i, c] + velocity[i, c] * elapsed
            innovation = measured[c] - expected
            state[i, c] = expected + place / total * innovation
            velocity[i, c] += both / total * innovation
        covariance[i, part, 0] = place * (1.0 - place / total)
        covariance[i, part, 1] = both * (1.0 - place / total)
        covariance[i, part, 2] = speed - both * both / total


@kernel
def _begin(box: np.ndarray, j: int, boxes: np.ndarray, now: np.ndarray, state: np.ndarray, velocity: np.ndarray,
           covariance: np.ndarray, i: Whole) -> None:
    """Makes the new object i from the box j."""
    for c in range(4):
        boxes[i, c] = now[i, c] = box[j, c]
        velocity[i, c] = 0.0
    state[i, 0], state[i, 1] = 0.5 * (box[j, 0] + box[j, 2]), 0.5 * (box[j, 1] + box[j, 3])
    state[i, 2], state[i, 3] = box[j, 2] - box[j, 0], box[j, 3] - box[j, 1]
    for part in range(2):
        covariance[i, part, 0], covariance[i, part, 1] = MEASUREMENT_STD**2, 0.0
        covariance[i, part, 2] = INITIAL_VELOCITY_STD[part] ** 2


@kernel
def _copy(old: tuple[np.ndarray, ...], i: int, new: tuple[np.ndarray, ...], count: Whole) -> None:
    """Copies boxes, predicted boxes, state, velocity and covariance of object i to the place ``count``."""
    boxes, now, state, velocity, covariance = old
    to_boxes, to_now, to_state, to_velocity, to_covariance = new
    # Numbers, not rows: those would make compiling this three times as long.
    for c in range(4):
        to_boxes[count, c], to_now[count, c] = boxes[i, c], now[i, c]
        to_state[count, c], to_velocity[count, c] = state[i, c], velocity[i, c]
    for part in range(2):
        for c in range(3):
            to_covariance[count, part, c] = covariance[i, part, c]


@kernel
def advance_tracks(old: tuple[np.ndarray, ...], elapsed: float, found: tuple[np.ndarray, ...], frame: int, next_id: int,
                   new: tuple[np.ndarray, ...], object_of: np.ndarray) -> tuple[Whole, int]:
    """Updates all objects with the detections of one more frame.

    Args:
        old: ids, class_ids, observed_boxes, predicted_boxes, state, velocity, covariance, scores, hits, last_observed,
            last_detected, as in ``tracker.Tracks``.
        elapsed: Frames since the predicted boxes.
        found: Detections: float64 boxes [n, 4], int64 class_ids, float32 scores and bool observed, [n] each.
        frame: Number of the frame.
        next_id: Number of the next new object.
        new: The same arrays as ``old``, with room for all old objects and all detections; written from the front.
        object_of: int64 [n], written: index of each detection's object in ``new``.

    Returns:
        How many objects were written, and the next ``next_id``.
    """
    ids, class_ids, boxes, now, state, velocity, covariance, scores, hits, seen, present = old
    (to_ids, to_class, to_boxes, to_now, to_state, to_velocity, to_covariance, to_scores, to_hits, to_seen,
     to_present) = new
    box, box_class, box_score, observed = found
    predicted, detection_of = np.empty((len(ids), 4)), np.empty(len(ids), np.int64)
    predict_boxes(now, velocity, elapsed, predicted)
    _assign(box, box_class, observed, class_ids, predicted, boxes, object_of, detection_of)
    # A plain 0 would be a type of its own, for which everything below is compiled once more.
    count = np.int64(0)
    for i in range(len(ids)):
        j = detection_of[i]
        if j < 0 and frame - present[i] > MEMORY_FRAMES:
            continue
        to_ids[count], to_class[count], to_hits[count], to_seen[count] = ids[i], class_ids[i], hits[i], seen[i]
        to_scores[count], to_present[count] = scores[i], present[i]
        _copy((boxes, now, state, velocity, covariance), i,
              (to_boxes, to_now, to_state, to_velocity, to_covariance), count)
        if j >= 0:
            to_scores[count], to_present[count], object_of[j] = box_score[j], frame, count
            if observed[j]:
                _correct(box, j, float(frame - seen[i]), to_boxes, to_now, to_state, to_velocity, to_covariance, count)
                to_hits[count], to_seen[count] = to_hits[count] + 1, frame
        count += 1
    for j in range(len(box)):
        if object_of[j] < 0:
            to_ids[count], to_class[count], to_scores[count], to_hits[count] = next_id, box_class[j], box_score[j], 1
            to_seen[count] = to_present[count] = frame
            _begin(box, j, to_boxes, to_now, to_state, to_velocity, to_covariance, count)
            object_of[j] = count
            next_id, count = next_id + 1, count + 1
    return count, next_id
