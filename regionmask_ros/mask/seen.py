"""Where objects were seen while a camera runs: what a static mask can be made of without labels."""

from __future__ import annotations

import numpy as np

from ..detection.detections import Detections
from ..errors import UserError
from ..grid import RegionGrid

RING = 1
"""Regions around a box that count as seen, too: the room that an object may move in."""


class SeenRegions:
    """Counts over whole frames only, that is frames in which everything was sent.

    Others would tell what the mask let through, and a mask made of that would shrink each time.

    counts: int32 [rows, cols], frames in which an object covered the region. frames: whole frames in all.
    """

    def __init__(self, grid: RegionGrid) -> None:
        self._grid = grid
        self.counts, self.frames = np.zeros(grid.shape, np.int32), 0

    def add(self, found: Detections, keep: np.ndarray, picture_wh: tuple[int, int]) -> None:
        """One more frame; one that was not sent as a whole is passed over."""
        if keep.all():
            self.frames += 1
            if len(found):
                self.counts += self._grid.cover(found.boxes, picture_wh, RING)

    def mask(self) -> np.ndarray:
        """bool [rows, cols], True where an object was ever seen. Raises UserError when none was."""
        if not self.counts.any():
            raise UserError(f"no object was seen yet (in {self.frames} whole frames), so there is nothing to attend")
        return self.counts > 0
