"""When everything is sent, whatever the masks say.

Scheduled masks: every object's regions are sent as often as the object asks for.

Between two looks an object's box goes with the picture (``detection.tracks``), so that an object may rest. It is looked
at again when it has moved far, for its size, from where it was last seen, or has rested for long: a parked car is sent
seldom, a cyclist often.

An object is looked at where it is now and where it was last seen: there the network still believes in it.

Looks come in bursts: frames with much to send and frames with nothing cost less than as many half full ones, because
the deep layers fire at every seam between fresh and held regions.

Schedules by name: how much accuracy may be given for how much work.

What a user may turn in a preset: a value of -1 leaves it as the preset has it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..core.grid import RegionGrid
from ..core.option_table import USE_PRESET, check_options, option_field
from ..errors import UserError
from ..tracking.tracker import Tracks


def frames_to_refresh(frame: int, period: int) -> int | None:
    """How many frames after that one (counted from 0 since the last reset) the next refresh frame comes; 0: it is one.

    Frame 0 is a refresh frame. With ``period`` n > 0 so is every n-th frame after it; with 0 no other frame is, and
    then the answer is None. Everything is sent in one burst: spread over the frames, the seams between fresh and held
    regions fire the deep layers.
    """
    if frame == 0:
        return 0
    return -frame % period if period > 0 else None


def is_refresh(frame: int, period: int) -> bool:
    """True when that frame attends every region."""
    return frames_to_refresh(frame, period) == 0


OBJECTS, BORDER = "objects", "border"


@dataclass(frozen=True)
class Schedule:
    """What decides how often something is sent.

    work, rest: so many frames are for looking, then so many are not; 0 frames of rest: all are for looking.
    refresh_period: every so many frames everything is sent; best a multiple of work + rest.
    tolerance: how far an object may have gone from where it was last seen, in its size, before it is due.
    longest_rest: frames after which it is due in any case. rest_shift: as tolerance, for frames of rest; infinite: none
    is looked at then.
    border_period: every so many frames the border is sent, where newcomers enter; 0: never on its own.
    ring: regions that a box is widened by. most_attended: largest share of regions attended in a frame that is no
    refresh frame; the objects most due come first. steer_threshold: lowest score of a detection that is looked at
    again. trial_threshold, trial_looks: a weaker one, down to that score, is looked at so many times, because newcomers
    are often weak; it is dropped when it does not grow. 0 looks: never.

    Raises UserError for a value that makes no sense.
    """

    refresh_period: int
    work: int = 1
    rest: int = 0
    tolerance: float = 0.0
    longest_rest: int = 1
    rest_shift: float = math.inf
    border_period: int = 0
    ring: int = 1
    most_attended: float = 1.0
    steer_threshold: float = 0.4
    trial_threshold: float = 0.2
    trial_looks: int = 0

    def __post_init__(self) -> None:
        for name, low in (("refresh_period", 1), ("work", 1), ("rest", 0), ("longest_rest", 1), ("border_period", 0),
                          ("ring", 0), ("trial_looks", 0)):
            if getattr(self, name) < low:
                raise UserError(f"schedule: {name} {getattr(self, name)} is below {low}")
        for name in ("most_attended", "steer_threshold", "trial_threshold"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise UserError(f"schedule: {name} {getattr(self, name)} must lie between 0 and 1")
        for name in ("tolerance", "rest_shift"):
            if not getattr(self, name) >= 0.0:
                raise UserError(f"schedule: {name} {getattr(self, name)} must be 0 or more")

    def rests(self, frame: int) -> bool:
        """Whether that frame, counted from a refresh frame, is one of rest."""
        return frame % (self.work + self.rest) >= self.work


def schedule_regions(schedule: Schedule, tracks: Tracks, frame: int, since_refresh: int, grid: RegionGrid,
              image_wh: tuple[int, int]) -> dict[str, np.ndarray]:
    """What is sent in a frame that is no refresh frame, by cause: bool [rows, cols] each.

    frame: number since the last reset, as the tracks count it. since_refresh: from where the refresh period counts.
    """
    border, resting = grid.full(False), schedule.rests(since_refresh)
    if not resting and schedule.border_period > 0 and since_refresh % schedule.border_period == 0:
        border[[0, -1]] = border[:, [0, -1]] = True
    if resting and math.isinf(schedule.rest_shift):
        return {OBJECTS: grid.full(False), BORDER: border}
    urgency = _urgency(schedule, tracks, frame, resting)
    going = np.flatnonzero(urgency >= 1.0)
    places = np.stack([tracks.expected(frame)[going], tracks.boxes[going]], axis=1)
    objects = grid.cover(places, image_wh, schedule.ring)
    most = int(schedule.most_attended * objects.size)
    if np.count_nonzero(objects | border) > most:
        objects = _limit_regions(places[np.argsort(-urgency[going], kind="stable")], schedule.ring, grid, image_wh, most)
        border &= False
    return {OBJECTS: objects, BORDER: border}


def min_track_score(schedule: Schedule) -> float:
    """Lowest score of a detection that is followed."""
    return min(schedule.steer_threshold, schedule.trial_threshold if schedule.trial_looks else 1.0)


def is_full(schedule: Schedule, frame: int) -> bool:
    """Whether everything is sent in that frame."""
    return is_refresh(frame, schedule.refresh_period)


def _urgency(schedule: Schedule, tracks: Tracks, frame: int, resting: bool) -> np.ndarray:
    """float64 [n]: 1 and more for an object that is due; 0 for one that is not detected any more, or too weak."""
    shift = tracks.shift(frame)
    if resting:
        urgency = np.where(shift > schedule.rest_shift, 1.0 + shift, 0.0)
    else:
        urgency = np.maximum(shift / max(schedule.tolerance, 1e-9), (frame - tracks.seen) / schedule.longest_rest)
    strong = (tracks.scores >= schedule.steer_threshold) | (tracks.looks <= schedule.trial_looks)
    return np.where((tracks.present >= tracks.last) & strong, urgency, 0.0)


def _limit_regions(places: np.ndarray, ring: int, grid: RegionGrid, image_wh: tuple[int, int], most: int) -> np.ndarray:
    """Objects one by one, as long as no more than so many regions are attended. places: [n, boxes of an object, 4]."""
    keep = grid.full(False)
    for boxes in places:
        grown = keep | grid.cover(boxes, image_wh, ring)
        if np.count_nonzero(grown) <= most:
            keep = grown
    return keep


BALANCED = "balanced"

PRESETS: Mapping[str, Schedule] = {
    "careful": Schedule(refresh_period=5, work=4, rest=1, border_period=2, steer_threshold=0.3),
    BALANCED: Schedule(refresh_period=9, work=2, rest=1, steer_threshold=0.25),
    "fast": Schedule(refresh_period=12, work=2, rest=2, rest_shift=0.4, steer_threshold=0.3),
}


def preset(name: str) -> Schedule | None:
    """The schedule of that name, None for "". Raises UserError for an unknown one."""
    if name and name not in PRESETS:
        raise UserError(f"preset {name!r}: unknown; use {', '.join(PRESETS)}")
    return PRESETS[name] if name else None


@dataclass(frozen=True)
class PresetOverrides:
    """Values that replace those of a preset, named as in `Schedule`; `USE_PRESET` keeps the preset's own.

    Raises:
        UserError: A value is not allowed.
    """

    refresh_period: int = option_field("preset_refresh_period")
    work: int = option_field("preset_work")
    rest: int = option_field("preset_rest")
    rest_shift: float = option_field("preset_rest_shift")
    tolerance: float = option_field("preset_tolerance")
    longest_rest: int = option_field("preset_longest_rest")
    border_period: int = option_field("preset_border_period")
    steer_threshold: float = option_field("preset_steer_threshold")
    trial_looks: int = option_field("preset_trial_looks")
    trial_threshold: float = option_field("preset_trial_threshold")

    def __post_init__(self) -> None:
        check_options(self)

    def applied(self, schedule: Schedule) -> Schedule:
        """The schedule with the values that are set."""
        replaced = {name: value for name, value in vars(self).items() if value != USE_PRESET}
        return dataclasses.replace(schedule, **replaced)
