"""Objects over time, and where they are while nobody looks.

A detection whose regions are not sent stays where it was last seen: the network is not told that anything moved. Its
box is moved on with the object's own velocity instead.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .detections import Detections
from .overlap import union_overlap

SAME_OBJECT_IOU = 0.25
NEW_SHARE = 0.6
"""Weight of the newest measured velocity against those before."""

REMEMBERED = 16
"""Frames that an object which is not detected is remembered, so that its velocity is not lost by one miss."""


@dataclass(frozen=True)
class Tracks:
    """n objects.

    ids: int64 [n]. boxes: float64 [n, 4], x0 y0 x1 y1 in picture pixels, as last seen. velocities: float64 [n, 4],
    pixels a frame of each side. class_ids: int64 [n]. seen: int64 [n], frame in which the box was measured. measured:
    int64 [n], how often. present: int64 [n], frame in which there last was a detection. next_id: of the next new one.
    """

    ids: np.ndarray
    boxes: np.ndarray
    velocities: np.ndarray
    class_ids: np.ndarray
    seen: np.ndarray
    measured: np.ndarray
    present: np.ndarray
    next_id: int = 0

    @classmethod
    def none(cls) -> Tracks:
        whole = np.zeros(0, np.int64)
        return cls(whole, np.zeros((0, 4)), np.zeros((0, 4)), whole, whole, whole, whole)

    def __len__(self) -> int:
        return len(self.ids)

    def expected(self, frame: int) -> np.ndarray:
        """float64 [n, 4]: where the objects are in that frame, when they go on as before."""
        return self.boxes + self.velocities * (frame - self.seen)[:, None]

    def select(self, which: np.ndarray) -> Tracks:
        return Tracks(
            self.ids[which], self.boxes[which], self.velocities[which], self.class_ids[which], self.seen[which],
            self.measured[which], self.present[which], self.next_id,
        )


def follow(tracks: Tracks, found: Detections, looked: np.ndarray, frame: int) -> tuple[Tracks, np.ndarray]:
    """Objects after one more frame, and for each detection the place of its object in them, int64 [len(found)].

    looked: bool [len(found)], whether a detection's regions were sent in this frame: only then it is a measurement.
    frame: number of the frame; rises from call to call.
    """
    boxes = found.boxes.astype(np.float64)
    object_of = _assigned(tracks, boxes, found.class_ids, looked, frame)
    new = np.flatnonzero(object_of < 0)
    object_of[new] = len(tracks) + np.arange(len(new))
    grown = _with_new(tracks, boxes[new], found.class_ids[new].astype(np.int64), frame)
    again = np.flatnonzero(looked & (object_of < len(tracks)))
    grown = _measured(grown, object_of[again], boxes[again], frame)
    grown.present[object_of] = frame
    kept = frame - grown.present <= REMEMBERED
    return grown.select(kept), (np.cumsum(kept) - 1)[object_of]


def moved(found: Detections, looked: np.ndarray, tracks: Tracks, object_of: np.ndarray, frame: int,
          picture_wh: tuple[int, int]) -> Detections:
    """The detections, those whose regions rest moved to where their objects are expected; clipped to the picture."""
    shift = tracks.velocities[object_of] * (frame - tracks.seen[object_of])[:, None]
    boxes = np.where(looked[:, None], found.boxes, found.boxes + shift)
    limit = np.tile(picture_wh, 2)
    return Detections(np.clip(boxes, 0.0, limit).astype(np.float32), found.scores, found.class_ids)


def _assigned(tracks: Tracks, boxes: np.ndarray, class_ids: np.ndarray, looked: np.ndarray, frame: int) -> np.ndarray:
    """int64 [n]: the object of each detection, -1 for none. Pairs of the largest overlap come first.

    A resting detection is compared with where its object was last seen, which is what the network still shows.
    """
    object_of = np.full(len(boxes), -1, np.int64)
    if not len(tracks) or not len(boxes):
        return object_of
    overlap = np.where(
        looked[:, None], union_overlap(boxes, tracks.expected(frame)), union_overlap(boxes, tracks.boxes)
    )
    overlap[class_ids[:, None] != tracks.class_ids[None]] = 0.0
    first, second = np.nonzero(overlap >= SAME_OBJECT_IOU)
    free = np.ones(len(tracks), bool)
    for pair in np.argsort(-overlap[first, second], kind="stable"):
        detection, place = first[pair], second[pair]
        if object_of[detection] < 0 and free[place]:
            object_of[detection], free[place] = place, False
    return object_of


def _with_new(tracks: Tracks, boxes: np.ndarray, class_ids: np.ndarray, frame: int) -> Tracks:
    """New objects behind the old ones; arrays are copies."""
    count = len(boxes)
    whole = np.full(count, frame, np.int64)
    return Tracks(
        np.concatenate([tracks.ids, tracks.next_id + np.arange(count)]), np.concatenate([tracks.boxes, boxes]),
        np.concatenate([tracks.velocities, np.zeros((count, 4))]), np.concatenate([tracks.class_ids, class_ids]),
        np.concatenate([tracks.seen, whole]), np.concatenate([tracks.measured, np.ones(count, np.int64)]),
        np.concatenate([tracks.present, whole]), tracks.next_id + count,
    )


def _measured(tracks: Tracks, places: np.ndarray, boxes: np.ndarray, frame: int) -> Tracks:
    """Writes new measurements into tracks that belong to the caller."""
    elapsed = np.maximum(frame - tracks.seen[places], 1)[:, None]
    velocity = (boxes - tracks.boxes[places]) / elapsed
    share = np.where(tracks.measured[places] > 1, NEW_SHARE, 1.0)[:, None]
    tracks.velocities[places] = share * velocity + (1.0 - share) * tracks.velocities[places]
    tracks.boxes[places], tracks.seen[places] = boxes, frame
    tracks.measured[places] += 1
    return tracks
