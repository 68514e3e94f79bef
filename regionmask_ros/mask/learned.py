"""The static mask that can be saved from what a running camera has shown, and what to say about it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.grid import RegionGrid

LARGE_SHARE = 0.8
"""A mask that observes a larger share of the regions saves too little to be worth its risk."""


@dataclass(frozen=True)
class LearnedMask:
    """A static mask, and what it was made from.

    Attributes:
        grid: The region grid.
        keep: bool [rows, cols], True = observed.
        heat: float64 [rows, cols], how hot the regions are; a copy.
        frames: Number of frames observed as a whole that it was learned from.
    """

    grid: RegionGrid
    keep: np.ndarray
    heat: np.ndarray
    frames: int

    @property
    def kept_share(self) -> float:
        """Share of the regions that it observes, 0 to 1."""
        return float(np.count_nonzero(self.keep)) / self.keep.size

    @property
    def text(self) -> str:
        """How large it is, in words."""
        return (f"{np.count_nonzero(self.keep)} of {self.keep.size} regions kept ({self.kept_share:.0%}), "
                f"from {self.frames} frames observed as a whole")

    @property
    def warning(self) -> str:
        """Why it is of little use, and what to do; "" if it is small enough."""
        if self.kept_share <= LARGE_SHARE:
            return ""
        return (f"the mask observes {self.kept_share:.0%} of the regions, so it saves little: set a lower "
                "adaptive_cover, or use mask_mode preset, which follows the objects")
