"""The decision: static mask, dynamic mask, what a planner asks for, their union, and the refresh."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from ..detection.detections import Detections
from ..detection.tracks import Tracks
from ..grid import RegionGrid
from .dynamic import DynamicMask
from .region_mask import RegionMask
from .schedule import is_refresh
from .scheduled import Schedule, is_full, scheduled

STATIC, DYNAMIC, ATTENTION = "static", "dynamic", "attention"
NO_BOXES = np.zeros((0, 4))

MODES = ("none", "static", "dynamic", "static+dynamic")


@dataclass(frozen=True)
class MaskPolicy:
    """What decides, fixed while a camera runs.

    static: bool [rows, cols] or None. dynamic: a function from ``mask.dynamic`` or None. Without either, every region
    of every frame is attended. refresh_period: see ``schedule.is_refresh``.
    schedule: decides instead of all of them when it is there.
    """

    grid: RegionGrid
    picture_wh: tuple[int, int]
    static: np.ndarray | None
    dynamic: DynamicMask | None
    refresh_period: int
    schedule: Schedule | None = None


@dataclass(frozen=True)
class MaskState:
    """What changes from frame to frame.

    frame: since the last fresh start. last: objects of the last result. tracks: those that are followed, for a
    schedule. refresh_from: the frame from which the refresh period counts.
    """

    frame: int
    last: Detections
    tracks: Tracks = field(default_factory=Tracks.none)
    refresh_from: int = 0

    @classmethod
    def initial(cls) -> MaskState:
        return cls(0, Detections.empty())

    @property
    def since_refresh(self) -> int:
        """Frames since the one from which the refresh period counts."""
        return self.frame - self.refresh_from

    def refreshed(self) -> MaskState:
        """The coming frame is a refresh frame, and the period counts from it."""
        return replace(self, refresh_from=self.frame)


def decide(policy: MaskPolicy, state: MaskState, attention: np.ndarray = NO_BOXES) -> RegionMask:
    """The mask of the next frame: the union of the sources, or everything on a refresh frame.

    attention: float [n, 4], x0 y0 x1 y1 in picture pixels: boxes whose regions are attended besides.
    """
    if policy.schedule is not None:
        return _scheduled(policy, policy.schedule, state, attention)
    sources: dict[str, np.ndarray] = {}
    if policy.static is not None:
        sources[STATIC] = policy.static
    if policy.dynamic is not None:
        sources[DYNAMIC] = policy.dynamic(state.last, policy.grid, policy.picture_wh)
    if not sources:
        return RegionMask(policy.grid.full(True), sources, refresh=state.since_refresh == 0)
    if len(attention):
        sources[ATTENTION] = policy.grid.cover(attention, policy.picture_wh)
    if is_refresh(state.since_refresh, policy.refresh_period):
        return RegionMask(policy.grid.full(True), sources, refresh=True)
    return RegionMask(np.logical_or.reduce(list(sources.values())), sources, refresh=False)


def _scheduled(policy: MaskPolicy, schedule: Schedule, state: MaskState, attention: np.ndarray) -> RegionMask:
    if is_full(schedule, state.since_refresh):
        return RegionMask(policy.grid.full(True), {}, refresh=True)
    sources = scheduled(
        schedule, state.tracks, state.frame, state.since_refresh, policy.grid, policy.picture_wh)
    if len(attention):
        sources[ATTENTION] = policy.grid.cover(attention, policy.picture_wh)
    return RegionMask(np.logical_or.reduce(list(sources.values())), sources, refresh=False)
