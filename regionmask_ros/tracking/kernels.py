"""The arithmetic of ``tracker``, one object at a time.

There are some tens of objects: with NumPy, the calls would cost far more than what they compute.
Boxes are float64, x0 y0 x1 y1; a state is center x, y and width, height. Arrays that a kernel writes belong to its
caller.
"""

from __future__ import annotations

import numpy as np

from ..core.boxes import area_ratio, iou
from ..core.grid import share_observed
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


@kernel
def move_held(boxes: np.ndarray, velocity: np.ndarray, elapsed: float, followed: np.ndarray, shift: np.ndarray,
              growth: np.ndarray, image: np.ndarray, least: float, result: np.ndarray, visible: np.ndarray) -> bool:
    """Moves objects, and finds those that still lie in the image.

    Args:
        boxes: As the next five arguments, of ``predict_moving``.
        velocity: See there.
        elapsed: See there.
        followed: See there.
        shift: See there.
        growth: See there.
        image: float64 [1, 4], the box of the image.
        least: Share of a box that must lie in it.
        result: float64 [n, 4], written.
        visible: bool [n], written.

    Returns:
        Whether all are visible.
    """
    predict_moving(boxes, velocity, elapsed, followed, shift, growth, result)
    are_all = True
    for i in range(len(boxes)):
        visible[i] = area_ratio(result, i, image, 0) >= least
        are_all &= visible[i]
    return are_all


@kernel
def find_shown(boxes: np.ndarray, windows: np.ndarray, least: float, least_px: np.ndarray, image: np.ndarray,
               shown: np.ndarray) -> None:
    """Finds boxes of whose part in the image enough lies inside of one of some windows.

    Args:
        boxes: float64 [n, 4].
        windows: float64 [windows, 4].
        least: Share of the area of a box that must lie inside.
        least_px: float64 [windows, 2], smallest width and height of a box in each window.
        image: float64 [1, 4], the box of the image.
        shown: bool [n], written.
    """
    box = np.empty((1, 4))
    for i in range(len(boxes)):
        for c in range(4):
            box[0, c] = min(max(boxes[i, c], 0.0), image[0, 2 + c % 2])
        shown[i] = False
        for k in range(len(windows)):
            is_large = box[0, 2] - box[0, 0] >= least_px[k, 0] and box[0, 3] - box[0, 1] >= least_px[k, 1]
            shown[i] |= is_large and area_ratio(box, 0, windows, k) >= least


@kernel
def compare_shown(known: tuple[np.ndarray, ...], misses: np.ndarray, excluded: np.ndarray,
                  found: tuple[np.ndarray, ...], looks: tuple[np.ndarray, ...], least: float, keep: np.ndarray,
                  least_observed: float, least_iou: float, frame: int, shown: np.ndarray
                  ) -> tuple[float, float, float]:
    """Finds the objects that looks should show, and compares those that the last look did not miss with what was found.

    Args:
        known: Predicted objects: float64 boxes [n, 4], int64 class_ids, float64 scores and int64 last_observed.
        misses: int64 [n], looks in a row that have missed each object.
        excluded: bool [n], objects that are not shown.
        found: As for ``sum_agreement``.
        looks: ``windows``, ``least_px`` and ``image`` of ``find_shown``.
        least: See there.
        keep: bool [rows, cols], True = observed.
        least_observed: Share of a box that must be more than observed.
        least_iou: As for ``sum_agreement``.
        frame: Number of the frame.
        shown: bool [n], written.

    Returns:
        The sums of ``sum_agreement``, and the median of the frames since these objects were last observed; 0 of none.
    """
    boxes, class_ids, scores, last_observed = known
    windows, least_px, image = looks
    find_shown(boxes, windows, least, least_px, image, shown)
    share = np.empty(len(boxes))
    share_observed(boxes, keep, image[0, 2], image[0, 3], share)
    predicted, elapsed, count = np.empty(len(boxes), np.bool_), np.empty(len(boxes)), np.int64(0)
    for i in range(len(boxes)):
        shown[i] &= share[i] > least_observed and not excluded[i]
        predicted[i] = shown[i] and misses[i] == 0
        if predicted[i]:
            # Sorted while it is filled.
            place = count
            while place > 0 and elapsed[place - 1] > frame - last_observed[i]:
                elapsed[place] = elapsed[place - 1]
                place -= 1
            elapsed[place] = frame - last_observed[i]
            count += 1
    held, total = sum_agreement((boxes, class_ids, scores), predicted, found, least_iou)
    return held, total, (elapsed[(count - 1) // 2] + elapsed[count // 2]) / 2.0 if count else 0.0


@kernel
def sum_agreement(known: tuple[np.ndarray, ...], shown: np.ndarray, found: tuple[np.ndarray, ...], least_iou: float
                  ) -> tuple[float, float]:
    """Sums the scores of boxes that have a counterpart at their place, and of all.

    Args:
        known: Predicted objects: float64 boxes [n, 4], int64 class_ids and float64 scores, [n] each.
        shown: bool [n], which of them count.
        found: Detections: float64 boxes [m, 4], int64 class_ids and float32 scores, [m] each.
        least_iou: Overlap of counterparts, at least.

    Returns:
        Both sums.
    """
    boxes, class_ids, scores = known
    box, box_class, box_score = found
    held = total = 0.0
    for i in range(len(boxes)):
        if shown[i]:
            total += scores[i]
            for j in range(len(box)):
                if class_ids[i] == box_class[j] and iou(boxes, i, box, j) >= least_iou:
                    held += scores[i]
                    break
    for j in range(len(box)):
        total += box_score[j]
        for i in range(len(boxes)):
            if class_ids[i] == box_class[j] and iou(boxes, i, box, j) >= least_iou:
                held += box_score[j]
                break
    return held, total


@kernel
def count_misses(before: np.ndarray, misses_of: np.ndarray, shown: np.ndarray, objects: tuple[np.ndarray, ...],
                 found: tuple[np.ndarray, ...], object_of: np.ndarray, same_iou: float, most: int,
                 detection_of: np.ndarray, misses: np.ndarray, gone: np.ndarray) -> bool:
    """Counts the looks in a row that have missed each object, and finds the objects that end.

    A missed object that overlaps a detection of its class is the same object, found once more, and ends.

    Args:
        before: int64 [before], numbers of the objects before this frame, rising.
        misses_of: int64 [before], their misses so far.
        shown: bool [before], whether a look should show them.
        objects: The objects after this frame: int64 ids, float64 boxes [n, 4] and int64 class_ids. Those before it come
            first, in their order.
        found: Detections: float64 boxes [m, 4] and int64 class_ids.
        object_of: int64 [m], index of each detection's object.
        same_iou: From above this overlap on, it is the same object.
        most: From this number of misses on, an object ends.
        detection_of: int64 [n], written: index of each object's detection, -1 without one.
        misses: int64 [n], written.
        gone: bool [n], written.

    Returns:
        Whether any object ends.
    """
    ids, boxes, class_ids = objects
    box, box_class = found
    detection_of[:] = -1
    for j in range(len(object_of)):
        detection_of[object_of[j]] = j
    k, is_any = np.int64(0), False
    for i in range(len(ids)):
        misses[i] = 0
        if k < len(before) and before[k] == ids[i]:
            if detection_of[i] < 0:
                misses[i] = misses_of[k] + shown[k]
            k += 1
        gone[i] = misses[i] >= most
        if misses[i] > 0:
            for j in range(len(box)):
                if class_ids[i] == box_class[j] and iou(boxes, i, box, j) > same_iou:
                    gone[i] = True
        is_any |= gone[i]
    return is_any


@kernel
def update_held(old: tuple[np.ndarray, ...], misses_of: np.ndarray, shown: np.ndarray, found: tuple[np.ndarray, ...],
                frame: int, next_id: int, same_iou: float, most: int, new: tuple[np.ndarray, ...], misses: np.ndarray,
                detection_of: np.ndarray) -> tuple[Whole, int]:
    """Updates all objects with the detections of a frame with looks.

    Args:
        old: As for ``advance_tracks``, predicted for this frame.
        misses_of: int64 [objects], their misses so far.
        shown: bool [objects], whether a look should show them.
        found: As for ``advance_tracks``.
        frame: Number of the frame.
        next_id: Number of the next new object.
        same_iou: As for ``count_misses``.
        most: See there.
        new: As for ``advance_tracks``. All objects count as detected.
        misses: int64 with the room of ``new``, written: looks in a row that have missed each object.
        detection_of: Likewise: index of each object's detection, -1 without one.

    Returns:
        How many objects were written, and the next ``next_id``.
    """
    object_of = np.empty(len(found[0]), np.int64)
    count, next_id = advance_tracks(old, 0.0, found, frame, next_id, new, object_of)
    ids, class_ids, boxes, now, state, velocity, covariance, scores, hits, seen, present = new
    gone = np.empty(count, np.bool_)
    count_misses(old[0], misses_of, shown, (ids[:count], now, class_ids), found[:2], object_of, same_iou, most,
                 detection_of, misses, gone)
    kept, numbers = np.int64(0), (boxes, now, state, velocity, covariance)
    for i in range(count):
        if not gone[i]:
            ids[kept], class_ids[kept], scores[kept], hits[kept] = ids[i], class_ids[i], scores[i], hits[i]
            seen[kept], present[kept] = seen[i], frame
            misses[kept], detection_of[kept] = misses[i], detection_of[i]
            _copy(numbers, i, numbers, kept)
            kept += 1
    return kept, next_id


@kernel
def report_objects(objects: tuple[np.ndarray, ...], misses: np.ndarray, factors: np.ndarray, detection_of: np.ndarray,
                   found: np.ndarray, width: np.float32, height: np.float32, reported: tuple[np.ndarray, ...]) -> None:
    """Writes what is reported of objects, best score first.

    Args:
        objects: int64 ids, float64 boxes [n, 4], int64 class_ids and float64 scores.
        misses: int64 [n].
        factors: float64, of the score by the number of misses.
        detection_of: int64 [n], index of each object's detection, -1 without one.
        found: float32 [m, 4], boxes of the detections.
        width: Of the image.
        height: Of the image.
        reported: Written: float32 boxes [n, 4], float32 scores, int32 class_ids, int64 ids, and bool, whether the box
            is a predicted one.
    """
    ids, boxes, class_ids, scores = objects
    to_boxes, to_scores, to_class, to_ids, is_predicted = reported
    order = np.empty(len(ids), np.int64)
    for i in range(len(ids)):
        score, place = np.float32(scores[i] * factors[misses[i]]), i
        # Equal ones keep their order.
        while place > 0 and to_scores[place - 1] < score:
            to_scores[place], order[place] = to_scores[place - 1], order[place - 1]
            place -= 1
        to_scores[place], order[place] = score, i
    zero = np.float32(0.0)
    for place in range(len(ids)):
        i = order[place]
        j = detection_of[i]
        to_class[place], to_ids[place], is_predicted[place] = class_ids[i], ids[i], j < 0
        for c in range(4):
            value = np.float32(boxes[i, c]) if j < 0 else found[j, c]
            to_boxes[place, c] = min(max(value, zero), width if c % 2 == 0 else height)


@kernel
def find_reach(before: tuple[np.ndarray, ...], frame_before: int, now: tuple[np.ndarray, ...], frame: int) -> float:
    """Finds the largest shift of objects that were detected in two frames.

    Args:
        before: After the frame before: int64 ids, rising, float64 predicted boxes [n, 4] and int64 last_detected.
        frame_before: That frame.
        now: The same after this frame.
        frame: This frame.

    Returns:
        The largest shift of a box's center along one axis; -1 where fewer than half of the objects were found again.
    """
    ids, boxes, present = before
    now_ids, now_boxes, now_present = now
    known, both, k, shift = np.int64(0), np.int64(0), np.int64(0), 0.0
    for i in range(len(ids)):
        if present[i] < frame_before:
            continue
        known += 1
        while k < len(now_ids) and now_ids[k] < ids[i]:
            k += 1
        if k < len(now_ids) and now_ids[k] == ids[i] and now_present[k] >= frame:
            both += 1
            for axis in range(2):
                moved = ((now_boxes[k, axis] - boxes[i, axis]) + (now_boxes[k, axis + 2] - boxes[i, axis + 2]))
                shift = max(shift, abs(moved))
    return -1.0 if known == 0 or 2 * both < known else shift / 2.0
