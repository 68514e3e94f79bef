"""How long ago each region was sent, and which boxes nothing sent now speaks for."""

from __future__ import annotations

import numpy as np

from ..detection.detections import Detections
from ..engine.kernel_cache import kernel
from ..grid import RegionGrid

OLDEST = 65_535
"""Ages end here; a region that was never sent has this one."""


def never_sent(grid: RegionGrid) -> np.ndarray:
    """uint16 [rows, cols], the ages before the first frame."""
    return np.full(grid.shape, OLDEST, np.uint16)


def aged(age: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """The ages after one more frame: 0 where it was sent, one frame more elsewhere.

    age: uint16 [rows, cols], frames since a region was last sent. keep: bool [rows, cols], True = sent in this frame.
    Returns a new array.
    """
    older = np.empty(age.shape, np.uint16)
    _age(age, keep, older)
    return older


@kernel
def _age(age, keep, older):
    rows, cols = age.shape
    for row in range(rows):
        for col in range(cols):
            older[row, col] = 0 if keep[row, col] else min(np.int64(age[row, col]) + 1, OLDEST)


def is_stale(found: Detections, keep: np.ndarray, picture_wh: tuple[int, int]) -> np.ndarray:
    """bool [n]: boxes none of whose regions was sent in this frame. Such a box may be a ghost.

    keep: bool [rows, cols] over a picture of ``picture_wh``, whose pixels the boxes are in.
    """
    low, high, _ = RegionGrid(*keep.shape).spans(found.boxes, picture_wh)
    # Regions sent above and left of every corner: four of them give the number inside a box.
    sent = np.zeros((keep.shape[0] + 1, keep.shape[1] + 1), np.int64)
    sent[1:, 1:] = keep.cumsum(axis=0).cumsum(axis=1)
    (c0, r0), (c1, r1) = low.T, high.T
    return sent[r1, c1] - sent[r0, c1] - sent[r1, c0] + sent[r0, c0] == 0
