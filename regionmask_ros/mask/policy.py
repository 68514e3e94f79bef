"""The decision: static mask, dynamic mask, what a planner asks for, their union, and the refresh."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..detection.detections import Detections
from ..grid import RegionGrid
from .dynamic import DynamicMask
from .region_mask import RegionMask
from .schedule import is_refresh

STATIC, DYNAMIC, ATTENTION = "static", "dynamic", "attention"
NO_BOXES = np.zeros((0, 4))

MODES = ("none", "static", "dynamic", "static+dynamic")


@dataclass(frozen=True)
class MaskPolicy:
    """What decides, fixed while a camera runs.

    static: bool [rows, cols] or None. dynamic: a function from ``mask.dynamic`` or None. Without either, every region
    of every frame is attended. refresh_period: see ``schedule.is_refresh``.
    """

    grid: RegionGrid
    picture_wh: tuple[int, int]
    static: np.ndarray | None
    dynamic: DynamicMask | None
    refresh_period: int


@dataclass(frozen=True)
class MaskState:
    """What changes from frame to frame: frames since the last reset, and the objects of the last result."""

    frame: int
    last: Detections

    @classmethod
    def initial(cls) -> MaskState:
        return cls(0, Detections.empty())


def decide(policy: MaskPolicy, state: MaskState, attention: np.ndarray = NO_BOXES) -> RegionMask:
    """The mask of the next frame: the union of the sources, or everything on a refresh frame.

    attention: float [n, 4], x0 y0 x1 y1 in picture pixels: boxes whose regions are attended besides.
    """
    sources: dict[str, np.ndarray] = {}
    if policy.static is not None:
        sources[STATIC] = policy.static
    if policy.dynamic is not None:
        sources[DYNAMIC] = policy.dynamic(state.last, policy.grid, policy.picture_wh)
    if not sources:
        return RegionMask(policy.grid.full(True), sources, refresh=state.frame == 0)
    if len(attention):
        sources[ATTENTION] = policy.grid.cover(attention, policy.picture_wh)
    if is_refresh(state.frame, policy.refresh_period):
        return RegionMask(policy.grid.full(True), sources, refresh=True)
    return RegionMask(np.logical_or.reduce(list(sources.values())), sources, refresh=False)
