"""Scheduled masks: every object's regions are sent as often as the object asks for.

An object is looked at again when its box is no longer known well enough. How well it is known, its Kalman filter tells:
the uncertainty grows from frame to frame, fast for an object that is new or turns, slowly for one that stands or walks
straight on. Between two looks its box is moved on (``detection.tracks``).

Objects that are nearly due go with those that are: one frame with much to send and one with nothing cost less than two
half full ones, because the deep layers fire at every seam between fresh and held regions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..detection.tracks import Tracks
from ..errors import UserError
from ..grid import RegionGrid
from .schedule import is_refresh

OBJECTS, BORDER = "objects", "border"


@dataclass(frozen=True)
class Schedule:
    """What decides how often something is sent.

    tolerance: standard deviation of a box's place up to which an object may rest, in the object's size.
    together: share of the tolerance from which an object goes along when another one is due.
    longest_rest: frames that an object rests at most. refresh_period: every so many frames everything is sent.
    border_period: every so many frames the border is sent, where newcomers enter; 0: never on its own.
    pause_period: every so many frames all objects rest but the fast ones, unless it is a refresh frame; 0: never.
    pause_shift: how far an object may go while it rests in a pause, in its size; infinite: none is too fast.
    ring: regions that a box is widened by. most_attended: largest share of regions attended in a frame that is no
    refresh frame; the objects least known come first. steer_threshold: lowest score of a detection that is looked at
    again. trial_threshold, trial_looks: a weaker one, down to that score, is looked at so many times, because newcomers
    are often weak; it is dropped when it does not grow. 0 looks: never.

    Raises UserError for a value that makes no sense.
    """

    tolerance: float
    together: float
    longest_rest: int
    refresh_period: int
    border_period: int
    ring: int = 1
    most_attended: float = 1.0
    steer_threshold: float = 0.4
    pause_period: int = 0
    pause_shift: float = math.inf
    trial_threshold: float = 0.2
    trial_looks: int = 0

    def __post_init__(self) -> None:
        for name, low in (("longest_rest", 1), ("refresh_period", 1), ("border_period", 0), ("ring", 0),
                          ("pause_period", 0), ("trial_looks", 0)):
            if getattr(self, name) < low:
                raise UserError(f"schedule: {name} {getattr(self, name)} is below {low}")
        for name in ("together", "most_attended", "steer_threshold", "trial_threshold"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise UserError(f"schedule: {name} {getattr(self, name)} must lie between 0 and 1")
        for name in ("tolerance", "pause_shift"):
            if not getattr(self, name) >= 0.0:
                raise UserError(f"schedule: {name} {getattr(self, name)} must be 0 or more")


def scheduled(schedule: Schedule, tracks: Tracks, frame: int, grid: RegionGrid,
              picture_wh: tuple[int, int]) -> dict[str, np.ndarray]:
    """What is sent in a frame that is no refresh frame, by cause: bool [rows, cols] each.

    frame: number since the last reset, as the tracks count it.
    """
    border = grid.full(False)
    pause = schedule.pause_period > 0 and frame % schedule.pause_period == schedule.pause_period - 1
    beat = not pause and schedule.border_period > 0 and frame % schedule.border_period == 0
    if beat:
        border[[0, -1]] = border[:, [0, -1]] = True
    urgency = _urgency(schedule, tracks, frame)
    if pause:
        urgency[tracks.shift(frame) <= schedule.pause_shift] = 0.0
    going = urgency >= (schedule.together if beat or (urgency >= 1.0).any() else 1.0)
    boxes = tracks.expected(frame)[going]
    objects = grid.cover(boxes, picture_wh, schedule.ring)
    most = int(schedule.most_attended * objects.size)
    if np.count_nonzero(objects | border) > most:
        objects = _within(boxes[np.argsort(-urgency[going], kind="stable")], schedule.ring, grid, picture_wh, most)
        border &= False
    return {OBJECTS: objects, BORDER: border}


def follow_threshold(schedule: Schedule) -> float:
    """Lowest score of a detection that is followed."""
    return min(schedule.steer_threshold, schedule.trial_threshold if schedule.trial_looks else 1.0)


def is_full(schedule: Schedule, frame: int) -> bool:
    """Whether everything is sent in that frame."""
    return is_refresh(frame, schedule.refresh_period)


def _urgency(schedule: Schedule, tracks: Tracks, frame: int) -> np.ndarray:
    """float64 [n]: 1 and more for an object that is due; 0 for one that is not detected any more, or too weak."""
    rest = frame - tracks.seen
    known = np.sqrt(tracks.place_variance(frame))
    urgency = np.maximum(known / max(schedule.tolerance, 1e-9), rest / schedule.longest_rest)
    strong = (tracks.scores >= schedule.steer_threshold) | (tracks.looks <= schedule.trial_looks)
    return np.where((tracks.present >= tracks.last) & strong, urgency, 0.0)


def _within(boxes: np.ndarray, ring: int, grid: RegionGrid, picture_wh: tuple[int, int], most: int) -> np.ndarray:
    """Boxes one by one, as long as no more than so many regions are attended."""
    keep = grid.full(False)
    for box in boxes:
        grown = keep | grid.cover(box, picture_wh, ring)
        if np.count_nonzero(grown) <= most:
            keep = grown
    return keep
