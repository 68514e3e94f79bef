"""Presets for the tile engine: it pays for what changed where the mask observes.

In active frames, each observes the tracked objects, all of them or in turns, and besides a share of the image: the
regions that wait longest, or that change most for their age. In idle frames nothing is observed, as long as the objects
are where they were predicted (``tracking.guard``) and images come fast enough.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np

from ..core.option_table import USE_PRESET
from ..core.result import RegionMask, StepResult
from ..jit.cache import kernel
from ..tracking.tracker import Tracks
from .schedule import OBJECTS, PresetOverrides
from .source import MaskContext, MaskSource, StatelessSource

ROLLING = "rolling"

BLOCK = 4
"""Side, in regions, of what the rolling refresh observes together. Each block costs a margin."""

CHANGE_WEIGHT = 16.0
"""Of a block that has changed as a whole since it was last observed, against one that has not: so much that a new
object comes before blocks that have waited for a whole round."""

PATIENCE = 2.0
"""Rounds of the refresh that a region waits at most before it goes ahead of everything that changes. One round more
serves all that wait so long, so no region waits for more than ``PATIENCE`` + 1 rounds."""

FEWEST_HITS = 2
"""An object that was observed less often is observed in every active frame."""

OVERDUE = 1e9
"""Worth of a region that has waited so long: more than that of any block that has not."""


@dataclass(frozen=True)
class TileSchedule:
    """What the tile engine observes, and how exactly it computes.

    Attributes:
        level: Index of the thresholds.
        share: Share of the blocks of the image that the rolling refresh observes in a frame, 0 to 1.
        ring: Regions by which the box of an object is widened.
        active_frames: Number of frames in a row that are computed.
        idle_frames: Number of frames after them that are not: the boxes of objects move with the image.
        object_period: Active frames from one observation of an object to the next. In between, its box moves with what
            it shows (``tracking.motion``).
        least_held: As in ``schedule.Schedule``: where fewer predictions hold, there are fewer idle frames.
        longest_s: Seconds from one active frame to the next, at most.
    """

    level: int
    share: float = 0.0
    ring: int = 1
    active_frames: int = 1
    idle_frames: int = 0
    object_period: int = 1
    least_held: float = 0.0
    longest_s: float = math.inf

    def limited(self, horizon: int, interval_s: float) -> TileSchedule:
        """The schedule with no more idle frames in a row than predictions hold for, and than ``longest_s`` allows.

        Args:
            horizon: As in ``MaskContext``.
            interval_s: Likewise.

        Returns:
            The schedule of the next frame.
        """
        most = horizon - 1 if horizon else self.idle_frames
        if interval_s * (most + 1) > self.longest_s:
            most = max(0, int(self.longest_s / interval_s) - 1)
        return replace(self, idle_frames=most) if most < self.idle_frames else self

    def frames_a_round(self, blocks: int) -> int:
        """Frames after which the rolling refresh could have observed every one of so many blocks."""
        active = -(-blocks // _blocks_a_frame(blocks, self.share))
        return active + self.idle_frames * -(-active // self.active_frames)

    def is_idle(self, since_refresh: int) -> bool:
        """Whether a frame is idle, by its number since the frame at which the refresh period starts."""
        return since_refresh % (self.active_frames + self.idle_frames) >= self.active_frames

    def active_number(self, since_refresh: int) -> int:
        """How many active frames there were before a frame, by its number as for ``is_idle``."""
        rounds, rest = divmod(since_refresh, self.active_frames + self.idle_frames)
        return rounds * self.active_frames + min(rest, self.active_frames)


TILE_PRESETS: Mapping[str, TileSchedule] = {
    "careful": TileSchedule(0, share=0.5, object_period=2, least_held=0.9),
    "balanced": TileSchedule(1, share=0.4, idle_frames=1, least_held=0.83, longest_s=0.25),
    "fast": TileSchedule(2, share=0.5, idle_frames=3, least_held=0.7, longest_s=0.5),
}
"""By the names of ``schedule.PRESETS``. Chosen on ten clips, with what YOLOX-nano finds at four times the pixels as
labels. There, YOLOX-nano, ``street`` and YOLOv5n lose 0.1, 0.6 and 1.4 points on average. With 25 % of the image in
every frame, ``balanced`` loses 0.3 and computes 1.5 times as much; what a frame costs besides its operations comes
twice as often. Objects in turns cost ``careful`` 0.2 points, as half of the image is observed besides, and save 8 % of
its operations."""

TILE_OVERRIDES = ("active_frames", "idle_frames", "least_held")
"""Values of ``schedule.PresetOverrides`` that mean something here."""


@lru_cache(maxsize=32)
def tile_schedule(preset: str, overrides: PresetOverrides) -> TileSchedule:
    """The schedule of a preset, with the values that replace its own."""
    replaced = {name: getattr(overrides, name) for name in TILE_OVERRIDES if getattr(overrides, name) != USE_PRESET}
    if "idle_frames" in replaced:
        replaced["longest_s"] = math.inf
    return replace(TILE_PRESETS[preset], **replaced)


def find_tile_schedule(sources: Iterable[MaskSource]) -> TileSchedule | None:
    """The schedule of a tile preset among mask sources; None without one."""
    return next((source.schedule for source in sources if isinstance(source, RollingRefresh)), None)


def make_tile_sources(schedule: TileSchedule) -> list[MaskSource]:
    """The mask sources of a schedule."""
    return [TrackedObjects(schedule), RollingRefresh(schedule)]


class TrackedObjects(StatelessSource):
    """Proposes the regions of the tracked objects that take their turn.

    Args:
        schedule: The preset's.
    """

    name = OBJECTS

    def __init__(self, schedule: TileSchedule) -> None:
        self._schedule = schedule

    def propose(self, context: MaskContext) -> np.ndarray | None:
        """Regions of these objects, bool [rows, cols]; None in a first frame."""
        schedule = self._schedule.limited(context.horizon, context.interval_s)
        number = context.since_refresh
        if number == 0:
            return None
        if schedule.is_idle(number):
            return context.grid.full(False)
        boxes = context.tracks.extrapolate(context.frame)
        if schedule.object_period > 1:
            boxes = boxes[find_due(context.tracks, schedule.active_number(number), schedule.object_period)]
        return context.grid.cover(boxes, context.image_wh, schedule.ring)


def find_due(tracks: Tracks, frame: int, period: int) -> np.ndarray:
    """Finds the objects that take their turn, so that about as many do in every frame; and new ones.

    Args:
        tracks: The objects.
        frame: Number of the frame, counted in active ones.
        period: Frames from one turn of an object to the next.

    Returns:
        bool [n]. Of an object that was observed only once, the velocity is not known yet.
    """
    due: np.ndarray = ((tracks.ids + frame) % period == 0) | (tracks.hits < FEWEST_HITS)
    return due


@dataclass
class RollingRefresh:
    """Proposes the blocks of the image that were not observed for longest, those that have changed before their time.

    A block is worth the frames since it was last observed, times 1 + ``CHANGE_WEIGHT`` times the largest share of it
    that has changed in one of them. With blocks where a region has waited for ``PATIENCE`` rounds, it begins. So every
    region is observed after ``PATIENCE`` + 1 rounds at the latest, and after one round where all of the image changes,
    or nothing.

    Attributes:
        schedule: The preset's.
        name: Key of the proposal.
        ages: int64 [rows, cols], frames since a region was last observed; None before the first frame.
        changes: float32 [rows, cols], the largest change of a region in these frames, 0 to 1.
    """

    schedule: TileSchedule
    name: str = field(default=ROLLING, init=False)
    ages: np.ndarray | None = field(default=None, init=False)
    changes: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32), init=False)

    def propose(self, context: MaskContext) -> np.ndarray | None:
        """Regions of the blocks, bool [rows, cols]; None in a first frame."""
        if context.since_refresh == 0 or self.ages is None:
            self.ages, self.changes = np.zeros(context.grid.shape, np.int64), np.zeros(context.grid.shape, np.float32)
            return None
        if context.frame_view is not None:
            np.maximum(self.changes, context.frame_view.change, out=self.changes)
        if self.schedule.limited(context.horizon, context.interval_s).is_idle(context.since_refresh):
            return context.grid.full(False)
        blocks = math.prod(-(-side // BLOCK) for side in self.ages.shape)
        patience = PATIENCE * self.schedule.frames_a_round(blocks)
        return select_blocks(self.ages, self.changes, patience, self.schedule.share)

    def observe(self, result: StepResult) -> None:
        """Counts the frames since each region was observed."""
        self.count(result.mask)

    def count(self, mask: RegionMask) -> None:
        """As ``observe``, for the mask of a frame."""
        if self.ages is not None:
            _count_ages(mask.keep, self.ages, self.changes)

    def reset(self) -> None:
        """The next frame is a first frame."""
        self.ages = None


def select_blocks(ages: np.ndarray, changes: np.ndarray, patience: float, share: float) -> np.ndarray:
    """Selects the blocks that are worth most.

    Args:
        ages: int64 [rows, cols], as in ``RollingRefresh``.
        changes: float32 [rows, cols], likewise.
        patience: Age from which on a region is worth ``OVERDUE`` more.
        share: Share of the blocks, 0 to 1; at least one block is selected.

    Returns:
        bool [rows, cols].
    """
    rows, cols = ages.shape
    worth = np.zeros((-(-rows // BLOCK), -(-cols // BLOCK)))
    _sum_worth(ages, changes, float(patience), worth)
    best = np.argsort(-worth, axis=None, kind="stable")[:_blocks_a_frame(worth.size, share)]
    keep = np.zeros((rows, cols), bool)
    _fill_blocks(best, worth.shape[1], keep)
    return keep


def _blocks_a_frame(blocks: int, share: float) -> int:
    return max(1, math.ceil(share * blocks))


@kernel
def _sum_worth(ages: np.ndarray, changes: np.ndarray, patience: float, worth: np.ndarray) -> None:
    for row in range(ages.shape[0]):
        for col in range(ages.shape[1]):
            changed = np.float32(1.0 + CHANGE_WEIGHT * changes[row, col])
            overdue = OVERDUE if ages[row, col] >= patience else 0.0
            worth[row // BLOCK, col // BLOCK] += (1.0 + ages[row, col]) * changed + overdue


@kernel
def _fill_blocks(blocks: np.ndarray, across: int, keep: np.ndarray) -> None:
    for block in blocks:
        row, col = BLOCK * (block // across), BLOCK * (block % across)
        keep[row:row + BLOCK, col:col + BLOCK] = True


@kernel
def _count_ages(keep: np.ndarray, ages: np.ndarray, changes: np.ndarray) -> None:
    for row in range(keep.shape[0]):
        for col in range(keep.shape[1]):
            ages[row, col] = 0 if keep[row, col] else ages[row, col] + 1
            if keep[row, col]:
                changes[row, col] = 0.0
