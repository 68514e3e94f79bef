"""The decision: static mask, dynamic mask, their union, and the refresh."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..detection.detections import Detections
from ..detection.tracks import Tracks
from ..grid import RegionGrid
from .dynamic import DynamicMask
from .region_mask import RegionMask
from .schedule import is_refresh
from .scheduled import Schedule, is_full, scheduled

STATIC, DYNAMIC = "static", "dynamic"
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
    """What changes from frame to frame: frames since the last reset, the objects of the last result and, for a
    schedule, those that are followed."""

    frame: int
    last: Detections
    tracks: Tracks = field(default_factory=Tracks.none)

    @classmethod
    def initial(cls) -> MaskState:
        return cls(0, Detections.empty())


def decide(policy: MaskPolicy, state: MaskState) -> RegionMask:
    """The mask of the next frame: the union of the sources, or everything on a refresh frame."""
    if policy.schedule is not None:
        return _scheduled(policy, policy.schedule, state)
    sources: dict[str, np.ndarray] = {}
    if policy.static is not None:
        sources[STATIC] = policy.static
    if policy.dynamic is not None:
        sources[DYNAMIC] = policy.dynamic(state.last, policy.grid, policy.picture_wh)
    if not sources:
        return RegionMask(policy.grid.full(True), sources, refresh=state.frame == 0)
    if is_refresh(state.frame, policy.refresh_period):
        return RegionMask(policy.grid.full(True), sources, refresh=True)
    return RegionMask(np.logical_or.reduce(list(sources.values())), sources, refresh=False)


def _scheduled(policy: MaskPolicy, schedule: Schedule, state: MaskState) -> RegionMask:
    if is_full(schedule, state.frame):
        return RegionMask(policy.grid.full(True), {}, refresh=True)
    sources = scheduled(schedule, state.tracks, state.frame, policy.grid, policy.picture_wh)
    return RegionMask(np.logical_or.reduce(list(sources.values())), sources, refresh=False)
