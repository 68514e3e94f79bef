"""Objects over the frames of a masked camera: which detections were looked at, and where the others are by now."""

from __future__ import annotations

import numpy as np

from ..detection.detections import Detections
from ..detection.flow import Motion
from ..detection.tracks import Tracks, carried, follow, moved, rested
from .looked import looked_at


def followed(tracks: Tracks, found: Detections, keep: np.ndarray, picture_wh: tuple[int, int], frame: int,
             motion: Motion | None, same: np.ndarray | None = None) -> tuple[Tracks, Detections]:
    """The objects after one more frame, and its detections with their numbers, those that rest moved on.

    found: as the network shows them. keep: bool [rows, cols], what was sent in this frame. frame: its number, rising
    from call to call. motion: of the picture since the frame before, None when that is not known. same: int64
    [len(found)], numbers of the detections' objects in the frame before when it showed the very same; None if not.
    """
    if len(tracks):
        resting = ~looked_at(tracks.now, keep, picture_wh) & (tracks.present >= tracks.last)
        tracks = carried(tracks, resting, motion, frame)
    looked = looked_at(found.boxes, keep, picture_wh)
    if same is not None and not looked.any():
        tracks, object_of = rested(tracks, same, frame)
    else:
        tracks, object_of = follow(tracks, found, looked, frame)
    return tracks, moved(found, looked, tracks, object_of, picture_wh)
