"""The arithmetic of ``tracks``, an object at a time.

There are some tens of objects: in NumPy, calls would cost far more than what they compute.
Boxes are float64, x0 y0 x1 y1; a state is centre x, y and width, height. What a kernel writes belongs to its caller.
"""

from __future__ import annotations

import numpy as np

from ..jit.cache import kernel

# Numba would not notice that a constant has changed in another file.
SAME_OBJECT_IOU = 0.15

MEASUREMENT_STD = 0.2
"""Standard deviation of a detected box's centre and size, in the box's size (the root of its area)."""
CHANGE = 0.01
"""How much an object's velocity changes in a frame, in sizes a frame; standard deviation."""
EXPECTED_SPEED = (0.2, 0.01)
"""Standard deviation of the velocity of an object seen once, in sizes a frame: of its centre, and of its size."""

MEMORY_FRAMES = 16
"""Frames that an object which is not detected is remembered, so that its velocity is not lost by one miss."""

_TINY = np.finfo(np.float64).tiny


@kernel
def _set_corners(boxes, i, x, y, width, height):
    across, down = 0.5 * max(width, 0.0), 0.5 * max(height, 0.0)
    boxes[i, 0], boxes[i, 1], boxes[i, 2], boxes[i, 3] = x - across, y - down, x + across, y + down


@kernel
def predict_boxes(now, velocity, elapsed, result):
    """result [n, 4]: where boxes ``now`` are so many frames later. velocity: [n, 4], of the state, a frame."""
    for i in range(len(now)):
        _set_corners(
            result, i, 0.5 * (now[i, 0] + now[i, 2]) + velocity[i, 0] * elapsed,
            0.5 * (now[i, 1] + now[i, 3]) + velocity[i, 1] * elapsed,
            now[i, 2] - now[i, 0] + velocity[i, 2] * elapsed, now[i, 3] - now[i, 1] + velocity[i, 3] * elapsed)


@kernel
def displacement(now, velocity, elapsed, seen, state, result):
    """result [n]: how far each centre is from its box ``seen``, so many frames later, in the size of its ``state``."""
    for i in range(len(now)):
        x = 0.5 * (now[i, 0] + now[i, 2]) + velocity[i, 0] * elapsed - 0.5 * (seen[i, 0] + seen[i, 2])
        y = 0.5 * (now[i, 1] + now[i, 3]) + velocity[i, 1] * elapsed - 0.5 * (seen[i, 1] + seen[i, 3])
        result[i] = np.sqrt((x * x + y * y) / max(state[i, 2] * state[i, 3], 1.0))


@kernel
def predict_sized(now, velocity, elapsed, resting, shift, growth, result):
    """As ``predict_boxes`` with sizes that stay; but the k-th of those that rest moves by shift[k] and grows by growth[k].

    resting: bool [n]. shift: [number of them, 2], nan where the velocity tells more. growth: [the same].
    """
    k = 0
    for i in range(len(now)):
        x, y, grown = velocity[i, 0] * elapsed, velocity[i, 1] * elapsed, 1.0
        if resting[i] and k < len(growth):
            x = x if np.isnan(shift[k, 0]) else shift[k, 0]
            y = y if np.isnan(shift[k, 1]) else shift[k, 1]
            grown = growth[k]
            k += 1
        _set_corners(result, i, 0.5 * (now[i, 0] + now[i, 2]) + x, 0.5 * (now[i, 1] + now[i, 3]) + y,
                     (now[i, 2] - now[i, 0]) * grown, (now[i, 3] - now[i, 1]) * grown)


@kernel
def move_resting_boxes(found, looked, object_of, seen, now, width, height):
    """Moves those boxes [n, 4] that are not looked at, and lets them grow, as their objects have from ``seen`` to
    ``now``, both [objects, 4]; clips all to the picture.
    """
    for j in range(len(found)):
        if not looked[j]:
            i = object_of[j]
            _set_corners(
                found, j,
                0.5 * (found[j, 0] + found[j, 2]) + (0.5 * (now[i, 0] + now[i, 2]) - 0.5 * (seen[i, 0] + seen[i, 2])),
                0.5 * (found[j, 1] + found[j, 3]) + (0.5 * (now[i, 1] + now[i, 3]) - 0.5 * (seen[i, 1] + seen[i, 3])),
                (found[j, 2] - found[j, 0]) * ((now[i, 2] - now[i, 0]) / max(seen[i, 2] - seen[i, 0], 1e-6)),
                (found[j, 3] - found[j, 1]) * ((now[i, 3] - now[i, 1]) / max(seen[i, 3] - seen[i, 1], 1e-6)))
        for c in range(0, 4, 2):
            found[j, c] = min(max(found[j, c], 0.0), width)
            found[j, c + 1] = min(max(found[j, c + 1], 0.0), height)


@kernel
def _iou(a, i, b, j):
    """Intersection over union of two boxes, as ``overlap.iou_matrix``."""
    across = min(a[i, 2], b[j, 2]) - max(a[i, 0], b[j, 0])
    down = min(a[i, 3], b[j, 3]) - max(a[i, 1], b[j, 1])
    common = max(across, 0.0) * max(down, 0.0)
    area = (a[i, 2] - a[i, 0]) * (a[i, 3] - a[i, 1]) + (b[j, 2] - b[j, 0]) * (b[j, 3] - b[j, 1])
    return common / max(area - common, _TINY)


@kernel
def _assign(boxes, class_ids, looked, object_class, expected, seen, object_of, detection_of):
    """object_of [n], detection_of [objects]: who belongs to whom, -1 for nobody. Pairs of the largest overlap come
    first, of equals that of the earlier detection.

    A resting detection is compared with where its object was last seen, which is what the network still shows.
    """
    object_of[:], detection_of[:] = -1, -1
    pair, overlap = np.empty((len(boxes) * len(seen), 2), np.int64), np.empty(len(boxes) * len(seen))
    count = 0
    for j in range(len(boxes)):
        for i in range(len(seen)):
            if class_ids[j] == object_class[i]:
                common = _iou(boxes, j, expected, i) if looked[j] else _iou(boxes, j, seen, i)
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
def _correct(box, j, elapsed, boxes, now, state, velocity, spread, i):
    """Writes a new measurement into object i: the Kalman filter of constant velocity, for centre and size."""
    for c in range(4):
        boxes[i, c] = now[i, c] = box[j, c]
    size = box[j, 2] - box[j, 0], box[j, 3] - box[j, 1]
    measured = (0.5 * (box[j, 0] + box[j, 2]), 0.5 * (box[j, 1] + box[j, 3]), size[0], size[1])
    for part in range(2):
        place, both, speed = spread[i, part, 0], spread[i, part, 1], spread[i, part, 2]
        place = place + elapsed * (2.0 * both + elapsed * speed) + CHANGE**2 * elapsed**3 / 3.0
        both = both + elapsed * speed + CHANGE**2 * elapsed**2 / 2.0
        speed += CHANGE**2 * elapsed
        total = place + MEASUREMENT_STD**2
        for c in range(2 * part, 2 * part + 2):
            expected = state[i, c] + velocity[i, c] * elapsed
            innovation = measured[c] - expected
            state[i, c] = expected + place / total * innovation
            velocity[i, c] += both / total * innovation
        spread[i, part, 0] = place * (1.0 - place / total)
        spread[i, part, 1] = both * (1.0 - place / total)
        spread[i, part, 2] = speed - both * both / total


@kernel
def _begin(box, j, boxes, now, state, velocity, spread, i):
    """Object i is seen for the first time."""
    for c in range(4):
        boxes[i, c] = now[i, c] = box[j, c]
        velocity[i, c] = 0.0
    state[i, 0], state[i, 1] = 0.5 * (box[j, 0] + box[j, 2]), 0.5 * (box[j, 1] + box[j, 3])
    state[i, 2], state[i, 3] = box[j, 2] - box[j, 0], box[j, 3] - box[j, 1]
    for part in range(2):
        spread[i, part, 0], spread[i, part, 1] = MEASUREMENT_STD**2, 0.0
        spread[i, part, 2] = EXPECTED_SPEED[part] ** 2


@kernel
def _keep(boxes, now, state, velocity, spread, i, to_boxes, to_now, to_state, to_velocity, to_spread, count):
    """Object i goes on, as number ``count``."""
    # Numbers, not rows: those make compiling this three times as long.
    for c in range(4):
        to_boxes[count, c], to_now[count, c] = boxes[i, c], now[i, c]
        to_state[count, c], to_velocity[count, c] = state[i, c], velocity[i, c]
    for part in range(2):
        for c in range(3):
            to_spread[count, part, c] = spread[i, part, c]


@kernel
def advance_tracks(old, elapsed, found, frame, next_id, new, object_of):
    """Objects after one more frame: writes the first of ``new``, returns how many, and the next id.

    old: ids, class_ids, boxes, now, state, velocity, spread, scores, looks, seen, present, as in ``tracks.Tracks``.
    new: the same arrays, with room for all old objects and all detections. elapsed: frames since their ``now``.
    found: float64 boxes [n, 4], int64 class_ids, float32 scores and bool looked, [n] each: the detections.
    object_of: int64 [n], written: the place of each one's object in ``new``.
    """
    ids, class_ids, boxes, now, state, velocity, spread, scores, looks, seen, present = old
    to_ids, to_class, to_boxes, to_now, to_state, to_velocity, to_spread, to_scores, to_looks, to_seen, to_present = new
    box, box_class, box_score, looked = found
    expected, detection_of = np.empty((len(ids), 4)), np.empty(len(ids), np.int64)
    predict_boxes(now, velocity, elapsed, expected)
    _assign(box, box_class, looked, class_ids, expected, boxes, object_of, detection_of)
    # A plain 0 would be a type of its own, for which everything below is compiled once more.
    count = np.int64(0)
    for i in range(len(ids)):
        j = detection_of[i]
        if j < 0 and frame - present[i] > MEMORY_FRAMES:
            continue
        to_ids[count], to_class[count], to_looks[count], to_seen[count] = ids[i], class_ids[i], looks[i], seen[i]
        to_scores[count], to_present[count] = scores[i], present[i]
        _keep(boxes, now, state, velocity, spread, i, to_boxes, to_now, to_state, to_velocity, to_spread, count)
        if j >= 0:
            to_scores[count], to_present[count], object_of[j] = box_score[j], frame, count
            if looked[j]:
                _correct(box, j, float(frame - seen[i]), to_boxes, to_now, to_state, to_velocity, to_spread, count)
                to_looks[count], to_seen[count] = to_looks[count] + 1, frame
        count += 1
    for j in range(len(box)):
        if object_of[j] < 0:
            to_ids[count], to_class[count], to_scores[count], to_looks[count] = next_id, box_class[j], box_score[j], 1
            to_seen[count] = to_present[count] = frame
            _begin(box, j, to_boxes, to_now, to_state, to_velocity, to_spread, count)
            object_of[j] = count
            next_id, count = next_id + 1, count + 1
    return count, next_id
