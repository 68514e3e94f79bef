"""How long ago each region was observed, and which boxes no observed region confirms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..core.detections import Detections
from ..core.grid import RegionGrid
from ..core.result import StepResult
from ..jit.cache import kernel

MAX_AGE = 65_535
"""Ages end here; a region that was never observed has this age."""


def initial_age(grid: RegionGrid) -> np.ndarray:
    """The ages before the first frame, uint16 [rows, cols]."""
    return np.full(grid.shape, MAX_AGE, np.uint16)


def update_age(age: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """The ages after one more frame.

    Args:
        age: uint16 [rows, cols], frames since a region was last observed.
        keep: bool [rows, cols], True = observed in this frame.

    Returns:
        A new array: 0 where a region was observed, one frame more elsewhere.
    """
    older = np.empty(age.shape, np.uint16)
    _increment_age(age, keep, older)
    return older


@kernel
def _increment_age(age: np.ndarray, keep: np.ndarray, older: np.ndarray) -> None:
    rows, cols = age.shape
    for row in range(rows):
        for col in range(cols):
            older[row, col] = 0 if keep[row, col] else min(np.int64(age[row, col]) + 1, MAX_AGE)


def find_unobserved(found: Detections, keep: np.ndarray, image_wh: tuple[int, int]) -> np.ndarray:
    """Finds boxes none of whose regions is observed in this frame. Such a box may be a ghost.

    Args:
        found: Detections in an image of ``image_wh``.
        keep: bool [rows, cols], True = observed in this frame.
        image_wh: Width and height of the image.

    Returns:
        bool [n].
    """
    low, high, _ = RegionGrid(*keep.shape).spans(found.boxes, image_wh)
    # Number of observed regions above and left of every corner: four of them give the number inside a box.
    sent = np.zeros((keep.shape[0] + 1, keep.shape[1] + 1), np.int64)
    sent[1:, 1:] = keep.cumsum(axis=0).cumsum(axis=1)
    (c0, r0), (c1, r1) = low.T, high.T
    unobserved: np.ndarray = sent[r1, c1] - sent[r0, c1] - sent[r1, c0] + sent[r0, c0] == 0
    return unobserved


def drop_unobserved(result: StepResult) -> StepResult:
    """A result without the detections that ``find_unobserved`` finds."""
    stale = find_unobserved(result.detections, result.mask.keep, result.frame.size_wh)
    return replace(result, detections=result.detections.take(~stale))
