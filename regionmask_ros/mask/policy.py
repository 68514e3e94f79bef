"""How long ago each region was sent, and which boxes nothing sent now speaks for.

The decision: static mask, dynamic mask, what a planner asks for, their union, and the refresh.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from ..core.detections import Detections
from ..core.grid import RegionGrid
from ..core.result import RegionMask
from ..jit.cache import kernel
from ..tracking.tracker import Tracks
from .adaptive import Adaptive, OccupancyStats, mask_of, update_adaptive, update_occupancy
from .budget import merge_ranks, rank_by_boxes, rank_by_heat, select_best
from .dynamic import DynamicMask
from .scheduling import Schedule, is_full, is_refresh, schedule_regions
from .source import FrameView, MaskContext

OLDEST = 65_535
"""Ages end here; a region that was never sent has this one."""


def initial_age(grid: RegionGrid) -> np.ndarray:
    """uint16 [rows, cols], the ages before the first frame."""
    return np.full(grid.shape, OLDEST, np.uint16)


def update_age(age: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """The ages after one more frame: 0 where it was sent, one frame more elsewhere.

    age: uint16 [rows, cols], frames since a region was last sent. keep: bool [rows, cols], True = sent in this frame.
    Returns a new array.
    """
    older = np.empty(age.shape, np.uint16)
    _increment_age(age, keep, older)
    return older


@kernel
def _increment_age(age, keep, older):
    rows, cols = age.shape
    for row in range(rows):
        for col in range(cols):
            older[row, col] = 0 if keep[row, col] else min(np.int64(age[row, col]) + 1, OLDEST)


def unobserved(found: Detections, keep: np.ndarray, image_wh: tuple[int, int]) -> np.ndarray:
    """bool [n]: boxes none of whose regions was sent in this frame. Such a box may be a ghost.

    keep: bool [rows, cols] over a picture of ``image_wh``, whose pixels the boxes are in.
    """
    low, high, _ = RegionGrid(*keep.shape).spans(found.boxes, image_wh)
    # Regions sent above and left of every corner: four of them give the number inside a box.
    sent = np.zeros((keep.shape[0] + 1, keep.shape[1] + 1), np.int64)
    sent[1:, 1:] = keep.cumsum(axis=0).cumsum(axis=1)
    (c0, r0), (c1, r1) = low.T, high.T
    return sent[r1, c1] - sent[r0, c1] - sent[r1, c0] + sent[r0, c0] == 0


STATIC, ADAPTIVE, DYNAMIC, ATTENTION = "static", "adaptive", "dynamic", "attention"
NO_BOXES = np.zeros((0, 4))

MODES = ("none", "static", "adaptive", "dynamic", "static+dynamic", "adaptive+dynamic")


@dataclass(frozen=True)
class MaskComposer:
    """What decides. Fixed while a camera runs, but for the static mask of an adaptive one, which ``after`` renews.

    static: bool [rows, cols] or None. dynamic: one of ``mask.dynamic`` or None. Without either, every region
    of every frame is attended. refresh_period: see ``schedule.is_refresh``.
    schedule: decides instead of all of them when it is there.
    adaptive: how the static mask goes on learning, see ``after``; None: it stays.
    regions: so many are attended in a frame that is no refresh frame, the first ones by ``budget.merge_ranks``; None:
    as many as the masks say. hot: float64 [rows, cols], of ``budget.rank_by_heat``, for a static mask with ``regions``;
    None: nothing is known to rank it by, so it is attended as a whole.
    """

    grid: RegionGrid
    image_wh: tuple[int, int]
    static: np.ndarray | None
    dynamic: DynamicMask | None
    refresh_period: int
    schedule: Schedule | None = None
    adaptive: Adaptive | None = None
    regions: int | None = None
    hot: np.ndarray | None = None

    @property
    def static_region_mask(self) -> np.ndarray | None:
        """bool [rows, cols]: what the static or adaptive mask attends when no other does."""
        return self.static if self.hot is None else select_best(self.hot, self.regions)

    def with_static_mask(self, seen: OccupancyStats) -> MaskComposer:
        """With the static mask that an adaptive one has learned so far; any other is as before."""
        if self.adaptive is None:
            return self
        ranks = self.regions is not None and seen.share.any()
        return replace(
            self, static=mask_of(self.adaptive, seen), hot=rank_by_heat(seen.share) if ranks else None)

    def after(self, seen: OccupancyStats, boxes: np.ndarray) -> tuple[MaskComposer, OccupancyStats]:
        """What is known, and decides, after one more frame that was sent as a whole, with those boxes in it."""
        if self.adaptive is None:
            return self, update_occupancy(seen, boxes, self.grid, self.image_wh)
        more = update_adaptive(self.adaptive, seen, boxes, self.grid, self.image_wh)
        return self.with_static_mask(more), more


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

    def restart_refresh(self) -> MaskState:
        """The coming frame is a refresh frame, and the period counts from it."""
        return replace(self, refresh_from=self.frame)


def compose(policy: MaskComposer, state: MaskState, attention: np.ndarray = NO_BOXES,
           frame_view: FrameView | None = None) -> RegionMask:
    """The mask of the next frame: the union of the sources, or everything on a refresh frame.

    attention: float [n, 4], x0 y0 x1 y1 in picture pixels: boxes whose regions are attended besides.
    glance: the frame to come, for dynamic masks that look at it.
    """
    if policy.schedule is not None:
        return _schedule_regions(policy, policy.schedule, state, attention)
    sources: dict[str, np.ndarray] = {}
    if policy.static is not None:
        sources[STATIC] = policy.static
    if policy.dynamic is not None:
        sources[DYNAMIC] = policy.dynamic(MaskContext(state.last, policy.grid, policy.image_wh, state.frame, frame_view))
    if not sources:
        return RegionMask(policy.grid.full(True), sources, refresh=state.since_refresh == 0)
    if len(attention):
        sources[ATTENTION] = policy.grid.cover(attention, policy.image_wh)
    if policy.regions is not None and (policy.static is None or policy.hot is not None):
        sources = _apply_budget(policy, policy.regions, state, sources)
    if is_refresh(state.since_refresh, policy.refresh_period):
        return RegionMask(policy.grid.full(True), sources, refresh=True)
    return RegionMask(np.logical_or.reduce(list(sources.values())), sources, refresh=False)


def _apply_budget(policy: MaskComposer, regions: int, state: MaskState,
                   sources: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The sources cut down, or grown, to so many regions together; what a planner asks for is never cut."""
    static, dynamic = sources.get(STATIC), sources.get(DYNAMIC)
    near = np.full(policy.grid.shape, np.inf)
    if dynamic is not None:
        near = rank_by_boxes(state.last.boxes, state.last.scores, policy.grid, policy.image_wh)
    ranks = merge_ranks(static, policy.hot, dynamic, near)
    if ATTENTION not in sources:
        keep = select_best(ranks, regions)
    else:
        asked = sources[ATTENTION]
        keep = select_best(np.where(asked, -np.inf, ranks), max(regions, np.count_nonzero(asked)))
        # What only the planner asks for is no share of the masks.
        keep &= ~asked | np.logical_or.reduce([mask for mask in (static, dynamic) if mask is not None])
    if static is not None and dynamic is not None:
        return {**sources, STATIC: keep & static, DYNAMIC: keep & (dynamic | ~static)}
    return {**sources, (DYNAMIC if static is None else STATIC): keep}


def _schedule_regions(policy: MaskComposer, schedule: Schedule, state: MaskState, attention: np.ndarray) -> RegionMask:
    if is_full(schedule, state.since_refresh):
        return RegionMask(policy.grid.full(True), {}, refresh=True)
    sources = schedule_regions(
        schedule, state.tracks, state.frame, state.since_refresh, policy.grid, policy.image_wh)
    if policy.static is not None:
        sources[STATIC] = policy.static
    if len(attention):
        sources[ATTENTION] = policy.grid.cover(attention, policy.image_wh)
    return RegionMask(np.logical_or.reduce(list(sources.values())), sources, refresh=False)
