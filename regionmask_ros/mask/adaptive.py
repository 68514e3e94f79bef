"""Where objects are seen while a camera runs, and the static mask that follows it.

No labels are needed. Only frames that are observed as a whole count. Others would show what the mask let through, and a
mask made of that would shrink each time.

A static mask is right for one view. When the camera is moved, or the traffic changes, an adaptive mask learns its heat
anew from the refresh frames, and what is no longer confirmed fades.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.grid import RegionGrid
from ..core.option_table import check_options, option_field
from ..core.result import StepResult
from .heat import HeatMap, min_cover_mask, rank_by_heat
from .source import STATIC, MaskContext

RING = 1
"""Regions around a box that count as seen, too: the room that an object may move in."""

NO_DECAY = 0.0
"""A half-life with which nothing is forgotten."""


@dataclass(frozen=True)
class OccupancyStats:
    """Where objects were seen.

    Attributes:
        share: float64 [rows, cols], 0 to 1: in what share of the frames observed as a whole an object covered the
            region. With a half-life, later frames count more.
        frames: Number of frames observed as a whole so far.
        assumed: Number of frames that the share starts from without having been seen, 0 or 1.
    """

    share: np.ndarray
    frames: int = 0
    assumed: int = 0

    @classmethod
    def nothing(cls, grid: RegionGrid) -> OccupancyStats:
        """Before the first frame."""
        return cls(np.zeros(grid.shape))

    @classmethod
    def from_mask(cls, keep: np.ndarray) -> OccupancyStats:
        """As if there had been one such frame, with objects in all regions of a mask: bool [rows, cols]."""
        return cls(keep.astype(np.float64), assumed=1)


def update_occupancy(stats: OccupancyStats, boxes: np.ndarray, grid: RegionGrid, image_wh: tuple[int, int],
                     ring: int = RING, half_life: float = NO_DECAY) -> OccupancyStats:
    """Takes one more frame into account, which was observed as a whole.

    Args:
        stats: Before that frame.
        boxes: Detected in it: float [n, 4], x0 y0 x1 y1 in image pixels.
        grid: The region grid.
        image_wh: Width and height of the image.
        ring: Regions around a box that count as covered.
        half_life: Frames observed as a whole after which a frame counts half. Until there were
            about as many, all frames count the same.

    Returns:
        After that frame.
    """
    gain = 1.0 / (stats.assumed + stats.frames + 1)
    if half_life > 0.0:
        gain = max(gain, 1.0 - 0.5 ** (1.0 / half_life))
    covered = grid.cover(boxes, image_wh, ring)
    return OccupancyStats(stats.share + gain * (covered - stats.share), stats.frames + 1, stats.assumed)


@dataclass(frozen=True)
class Adaptive:
    """How an adaptive mask learns.

    Attributes:
        half_life: Refresh frames after which what was seen counts half.
        cover: Share of what was seen that is observed, by the fewest regions.
        ring: Regions that a box is widened by before it counts.

    Raises:
        UserError: A value is out of range.
    """

    half_life: float = option_field("adaptive_half_life")
    cover: float = option_field("adaptive_cover")
    ring: int = option_field("adaptive_ring")

    def __post_init__(self) -> None:
        check_options(self)


class OccupancyLearner:
    """Collects where objects are seen, whatever masks are in use: a static mask can be saved from it at any time.

    Attributes:
        initial: What is assumed before the first frame.
        stats: What was seen so far.
        heat: The heat of the objects that were seen, which nothing but ``forget`` lowers.
    """

    def __init__(self, grid: RegionGrid, image_wh: tuple[int, int], initial: OccupancyStats | None = None,
                 ring: int = RING, half_life: float = NO_DECAY) -> None:
        self._grid, self._image_wh, self._ring, self._half_life = grid, image_wh, ring, half_life
        self.initial = initial or OccupancyStats.nothing(grid)
        self.stats = self.initial
        self.heat = HeatMap(grid, image_wh)

    def observe(self, result: StepResult) -> None:
        """Learns from a frame in which every region was observed."""
        if result.mask.keep.all():
            self.stats = update_occupancy(
                self.stats, result.detections.boxes, self._grid, self._image_wh, self._ring, self._half_life)
            self.heat.add(result.detections.boxes)

    def reset(self) -> None:
        """Does nothing: the place is still the same."""

    def forget(self) -> None:
        """Starts from the initial state again: it is another place."""
        self.stats = self.initial
        self.heat.clear()

    def continue_from(self, other: OccupancyLearner) -> None:
        """Takes over what another learner has seen; the statistics only if no other mask is brought to start from."""
        self.heat = other.heat
        if not self.initial.share.any() or np.array_equal(self.initial.share, other.initial.share):
            self.stats = other.stats


class AdaptiveSource(OccupancyLearner):
    """A static mask that follows what is seen in refresh frames. It observes everything until an object was seen."""

    name = STATIC

    def __init__(self, adaptive: Adaptive, grid: RegionGrid, image_wh: tuple[int, int],
                 initial: np.ndarray | None = None) -> None:
        """Makes a source that has seen nothing yet.

        Args:
            adaptive: How it learns.
            grid: The region grid.
            image_wh: Width and height of the camera's image.
            initial: The mask to start from, bool [rows, cols]. None: nothing is known.
        """
        first = None if initial is None else OccupancyStats.from_mask(initial)
        super().__init__(grid, image_wh, first, adaptive.ring, adaptive.half_life)
        self._cover = adaptive.cover
        self._made_of: OccupancyStats | None = None
        self._keep = grid.full(True)
        self._ranks: np.ndarray | None = None

    @property
    def keep(self) -> np.ndarray:
        """What is observed, bool [rows, cols]: the fewest regions that hold the wanted share of what was seen."""
        self._update()
        return self._keep

    @property
    def ranks(self) -> np.ndarray | None:
        """The order of the regions, see ``heat.rank_by_heat``; None as long as no object was seen."""
        self._update()
        if self._ranks is None and self.stats.share.any():
            self._ranks = rank_by_heat(self.stats.share)
        return self._ranks

    def propose(self, context: MaskContext) -> np.ndarray:
        """What was learned so far, bool [rows, cols]."""
        return self.keep

    def _update(self) -> None:
        """Makes the mask anew when the statistics have changed."""
        if self._made_of is not self.stats:
            share = self.stats.share
            self._made_of, self._ranks = self.stats, None
            self._keep = min_cover_mask(share, self._cover) if share.any() else np.ones(share.shape, bool)
