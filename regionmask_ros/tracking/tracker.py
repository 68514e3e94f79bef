"""Objects over the frames of a masked camera, and where they are while their regions are masked.

A detection whose regions are masked stays where it was last observed: the network received no change.
Its box is moved instead, with what it shows in the image (``tracking.motion``) or, where that cannot be measured, with
the object's own velocity. Velocities come from a Kalman filter, because a box jitters from frame to frame by more than
a slow object moves: a velocity counts as far as it is known.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..core.detections import Detections
from ..core.grid import is_observed
from .kernels import (
    MEMORY_FRAMES,
    advance_tracks,
    displacement,
    find_reach,
    move_unobserved_boxes,
    predict_boxes,
    predict_moving,
)
from .motion import UNKNOWN, OpticalFlow

NO_SHIFT, NO_GROWTH = np.zeros((0, 2)), np.zeros(0)


@dataclass(frozen=True)
class Tracks:
    """The n objects of one camera. Boxes are x0 y0 x1 y1 in image pixels.

    Attributes:
        ids: int64 [n], rising.
        class_ids: int64 [n].
        observed_boxes: float64 [n, 4], as last observed.
        predicted_boxes: float64 [n, 4], where these boxes are in the last frame.
        state: float64 [n, 4], filtered center x, y and width, height.
        velocity: float64 [n, 4], of the state, in pixels a frame.
        covariance: float64 [n, 2, 3], variance of the place, covariance, variance of the velocity, in sizes of the
            object; of its center and of its size.
        scores: float64 [n], of the last detection.
        hits: int64 [n], number of observations.
        last_observed: int64 [n], frame of the last observation.
        last_detected: int64 [n], frame of the last detection, observed or not.
        next_id: Number of the next new object.
        last_frame: The frame of the last result, to which ``predicted_boxes`` belong; -1 before the first. With a
            pipelined backend it lies some frames back.
    """

    ids: np.ndarray
    class_ids: np.ndarray
    observed_boxes: np.ndarray
    predicted_boxes: np.ndarray
    state: np.ndarray
    velocity: np.ndarray
    covariance: np.ndarray
    scores: np.ndarray
    hits: np.ndarray
    last_observed: np.ndarray
    last_detected: np.ndarray
    next_id: int = 0
    last_frame: int = -1

    @classmethod
    def none(cls) -> Tracks:
        """No object, before the first frame."""
        return cls.of(make_arrays(0), 0, -1)

    @classmethod
    def of(cls, arrays: Sequence[np.ndarray], next_id: int, last_frame: int) -> Tracks:
        """Makes them from ``arrays``."""
        return cls(*arrays, next_id=next_id, last_frame=last_frame)  # type: ignore[arg-type, misc]

    def __len__(self) -> int:
        return len(self.ids)

    def extrapolate(self, frame: int) -> np.ndarray:
        """Where the objects are in a frame if they move on as before: float64 [n, 4]."""
        boxes = np.empty((len(self), 4))
        predict_boxes(self.predicted_boxes, self.velocity, float(frame - self.last_frame), boxes)
        return boxes

    def displacement(self, frame: int) -> np.ndarray:
        """How far each center is, in a frame, from where it was last observed, in the object's size: float64 [n]."""
        shift = np.empty(len(self))
        displacement(self.predicted_boxes, self.velocity, float(frame - self.last_frame), self.observed_boxes,
                     self.state, shift)
        return shift

    def select(self, which: np.ndarray) -> Tracks:
        """Some of the objects, as copies. The argument is an index or bool [n]."""
        return self.of([value[which] for value in self.arrays], self.next_id, self.last_frame)

    def at(self, frame: int, predicted_boxes: np.ndarray, last_detected: np.ndarray) -> Tracks:
        """The same objects in that frame, which becomes the last one."""
        return Tracks(self.ids, self.class_ids, self.observed_boxes, predicted_boxes, self.state, self.velocity,
                      self.covariance, self.scores, self.hits, self.last_observed, last_detected, self.next_id, frame)

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """All that is known of the objects, in the order of the fields."""
        return (self.ids, self.class_ids, self.observed_boxes, self.predicted_boxes, self.state, self.velocity,
                self.covariance, self.scores, self.hits, self.last_observed, self.last_detected)


def predict(tracks: Tracks, unobserved: np.ndarray, motion: OpticalFlow | None, frame: int) -> Tracks:
    """Moves the predicted boxes on to a frame, which becomes the last one.

    Args:
        tracks: The objects.
        unobserved: bool [n], those whose regions are masked in this frame: they move with the image. The others are
            about to be measured, and move with their velocity until then.
        motion: From the frame before to this one. None: not known.
        frame: Number of the frame.

    Returns:
        The objects in that frame.
    """
    shift, growth = NO_SHIFT, NO_GROWTH
    if motion is not None and unobserved.any():
        shift, growth = motion.of(tracks.predicted_boxes[unobserved])
    boxes = np.empty((len(tracks), 4))
    predict_moving(tracks.predicted_boxes, tracks.velocity, float(frame - tracks.last_frame), unobserved, shift, growth,
                   boxes)
    return tracks.at(frame, boxes, tracks.last_detected)


def associate(tracks: Tracks, found: Detections, observed: np.ndarray, frame: int) -> tuple[Tracks, np.ndarray]:
    """Finds the object of each detection, and updates the objects with what was observed.

    Args:
        tracks: The objects, predicted for this frame, see ``predict``.
        found: The detections of this frame.
        observed: bool [len(found)], whether a detection's regions were observed in this frame: only then it is a
            measurement.
        frame: Number of the frame; rises from call to call.

    Returns:
        The objects after this frame, and for each detection the index of its object, int64 [len(found)].
    """
    detections = (found.boxes.astype(np.float64), found.class_ids.astype(np.int64),
                  found.scores.astype(np.float32, copy=False), observed)
    room, object_of = make_arrays(len(tracks) + len(found)), np.empty(len(found), np.int64)
    count, next_id = advance_tracks(
        tracks.arrays, float(frame - tracks.last_frame), detections, frame, tracks.next_id, room, object_of)
    return Tracks.of([array[:count] for array in room], next_id, frame), object_of


def keep_unobserved(tracks: Tracks, ids: np.ndarray, frame: int) -> tuple[Tracks, np.ndarray]:
    """As ``associate``, for the same detections as in the frame before, none of which was observed.

    Their objects are known then, and nothing was measured.

    Args:
        tracks: The objects, predicted for this frame.
        ids: Numbers of the detections' objects, int64 [number of detections].
        frame: Number of the frame.

    Returns:
        As ``associate``.
    """
    object_of = np.searchsorted(tracks.ids, ids)
    last_detected = tracks.last_detected.copy()
    last_detected[object_of] = frame
    tracks = tracks.at(frame, tracks.predicted_boxes, last_detected)
    kept = frame - last_detected <= MEMORY_FRAMES
    if kept.all():
        return tracks, object_of
    return tracks.select(kept), (np.cumsum(kept) - 1)[object_of]


def apply_motion(found: Detections, observed: np.ndarray, tracks: Tracks, object_of: np.ndarray,
                 image_wh: tuple[int, int]) -> Detections:
    """Moves detections whose regions are masked as their objects have moved.

    Args:
        found: As the network shows them.
        observed: bool [len(found)], whether their regions were observed.
        tracks: The objects after this frame.
        object_of: Index of each detection's object, int64 [len(found)].
        image_wh: Width and height of the image, to which all boxes are clipped.

    Returns:
        The detections with their objects' numbers.
    """
    boxes, (width, height) = found.boxes.astype(np.float64), image_wh
    move_unobserved_boxes(
        boxes, observed, object_of, tracks.observed_boxes, tracks.predicted_boxes, float(width), float(height))
    return Detections(boxes.astype(np.float32), found.scores, found.class_ids, tracks.ids[object_of], ~observed)


def make_arrays(count: int) -> tuple[np.ndarray, ...]:
    """Arrays for a number of objects, as ``Tracks.arrays``."""
    whole, numbers = np.empty((5, count), np.int64), np.empty((4, count, 4))
    ids, class_ids, hits, last_observed, last_detected = whole
    return (ids, class_ids, *numbers, np.empty((count, 2, 3)), np.empty(count), hits, last_observed, last_detected)


def update_tracks(tracks: Tracks, found: Detections, keep: np.ndarray, image_wh: tuple[int, int], frame: int,
                  motion: OpticalFlow | None, same: np.ndarray | None = None) -> tuple[Tracks, Detections]:
    """Tracks objects over one more frame.

    Args:
        tracks: The objects after the frame before.
        found: Detections of this frame, as the network shows them.
        keep: bool [rows, cols], True = observed in this frame.
        image_wh: Width and height of the image.
        frame: Number of the frame; rises from call to call.
        motion: Of the image since the frame before. None: not known.
        same: Numbers of the detections' objects in the frame before when it showed exactly these detections, int64
            [len(found)]. None: it did not.

    Returns:
        The objects after this frame, and its detections with their objects' numbers; those whose regions are masked
        are moved.
    """
    if len(tracks):
        unobserved = ~is_observed(tracks.predicted_boxes, keep, image_wh) & (tracks.last_detected >= tracks.last_frame)
        tracks = predict(tracks, unobserved, motion, frame)
    observed = is_observed(found.boxes, keep, image_wh)
    if same is not None and not observed.any():
        tracks, object_of = keep_unobserved(tracks, same, frame)
    else:
        tracks, object_of = associate(tracks, found, observed, frame)
    return tracks, apply_motion(found, observed, tracks, object_of, image_wh)


REACH_DECAY = 0.5
"""Share of the reach that stays from frame to frame, so that one quiet frame does not end the search for fast
objects."""


def update_reach(reach: float, before: Tracks, now: Tracks) -> float:
    """How far boxes move in a frame: what ``OpticalFlow.reach`` needs in the next one.

    Args:
        reach: Of the frame before, in image pixels, or ``motion.UNKNOWN``.
        before: The objects after the frame before.
        now: The objects after this frame.

    Returns:
        The largest shift of a box's center along one axis, in image pixels; ``motion.UNKNOWN`` without an object in
        both frames, and when most objects were lost: they may have moved too far.
    """
    shift = find_reach((before.ids, before.predicted_boxes, before.last_detected), before.last_frame,
                       (now.ids, now.predicted_boxes, now.last_detected), now.last_frame)
    if shift < 0.0:
        return UNKNOWN
    return shift if math.isinf(reach) else max(shift, REACH_DECAY * reach)
