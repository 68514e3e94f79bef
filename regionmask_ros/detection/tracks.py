"""Objects over time, and where they are while nobody looks.

A detection whose regions are not sent stays where it was last seen: the network is not told that anything moved. Its
box is moved on instead, with what it shows in the picture (``detection.flow``) or, where that cannot be told, with the
object's own velocity. Velocities come from a Kalman filter, because a box shakes from frame to frame by more than a
slow object moves: a velocity is believed as far as it is known.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .detections import Detections
from .flow import Motion
from .overlap import union_overlap

SAME_OBJECT_IOU = 0.15

SHAKE = 0.2
"""Standard deviation of a detected box's centre and size, in the box's size (the root of its area)."""
CHANGE = 0.01
"""How much an object's velocity changes in a frame, in sizes a frame; standard deviation."""
EXPECTED_SPEED = (0.2, 0.01)
"""Standard deviation of the velocity of an object seen once, in sizes a frame: of its centre, and of its size."""

REMEMBERED = 16
"""Frames that an object which is not detected is remembered, so that its velocity is not lost by one miss."""


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
        whole, four = np.zeros(0, np.int64), np.zeros((0, 4))
        return cls(whole, whole, four, four, four, four, np.zeros((0, 2, 3)), np.zeros(0), whole, whole, whole)

    def __len__(self) -> int:
        return len(self.ids)

    def expected(self, frame: int) -> np.ndarray:
        """float64 [n, 4], x0 y0 x1 y1: where the objects are in that frame, when they go on as before."""
        return _corners(_centres(self.now) + self.velocity * (frame - self.last))

    def shift(self, frame: int) -> np.ndarray:
        """float64 [n]: how far each centre has gone by that frame from where it was last seen, in the object's size."""
        size = np.sqrt(np.maximum(self.state[:, 2] * self.state[:, 3], 1.0))
        gone = _centres(self.expected(frame))[:, :2] - _centres(self.boxes)[:, :2]
        return np.hypot(gone[:, 0], gone[:, 1]) / size

    def select(self, which: np.ndarray) -> Tracks:
        """Some of them, as copies."""
        arrays = {name: value[which] for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        return replace(self, **arrays)

    def copied(self) -> Tracks:
        arrays = {name: value.copy() for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        return replace(self, **arrays)


def carried(tracks: Tracks, resting: np.ndarray, motion: Motion | None, frame: int) -> Tracks:
    """The objects with ``now`` moved on to that frame, which becomes the last one.

    resting: bool [n], those whose regions are not sent in it: they go with the picture. The others are about to be
    measured, and go on with their velocity until then. motion: from the frame before to this one, None if not known.
    """
    shift, growth = tracks.velocity[:, :2] * (frame - tracks.last), np.ones(len(tracks))
    if motion is not None and resting.any():
        seen_shift, growth[resting] = motion.of(tracks.now[resting])
        shift[resting] = np.where(np.isnan(seen_shift), shift[resting], seen_shift)
    place = _centres(tracks.now)
    place[:, :2] += shift
    place[:, 2:] *= growth[:, None]
    return replace(tracks, now=_corners(place), last=frame)


def follow(tracks: Tracks, found: Detections, looked: np.ndarray, frame: int) -> tuple[Tracks, np.ndarray]:
    """Objects after one more frame, and for each detection the place of its object in them, int64 [len(found)].

    tracks: with ``now`` in this frame, see ``carried``.

    looked: bool [len(found)], whether a detection's regions were sent in this frame: only then it is a measurement.
    frame: number of the frame; rises from call to call.
    """
    boxes, class_ids = found.boxes.astype(np.float64), found.class_ids.astype(np.int64)
    object_of = _assigned(tracks, boxes, class_ids, looked, frame)
    new = np.flatnonzero(object_of < 0)
    again = np.flatnonzero(looked & (object_of >= 0))
    object_of[new] = len(tracks) + np.arange(len(new))
    grown = replace(tracks.copied(), last=frame)
    if len(new):
        grown = _joined(tracks, _begun(boxes[new], class_ids[new], frame, tracks.next_id))
    if len(again):
        _correct(grown, object_of[again], boxes[again], frame)
    grown.present[object_of], grown.scores[object_of] = frame, found.scores
    kept = frame - grown.present <= REMEMBERED
    if kept.all():
        return grown, object_of
    return grown.select(kept), (np.cumsum(kept) - 1)[object_of]


def rested(tracks: Tracks, ids: np.ndarray, frame: int) -> tuple[Tracks, np.ndarray]:
    """As ``follow``, for detections that are those of the frame before, none of them looked at. ids: of their objects.

    Which object is whose is known then, and nothing was measured.
    """
    object_of = np.searchsorted(tracks.ids, ids)
    present = tracks.present.copy()
    present[object_of] = frame
    tracks = replace(tracks, present=present, last=frame)
    kept = frame - present <= REMEMBERED
    if kept.all():
        return tracks, object_of
    return tracks.select(kept), (np.cumsum(kept) - 1)[object_of]


def moved(found: Detections, looked: np.ndarray, tracks: Tracks, object_of: np.ndarray,
          picture_wh: tuple[int, int]) -> Detections:
    """The detections, those whose regions rest moved as their objects have; clipped to the picture."""
    seen, now = _centres(tracks.boxes[object_of]), _centres(tracks.now[object_of])
    place = _centres(found.boxes)
    place[:, :2] += now[:, :2] - seen[:, :2]
    place[:, 2:] *= now[:, 2:] / np.maximum(seen[:, 2:], 1e-6)
    boxes = np.where(looked[:, None], found.boxes, _corners(place))
    limit = np.tile(picture_wh, 2)
    boxes = np.clip(boxes, 0.0, limit).astype(np.float32)
    return Detections(boxes, found.scores, found.class_ids, tracks.ids[object_of], ~looked)


def _assigned(tracks: Tracks, boxes: np.ndarray, class_ids: np.ndarray, looked: np.ndarray, frame: int) -> np.ndarray:
    """int64 [n]: the object of each detection, -1 for none. Pairs of the largest overlap come first.

    A resting detection is compared with where its object was last seen, which is what the network still shows.
    """
    object_of = np.full(len(boxes), -1, np.int64)
    if not len(tracks) or not len(boxes):
        return object_of
    overlap = np.empty((len(boxes), len(tracks)))
    # Mostly all are looked at, or none.
    if looked.any():
        overlap[looked] = union_overlap(boxes[looked], tracks.expected(frame))
    if not looked.all():
        overlap[~looked] = union_overlap(boxes[~looked], tracks.boxes)
    overlap[class_ids[:, None] != tracks.class_ids[None]] = 0.0
    first, second = np.nonzero(overlap >= SAME_OBJECT_IOU)
    free = np.ones(len(tracks), bool)
    for pair in np.argsort(-overlap[first, second], kind="stable"):
        detection, place = first[pair], second[pair]
        if object_of[detection] < 0 and free[place]:
            object_of[detection], free[place] = place, False
    return object_of


def _begun(boxes: np.ndarray, class_ids: np.ndarray, frame: int, next_id: int) -> Tracks:
    """Objects that are seen for the first time."""
    count = len(boxes)
    frames = np.full(count, frame, np.int64)
    spread = np.array([(SHAKE**2, 0.0, speed**2) for speed in EXPECTED_SPEED])
    return Tracks(
        next_id + np.arange(count), class_ids, boxes, boxes.copy(), _centres(boxes), np.zeros((count, 4)),
        np.repeat(spread[None], count, axis=0), np.zeros(count), np.ones(count, np.int64), frames, frames,
        next_id + count, frame,
    )


def _joined(old: Tracks, new: Tracks) -> Tracks:
    """New objects behind the old ones; all arrays are copies."""
    arrays = {
        name: np.concatenate([value, getattr(new, name)])
        for name, value in vars(old).items() if isinstance(value, np.ndarray)
    }
    return replace(new, **arrays)


def _correct(tracks: Tracks, places: np.ndarray, boxes: np.ndarray, frame: int) -> None:
    """Writes new measurements into tracks that belong to the caller: the Kalman filter of constant velocity."""
    elapsed = (frame - tracks.seen[places]).astype(np.float64)[:, None]
    place, both, speed = np.moveaxis(tracks.spread[places], 2, 0)
    place = place + elapsed * (2.0 * both + elapsed * speed) + CHANGE**2 * elapsed**3 / 3.0
    both = both + elapsed * speed + CHANGE**2 * elapsed**2 / 2.0
    speed = speed + CHANGE**2 * elapsed
    # Gains of centre and size, each for its two coordinates.
    total = place + SHAKE**2
    place_gain, speed_gain = np.repeat(place / total, 2, axis=1), np.repeat(both / total, 2, axis=1)
    expected = tracks.state[places] + tracks.velocity[places] * elapsed
    surprise = _centres(boxes) - expected
    tracks.state[places] = expected + place_gain * surprise
    tracks.velocity[places] += speed_gain * surprise
    tracks.spread[places] = np.stack(
        [place * (1.0 - place / total), both * (1.0 - place / total), speed - both * both / total], axis=2)
    tracks.boxes[places], tracks.now[places], tracks.seen[places] = boxes, boxes, frame
    tracks.looks[places] += 1


def _centres(boxes: np.ndarray) -> np.ndarray:
    """Centre x, y and width, height from x0 y0 x1 y1."""
    state = np.empty((len(boxes), 4))
    np.add(boxes[:, :2], boxes[:, 2:], out=state[:, :2], dtype=np.float64)
    state[:, :2] *= 0.5
    np.subtract(boxes[:, 2:], boxes[:, :2], out=state[:, 2:], dtype=np.float64)
    return state


def _corners(state: np.ndarray) -> np.ndarray:
    boxes = np.empty((len(state), 4))
    half = np.maximum(state[:, 2:], 0.0)
    half *= 0.5
    np.subtract(state[:, :2], half, out=boxes[:, :2])
    np.add(state[:, :2], half, out=boxes[:, 2:])
    return boxes
