"""Adaptive static masks: where objects were seen lately, learned while the camera runs.

A static mask is right for one view. When the camera is moved, or other traffic comes, its heat is learned anew from the
refresh frames, and what is no longer confirmed fades.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import UserError
from ..grid import RegionGrid
from .heat import USUAL_COVER, holding
from .seen import RING, Seen, looked


@dataclass(frozen=True)
class Adaptive:
    """How it learns.

    half_life: refresh frames after which what was seen counts half. cover: share of what was seen that is attended, by
    the fewest regions. ring: regions that a box is widened by before it counts.

    Raises UserError for a value that makes no sense.
    """

    half_life: float = 8.0
    cover: float = USUAL_COVER
    ring: int = RING

    def __post_init__(self) -> None:
        if not 0.1 <= self.half_life <= 1e6:
            raise UserError(f"adaptive half-life {self.half_life:g}: must be 0.1 to 1000000 refresh frames")
        if not 0.0 < self.cover <= 1.0:
            raise UserError(f"adaptive cover {self.cover:g}: must lie above 0 and not above 1")
        if not 0 <= self.ring <= 100:
            raise UserError(f"adaptive ring {self.ring}: must be 0 to 100 regions")


def learned(adaptive: Adaptive, seen: Seen, boxes: np.ndarray, grid: RegionGrid,
            picture_wh: tuple[int, int]) -> Seen:
    """After one more whole frame with these boxes, see ``seen.looked``."""
    return looked(seen, boxes, grid, picture_wh, adaptive.ring, adaptive.half_life)


def mask_of(adaptive: Adaptive, seen: Seen) -> np.ndarray:
    """bool [rows, cols]: what is attended; everything as long as no object was seen."""
    return holding(seen.share, adaptive.cover) if seen.share.any() else np.ones(seen.share.shape, bool)
