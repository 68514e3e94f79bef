"""Objects over time, and where they are while nobody looks.

A detection whose regions are not sent stays where it was last seen: the network is not told that anything moved. Its
box is moved on instead, with what it shows in the picture (``detection.flow``) or, where that cannot be told, with the
object's own velocity. Velocities come from a Kalman filter, because a box shakes from frame to frame by more than a
slow object moves: a velocity is believed as far as it is known.

Objects over the frames of a masked camera: which detections were looked at, and where the others are by now.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.detections import Detections
from ..core.grid import is_observed
from .kernels import MEMORY_FRAMES, advance_tracks, displacement, move_resting_boxes, predict_boxes, predict_sized
from .motion import OpticalFlow

_NO_SHIFT, _NO_GROWTH = np.zeros((0, 2)), np.zeros(0)


@dataclass(frozen=True)
class Tracks:
    """n objects.

    ids: int64 [n], rising. class_ids: int64 [n]. boxes: float64 [n, 4], x0 y0 x1 y1 in picture pixels, as last seen.
    now: float64 [n, 4], the same boxes where they are in the last frame: as last seen, and moved on while they rested.
    state: float64 [n, 4], filtered centre x, y and width, height. velocity: float64 [n, 4], of the state, pixels a
    frame. spread: float64 [n, 2, 3], variance of place, covariance, variance of velocity, in sizes; of centre and size.
    scores: float64 [n], of the last detection. looks: int64 [n], how often the box was measured. seen: int64 [n], frame
    in which that was last. present: int64 [n], frame of the last detection, measured or resting.
    next_id: of the next new object. last: the frame that ``now`` belongs to, that of the last result, -1 before the
    first; of a pipelined backend it lies some frames back.
    """

    ids: np.ndarray
    class_ids: np.ndarray
    boxes: np.ndarray
    now: np.ndarray
    state: np.ndarray
    velocity: np.ndarray
    spread: np.ndarray
    scores: np.ndarray
    looks: np.ndarray
    seen: np.ndarray
    present: np.ndarray
    next_id: int = 0
    last: int = -1

    @classmethod
    def none(cls) -> Tracks:
        return cls(*_make_arrays(0))

    def __len__(self) -> int:
        return len(self.ids)

    def expected(self, frame: int) -> np.ndarray:
        """float64 [n, 4], x0 y0 x1 y1: where the objects are in that frame, when they go on as before."""
        boxes = np.empty((len(self), 4))
        predict_boxes(self.now, self.velocity, float(frame - self.last), boxes)
        return boxes

    def shift(self, frame: int) -> np.ndarray:
        """float64 [n]: how far each centre has gone by that frame from where it was last seen, in the object's size."""
        shift = np.empty(len(self))
        displacement(self.now, self.velocity, float(frame - self.last), self.boxes, self.state, shift)
        return shift

    def select(self, which: np.ndarray) -> Tracks:
        """Some of them, as copies."""
        return Tracks(*(value[which] for value in self.arrays), self.next_id, self.last)

    def at(self, frame: int, now: np.ndarray, present: np.ndarray) -> Tracks:
        """The same objects in that frame, which becomes the last one."""
        return Tracks(self.ids, self.class_ids, self.boxes, now, self.state, self.velocity, self.spread, self.scores,
                      self.looks, self.seen, present, self.next_id, frame)

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """All that is known of the objects, in the order of the fields."""
        return (self.ids, self.class_ids, self.boxes, self.now, self.state, self.velocity, self.spread, self.scores,
                self.looks, self.seen, self.present)


def predict(tracks: Tracks, resting: np.ndarray, motion: OpticalFlow | None, frame: int) -> Tracks:
    """The objects with ``now`` moved on to that frame, which becomes the last one.

    resting: bool [n], those whose regions are not sent in it: they go with the picture. The others are about to be
    measured, and go on with their velocity until then. motion: from the frame before to this one, None if not known.
    """
    shift, growth = _NO_SHIFT, _NO_GROWTH
    if motion is not None and resting.any():
        shift, growth = motion.of(tracks.now[resting])
    now = np.empty((len(tracks), 4))
    predict_sized(tracks.now, tracks.velocity, float(frame - tracks.last), resting, shift, growth, now)
    return tracks.at(frame, now, tracks.present)


def associate(tracks: Tracks, found: Detections, looked: np.ndarray, frame: int) -> tuple[Tracks, np.ndarray]:
    """Objects after one more frame, and for each detection the place of its object in them, int64 [len(found)].

    tracks: with ``now`` in this frame, see ``predict``.

    looked: bool [len(found)], whether a detection's regions were sent in this frame: only then it is a measurement.
    frame: number of the frame; rises from call to call.
    """
    detections = (found.boxes.astype(np.float64), found.class_ids.astype(np.int64),
                  found.scores.astype(np.float32, copy=False), looked)
    room, object_of = _make_arrays(len(tracks) + len(found)), np.empty(len(found), np.int64)
    count, next_id = advance_tracks(
        tracks.arrays, float(frame - tracks.last), detections, frame, tracks.next_id, room, object_of)
    grown = (array[:count] for array in room)
    return Tracks(*grown, next_id, frame), object_of


def keep_unobserved(tracks: Tracks, ids: np.ndarray, frame: int) -> tuple[Tracks, np.ndarray]:
    """As ``associate``, for detections that are those of the frame before, none of them looked at. ids: of their objects.

    Which object is whose is known then, and nothing was measured.
    """
    object_of = np.searchsorted(tracks.ids, ids)
    present = tracks.present.copy()
    present[object_of] = frame
    tracks = tracks.at(frame, tracks.now, present)
    kept = frame - present <= MEMORY_FRAMES
    if kept.all():
        return tracks, object_of
    return tracks.select(kept), (np.cumsum(kept) - 1)[object_of]


def apply_motion(found: Detections, looked: np.ndarray, tracks: Tracks, object_of: np.ndarray,
          image_wh: tuple[int, int]) -> Detections:
    """The detections, those whose regions rest moved as their objects have; clipped to the picture."""
    boxes, (width, height) = found.boxes.astype(np.float64), image_wh
    move_resting_boxes(boxes, looked, object_of, tracks.boxes, tracks.now, float(width), float(height))
    return Detections(
        boxes.astype(np.float32), found.scores, found.class_ids, tracks.ids[object_of], ~looked)


def _make_arrays(count: int) -> tuple[np.ndarray, ...]:
    """Arrays for so many objects, as ``Tracks.arrays``."""
    whole, numbers = np.empty((5, count), np.int64), np.empty((4, count, 4))
    ids, class_ids, looks, seen, present = whole
    return (ids, class_ids, *numbers, np.empty((count, 2, 3)), np.empty(count), looks, seen, present)


def update_tracks(tracks: Tracks, found: Detections, keep: np.ndarray, image_wh: tuple[int, int], frame: int,
             motion: OpticalFlow | None, same: np.ndarray | None = None) -> tuple[Tracks, Detections]:
    """The objects after one more frame, and its detections with their numbers, those that rest moved on.

    found: as the network shows them. keep: bool [rows, cols], what was sent in this frame. frame: its number, rising
    from call to call. motion: of the picture since the frame before, None when that is not known. same: int64
    [len(found)], numbers of the detections' objects in the frame before when it showed the very same; None if not.
    """
    if len(tracks):
        resting = ~is_observed(tracks.now, keep, image_wh) & (tracks.present >= tracks.last)
        tracks = predict(tracks, resting, motion, frame)
    looked = is_observed(found.boxes, keep, image_wh)
    if same is not None and not looked.any():
        tracks, object_of = keep_unobserved(tracks, same, frame)
    else:
        tracks, object_of = associate(tracks, found, looked, frame)
    return tracks, apply_motion(found, looked, tracks, object_of, image_wh)
