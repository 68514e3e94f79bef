"""Presets: schedules that observe the regions of each object as often as the object needs it.

Between two observations, an object's box moves with the image (``tracking.motion``), so its regions can stay masked.
They are observed again when the object has moved far, for its size, from where it was last observed, or when its last
observation is long ago: those of a parked car seldom, those of a cyclist often.

Regions are observed where the object is now and where it was last observed: there, the network still shows it.

Observations come in bursts. Some frames with many events and some with none cost less than as many frames that are
half full, because the deep layers fire at every seam between observed and masked regions.
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
from .source import DYNAMIC, STATIC, MaskContext, StatelessSource


def frames_to_refresh(frame: int, period: int) -> int | None:
    """Number of frames until the next refresh frame, in which every region is observed.

    All regions are observed in one burst: spread over frames, the seams between observed and masked regions would make
    the deep layers fire.

    Args:
        frame: Number of the frame since the last reset, from 0. Frame 0 is a refresh frame.
        period: Every ``period``-th frame after frame 0 is a refresh frame; 0: no other one is.

    Returns:
        0 when the frame itself is a refresh frame, None when no refresh frame comes.
    """
    if frame == 0:
        return 0
    return -frame % period if period > 0 else None


def is_refresh(frame: int, period: int) -> bool:
    """Whether every region is observed in that frame, see ``frames_to_refresh``."""
    return frames_to_refresh(frame, period) == 0


OBJECTS, BORDER = "objects", "border"


@dataclass(frozen=True)
class Schedule:
    """How often something is observed.

    Attributes:
        refresh_period: Frames from one refresh frame to the next; best a multiple of active_frames + idle_frames.
        active_frames: Number of frames in a row in which objects are observed.
        idle_frames: Number of frames after them in which nothing is observed. 0: all frames are active.
        tolerance: Distance that an object may have moved from where it was last observed before it is observed
            again, in its size.
        max_interval: Frames since its last observation after which an object is observed in any case.
        idle_tolerance: As ``tolerance``, for idle frames. Infinite: no object is observed in them.
        border_period: Frames from one active frame in which the border is observed, where new objects enter, to the
            next. 0: the border is not observed on its own.
        ring: Regions that a box is widened by.
        max_share: Largest share of regions in a frame that is not a refresh frame, 0 to 1; the most urgent objects
            come first.
        track_threshold: Lowest score of a detection that is tracked and observed again.
        tentative_threshold: Lowest score of a weaker detection that is observed a few times, because new objects are
            often weak; it is dropped when its score does not grow.
        tentative_looks: How often such a detection is observed. 0: never.
        least_held: Share of the predictions that must hold; otherwise the guard shortens the refresh period, see
            ``tracking.guard``. 0: it never does.

    Raises:
        UserError: A value is out of range.
    """

    refresh_period: int
    active_frames: int = 1
    idle_frames: int = 0
    tolerance: float = 0.0
    max_interval: int = 1
    idle_tolerance: float = math.inf
    border_period: int = 0
    ring: int = 1
    max_share: float = 1.0
    track_threshold: float = 0.4
    tentative_threshold: float = 0.2
    tentative_looks: int = 0
    least_held: float = 0.0

    def __post_init__(self) -> None:
        for name, low in (("refresh_period", 1), ("active_frames", 1), ("idle_frames", 0), ("max_interval", 1),
                          ("border_period", 0), ("ring", 0), ("tentative_looks", 0)):
            if getattr(self, name) < low:
                raise UserError(f"schedule: {name} {getattr(self, name)} is below {low}")
        for name in ("max_share", "track_threshold", "tentative_threshold", "least_held"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise UserError(f"schedule: {name} {getattr(self, name)} must lie between 0 and 1")
        for name in ("tolerance", "idle_tolerance"):
            if not getattr(self, name) >= 0.0:
                raise UserError(f"schedule: {name} {getattr(self, name)} must be 0 or more")

    def is_idle(self, since_refresh: int) -> bool:
        """Whether a frame is idle, by its number since the frame at which the refresh period starts."""
        return since_refresh % (self.active_frames + self.idle_frames) >= self.active_frames

    @property
    def min_score(self) -> float:
        """Lowest score of a detection that is tracked."""
        return min(self.track_threshold, self.tentative_threshold if self.tentative_looks else 1.0)

    def limited(self, regions: int, grid: RegionGrid) -> Schedule:
        """The same schedule with at most that number of regions in a frame that is not a refresh frame."""
        return dataclasses.replace(self, max_share=regions / (grid.rows * grid.cols))


class ScheduledObjects(StatelessSource):
    """Proposes the regions of objects that must be observed again."""

    name = OBJECTS

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule

    def propose(self, context: MaskContext) -> np.ndarray | None:
        """Regions of the objects to observe, bool [rows, cols]; None in a refresh frame."""
        schedule = self._schedule
        if is_refresh(context.since_refresh, schedule.refresh_period):
            return None
        if schedule.is_idle(context.since_refresh) and math.isinf(schedule.idle_tolerance):
            return context.grid.full(False)
        places, _ = self._due(context)
        return context.grid.cover(places, context.image_wh, schedule.ring)

    def propose_within(self, context: MaskContext, regions: int, taken: np.ndarray) -> np.ndarray:
        """Objects one by one, the most urgent first, as long as they fit.

        Args:
            context: As for ``propose``.
            regions: Largest number of regions, those that are taken included.
            taken: Regions that are observed anyway, bool [rows, cols].

        Returns:
            bool [rows, cols], without what is taken only.
        """
        places, urgency = self._due(context)
        keep, own = taken.copy(), context.grid.full(False)
        for boxes in places[np.argsort(-urgency, kind="stable")]:
            covered = context.grid.cover(boxes, context.image_wh, self._schedule.ring)
            if np.count_nonzero(keep | covered) <= regions:
                keep |= covered
                own |= covered
        return own

    def _due(self, context: MaskContext) -> tuple[np.ndarray, np.ndarray]:
        """Where the objects to observe are now and were last observed, float64 [n, 2, 4], and their urgency, [n]."""
        idle = self._schedule.is_idle(context.since_refresh)
        urgency = _urgency(self._schedule, context.tracks, context.frame, idle)
        due = np.flatnonzero(urgency >= 1.0)
        tracks = context.tracks
        return np.stack([tracks.extrapolate(context.frame)[due], tracks.observed_boxes[due]], axis=1), urgency[due]


class ScheduledBorder(StatelessSource):
    """Proposes the border of the image from time to time: there, new objects enter."""

    name = BORDER

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule

    def propose(self, context: MaskContext) -> np.ndarray | None:
        """The outermost regions, or none of them, bool [rows, cols]; None in a refresh frame."""
        schedule, since_refresh = self._schedule, context.since_refresh
        if is_refresh(since_refresh, schedule.refresh_period):
            return None
        border = context.grid.full(False)
        if schedule.border_period > 0 and not schedule.is_idle(since_refresh) and (
                since_refresh % schedule.border_period == 0):
            border[[0, -1]] = border[:, [0, -1]] = True
        return border


class ScheduleBudget:
    """Keeps the union within ``Schedule.max_share``: the border goes first, then the objects that are least urgent.

    A static or adaptive mask beside the schedule is not cut, and what a planner asks for does not count.
    """

    def __init__(self, schedule: Schedule, objects: ScheduledObjects) -> None:
        self._share, self._objects = schedule.max_share, objects

    def apply(self, proposals: dict[str, np.ndarray], context: MaskContext) -> dict[str, np.ndarray]:
        """Cuts the proposals of a schedule.

        Args:
            proposals: bool [rows, cols] each, by source name.
            context: What is known before the frame is encoded.

        Returns:
            Proposals of the same names.
        """
        if OBJECTS not in proposals:
            return proposals
        regions = int(self._share * proposals[OBJECTS].size)
        others = context.grid.full(False)
        for name in proposals.keys() & {STATIC, DYNAMIC}:
            others |= proposals[name]
        if np.count_nonzero(proposals[OBJECTS] | proposals[BORDER] | others) <= regions:
            return proposals
        objects = self._objects.propose_within(context, regions, others)
        return {**proposals, OBJECTS: objects, BORDER: context.grid.full(False)}


def _urgency(schedule: Schedule, tracks: Tracks, frame: int, idle: bool) -> np.ndarray:
    """float64 [n]: 1 and more for an object to observe; 0 for one that is not detected any more, or too weak."""
    shift = tracks.displacement(frame)
    if idle:
        urgency = np.where(shift > schedule.idle_tolerance, 1.0 + shift, 0.0)
    else:
        urgency = np.maximum(
            shift / max(schedule.tolerance, 1e-9), (frame - tracks.last_observed) / schedule.max_interval)
    strong = (tracks.scores >= schedule.track_threshold) | (tracks.hits <= schedule.tentative_looks)
    return np.where((tracks.last_detected >= tracks.last_frame) & strong, urgency, 0.0)


BALANCED = "balanced"

PRESETS: Mapping[str, Schedule] = {
    "careful": Schedule(refresh_period=5, active_frames=4, idle_frames=1, border_period=2, track_threshold=0.3,
                        least_held=0.75),
    BALANCED: Schedule(refresh_period=9, active_frames=2, idle_frames=1, track_threshold=0.25, least_held=0.7),
    "fast": Schedule(refresh_period=12, active_frames=2, idle_frames=2, idle_tolerance=0.4, track_threshold=0.3,
                     least_held=0.65),
}
"""Schedules by name: how much accuracy may be lost for how much work saved."""


def preset(name: str) -> Schedule | None:
    """Finds a preset.

    Args:
        name: One of ``PRESETS``, or "".

    Returns:
        Its schedule; None for "".

    Raises:
        UserError: There is no preset of that name.
    """
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
    active_frames: int = option_field("preset_work")
    idle_frames: int = option_field("preset_rest")
    idle_tolerance: float = option_field("preset_rest_shift")
    tolerance: float = option_field("preset_tolerance")
    max_interval: int = option_field("preset_longest_rest")
    border_period: int = option_field("preset_border_period")
    track_threshold: float = option_field("preset_steer_threshold")
    tentative_looks: int = option_field("preset_trial_looks")
    tentative_threshold: float = option_field("preset_trial_threshold")
    least_held: float = option_field("preset_guard")

    def __post_init__(self) -> None:
        check_options(self)

    def apply(self, schedule: Schedule) -> Schedule:
        """The schedule with the values that are set."""
        replaced = {name: value for name, value in vars(self).items() if value != USE_PRESET}
        return dataclasses.replace(schedule, **replaced)
