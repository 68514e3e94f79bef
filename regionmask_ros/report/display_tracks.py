"""Detections over the frames as an overlay shows them: the same objects, but steady.

Detections are exact, and so they blink: a weak one comes and goes, a box jitters, a class changes for a frame. Planners
get them as they are. For the eyes, an object is confirmed by several observations, keeps its place in the list, is
bridged where it is missed for a few frames, and its box is smoothed. The smoothed box never lies further from the
detected one than a small share of the object's size, so it does not lag.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

import numpy as np

from ..core.detections import UNTRACKED, Detections

CONFIRMING_HITS = 3
"""Observations after which an object is confirmed. Most false detections last one or two frames."""

MISSED_FRAMES = 3
"""Frames that a confirmed object is still shown when it is not detected: a miss lasts one cycle of a preset."""

MEMORY_FRAMES = 16
"""Frames that a confirmed object is remembered when it is not detected, as the tracker remembers it."""

RESTING_FRAMES = 12
"""An object that is not observed for more frames is shown as predicted. Presets refresh after 12 frames at most."""

GAIN, TOLERANCE = 0.15, 0.3
"""A corner follows its detection by ``GAIN`` of a small difference, and wholly if that is ``TOLERANCE`` of the size."""

VELOCITY_GAIN = 0.04
"""Share of a difference by which the expected velocity changes."""

LARGEST_LAG = (1.0 - GAIN) * TOLERANCE / 4.0
"""Bound of the distance between the smoothed and the detected corner, in the object's width or height."""

STICK = 0.75
"""Pixels by which a corner must move before its drawn, whole number changes."""

SAME_OBJECT_IOU = 0.3
"""Least overlap of an object and its next detection where detections are not tracked."""

SAME_PLACE_IOU = 0.5
"""Overlap from which two objects are shown as one while one of them is missed."""

SCORE_GAIN, SCORE_STEP, SCORE_STICK = 0.2, 0.1, 0.08
"""Smoothed scores are shown in steps, and change when the score is further than the third value from the shown one."""


class Certainty(Enum):
    """How an object is known in a frame."""

    FOUND = "found"
    PREDICTED = "predicted"
    """It is confirmed, but was not observed for some frames, or not detected in this one."""
    TENTATIVE = "tentative"
    """It is detected, but not confirmed."""


@dataclass(frozen=True)
class ShownObject:
    """One object of one frame, for drawing.

    Attributes:
        key: Number of the object on this display.
        class_id: Index into the network's labels.
        track_id: Its number in the detections; UNTRACKED where they are not tracked.
        score: 0 to 1, in steps.
        box: Whole numbers x0, y0, x1, y1 inside the image, not empty.
        certainty: How it is known.
    """

    key: int
    class_id: int
    track_id: int
    score: float
    box: tuple[int, int, int, int]
    certainty: Certainty


class _Object:
    """What the display remembers of one object."""

    def __init__(self, key: int, class_id: int, track_id: int, score: float, box: list[float]) -> None:
        self.key, self.class_id, self.track_id = key, class_id, track_id
        self.score, self.shown_score = score, _step(score)
        self.box, self.velocity = list(box), [0.0, 0.0, 0.0, 0.0]
        self.drawn = [round(corner) for corner in box]
        self.hits = self.missed = self.unobserved = 0
        self.is_confirmed = self.was_shown = False

    def find(self, box: list[float], score: float, is_resting: bool) -> None:
        """Takes the object's detection of this frame; ``predict`` comes before."""
        self.move_to(box)
        self.score += SCORE_GAIN * (score - self.score)
        if abs(self.score - self.shown_score) > SCORE_STICK:
            self.shown_score = _step(self.score)
        self.missed = 0
        self.unobserved = self.unobserved + 1 if is_resting else 0
        self.hits += not is_resting
        self.is_confirmed |= self.hits >= CONFIRMING_HITS

    def move_to(self, box: list[float]) -> None:
        """Follows a detected box."""
        for corner in range(4):
            size = max(1.0, box[2 + corner % 2] - box[corner % 2])
            difference = box[corner] - self.box[corner]
            gain = min(1.0, GAIN + (1.0 - GAIN) * abs(difference) / (TOLERANCE * size))
            self.box[corner] += gain * difference
            self.velocity[corner] += VELOCITY_GAIN * difference

    def predict(self, elapsed: int) -> None:
        """Moves on by some frames. Until it is found, it counts as missed."""
        for corner in range(4):
            self.box[corner] += self.velocity[corner] * elapsed
        self.missed += elapsed

    def draw(self, width: int, height: int) -> bool:
        """Moves the drawn corners to the box where they are too far from it; False: nothing of it is visible."""
        for corner, most in enumerate((width, height, width, height)):
            value = min(max(self.box[corner], 0.0), float(most))
            if abs(value - self.drawn[corner]) > STICK or value in (0.0, most):
                self.drawn[corner] = round(value)
        x0, y0, x1, y1 = self.drawn
        return x1 > x0 and y1 > y0


class DisplayTracks:
    """The objects of one camera on a display, frame by frame. ``len`` counts the remembered ones."""

    def __init__(self) -> None:
        self._objects: list[_Object] = []
        self._next_key = 0
        self._last: tuple[int, int, tuple[int, int]] | None = None

    def __len__(self) -> int:
        return len(self._objects)

    def reset(self) -> None:
        """Forgets all objects."""
        self._objects.clear()
        self._last = None

    def update(self, detections: Detections, image_wh: tuple[int, int], index: int, stamp_ns: int
               ) -> tuple[ShownObject, ...]:
        """Takes the detections of the next frame.

        A number or time stamp that goes back, a gap in the numbers, or an image of another size begins anew.

        Args:
            detections: As they are reported.
            image_wh: Width and height of the image.
            index: Number of the frame.
            stamp_ns: Its time stamp in nanoseconds.

        Returns:
            The objects to draw, the one that has been shown for the longest time first.
        """
        elapsed = self._follow(image_wh, index, stamp_ns)
        for one in self._objects:
            one.predict(elapsed)
        self._assign(detections)
        self._objects = [one for one in self._objects
                         if one.missed <= (MEMORY_FRAMES if one.is_confirmed else MISSED_FRAMES)]
        shown = [one for one in _choose(self._objects) if one.draw(*image_wh)]
        for one in self._objects:
            one.was_shown = False
        for one in shown:
            one.was_shown = True
        return tuple(_show(one) for one in shown)

    def _follow(self, image_wh: tuple[int, int], index: int, stamp_ns: int) -> int:
        """Frames since the last one; forgets everything where this frame does not follow it."""
        elapsed = 1
        if self._last is not None:
            last_index, last_stamp_ns, last_wh = self._last
            elapsed = index - last_index
            if not 0 < elapsed <= MEMORY_FRAMES or stamp_ns < last_stamp_ns or image_wh != last_wh:
                self.reset()
        self._last = (index, stamp_ns, image_wh)
        return elapsed

    def _assign(self, detections: Detections) -> None:
        """Gives each detection to its object: by the number of its track, else by overlap. Makes new objects."""
        boxes: np.ndarray = detections.boxes.astype(np.float64)
        rows = list(zip(boxes.tolist(), detections.scores.tolist(), detections.class_ids.tolist(),
                        detections.track_ids.tolist(), detections.resting.tolist()))
        numbered = {one.track_id: one for one in self._objects if one.track_id != UNTRACKED}
        free = [one for one in self._objects if one.track_id == UNTRACKED]
        overlap_of = _pair_by_overlap(free, boxes, [row[2] if row[3] == UNTRACKED else None for row in rows])
        for number, (box, score, class_id, track_id, is_resting) in enumerate(rows):
            known = overlap_of.get(number) if track_id == UNTRACKED else numbered.get(track_id)
            if known is None or not _may_be(known, class_id, box):
                if known is not None:  # A tracker that began anew gives its numbers once more.
                    self._objects.remove(known)
                known = _Object(self._next_key, class_id, track_id, score, box)
                self._next_key += 1
                self._objects.append(known)
            known.find(box, score, is_resting)


def _may_be(one: _Object, class_id: int, box: list[float]) -> bool:
    """Whether the box is of that class and within its own size, for each frame, of where the object should be."""
    reach = 1 + one.missed
    return one.class_id == class_id and all(
        one.box[axis] - box[2 + axis] < reach * (box[2 + axis] - box[axis])
        and box[axis] - one.box[2 + axis] < reach * (box[2 + axis] - box[axis]) for axis in range(2))


def _pair_by_overlap(objects: list[_Object], boxes: np.ndarray, classes: Iterable[int | None]) -> dict[int, _Object]:
    """The object of each detection, by the detection's number; pairs of the largest overlap come first.

    Args:
        objects: Those without a number.
        boxes: float64 [n, 4].
        classes: Of each detection; None: it belongs to no such object.

    Returns:
        A part of the detections.
    """
    if not objects or not len(boxes):
        return {}
    overlap = _iou(np.array([one.box for one in objects]), boxes)
    wanted = np.array([-1 if class_id is None else class_id for class_id in classes])
    overlap[np.array([one.class_id for one in objects])[:, None] != wanted] = 0.0
    pairs: dict[int, _Object] = {}
    while overlap.size and overlap.max() >= SAME_OBJECT_IOU:
        first, second = np.unravel_index(np.argmax(overlap), overlap.shape)
        pairs[int(second)] = objects[first]
        overlap[first], overlap[:, second] = 0.0, 0.0
    return pairs


def _choose(objects: list[_Object]) -> list[_Object]:
    """The objects that are shown: those that are found, and confirmed ones that are missed for a few frames."""
    found = [one for one in objects if not one.missed]
    missed = [one for one in objects if one.missed and one.is_confirmed and one.was_shown]
    if not missed:
        return found
    hidden, gone = set(), {one.key for one in missed if one.missed > MISSED_FRAMES}
    if found:
        # A detection that was not shown before, in the place of a missed object, may be that object under a new number
        # or class. It is shown once: the old one stays, moves with the new detection, and gives way when it has been
        # missed for long and the new one is confirmed.
        overlap = _iou(np.array([one.box for one in missed]), np.array([one.box for one in found]))
        for row, column in np.argwhere(overlap >= SAME_PLACE_IOU).tolist():
            old, new = missed[row], found[column]
            if not new.was_shown and (old.missed <= MISSED_FRAMES or not new.is_confirmed):
                old.move_to(new.box)
                hidden.add(new.key)
                gone.discard(old.key)
    return [one for one in objects if one.key not in hidden
            and (not one.missed or (one in missed and one.key not in gone))]


def _iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union of each pair: float64 [first, second]."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    common = np.maximum(high - low, 0.0).prod(axis=2)
    areas = [np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0).prod(axis=1) for boxes in (first, second)]
    overlap: np.ndarray = common / np.maximum(areas[0][:, None] + areas[1] - common, 1e-9)
    return overlap


def _show(one: _Object) -> ShownObject:
    certainty = Certainty.FOUND
    if not one.is_confirmed:
        certainty = Certainty.TENTATIVE
    elif one.missed or one.unobserved > RESTING_FRAMES:
        certainty = Certainty.PREDICTED
    x0, y0, x1, y1 = one.drawn
    return ShownObject(one.key, one.class_id, one.track_id, one.shown_score, (x0, y0, x1, y1), certainty)


def _step(score: float) -> float:
    return round(round(score / SCORE_STEP) * SCORE_STEP, 1)
