"""Where objects were seen while a camera runs: what a static mask can be made of, or go on learning from.

No labels are needed. Only whole frames count, that is frames in which everything was sent. Others would tell what the
mask let through, and a mask made of that would shrink each time.

Adaptive static masks: where objects were seen lately, learned while the camera runs.

A static mask is right for one view. When the camera is moved, or other traffic comes, its heat is learned anew from the
refresh frames, and what is no longer confirmed fades.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.grid import RegionGrid
from ..core.option_table import check_options, option_field
from ..errors import UserError
from .heat import min_cover_mask

RING = 1
"""Regions around a box that count as seen, too: the room that an object may move in."""

NO_DECAY = 0.0
"""A half-life with which nothing is forgotten."""


@dataclass(frozen=True)
class OccupancyStats:
    """share: float64 [rows, cols], 0 to 1: in what share of the whole frames an object covered the region; with a
    half-life, later ones count more. frames: whole frames so far. supposed: frames that the share starts from without
    having been seen, 0 or 1.
    """

    share: np.ndarray
    frames: int = 0
    assumed: int = 0

    @classmethod
    def nothing(cls, grid: RegionGrid) -> OccupancyStats:
        return cls(np.zeros(grid.shape))

    @classmethod
    def from_mask(cls, keep: np.ndarray) -> OccupancyStats:
        """As though there had been one whole frame, with objects in all these regions: bool [rows, cols]."""
        return cls(keep.astype(np.float64), assumed=1)

    def mask(self) -> np.ndarray:
        """bool [rows, cols], True where an object was ever seen. Raises UserError when none was."""
        if not self.share.any():
            raise UserError(f"no object was seen yet (in {self.frames} whole frames), so there is nothing to attend")
        return self.share > 0.0


def update_occupancy(seen: OccupancyStats, boxes: np.ndarray, grid: RegionGrid, image_wh: tuple[int, int], ring: int = RING,
           half_life: float = NO_DECAY) -> OccupancyStats:
    """After one more whole frame, in which those boxes were detected: float [n, 4], x0 y0 x1 y1 in picture pixels.

    ring: regions around a box that count as covered. half_life: whole frames after which a frame counts half; until
    there were about as many, all frames count the same.
    """
    gain = 1.0 / (seen.assumed + seen.frames + 1)
    if half_life > 0.0:
        gain = max(gain, 1.0 - 0.5 ** (1.0 / half_life))
    covered = grid.cover(boxes, image_wh, ring)
    return OccupancyStats(seen.share + gain * (covered - seen.share), seen.frames + 1, seen.assumed)


@dataclass(frozen=True)
class Adaptive:
    """How it learns.

    half_life: refresh frames after which what was seen counts half. cover: share of what was seen that is attended, by
    the fewest regions. ring: regions that a box is widened by before it counts.

    Raises UserError for a value that makes no sense.
    """

    half_life: float = option_field("adaptive_half_life")
    cover: float = option_field("adaptive_cover")
    ring: int = option_field("adaptive_ring")

    def __post_init__(self) -> None:
        check_options(self)


def update_adaptive(adaptive: Adaptive, seen: OccupancyStats, boxes: np.ndarray, grid: RegionGrid,
            image_wh: tuple[int, int]) -> OccupancyStats:
    """After one more whole frame with these boxes, see ``seen.update_occupancy``."""
    return update_occupancy(seen, boxes, grid, image_wh, adaptive.ring, adaptive.half_life)


def mask_of(adaptive: Adaptive, seen: OccupancyStats) -> np.ndarray:
    """bool [rows, cols]: what is attended; everything as long as no object was seen."""
    return min_cover_mask(seen.share, adaptive.cover) if seen.share.any() else np.ones(seen.share.shape, bool)
