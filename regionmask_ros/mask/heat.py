"""Heat: where objects have been, and the smallest static mask that holds enough of it."""

from __future__ import annotations

import cv2
import numpy as np

from ..core.grid import RegionGrid
from ..errors import UserError

DEFAULT_COVER = 0.99
"""Share of the heat that a static mask attends when nothing else is asked for."""

BLUR_REGIONS = 2.0
"""Standard deviation of the blur that decides between regions of equal heat: those near hot ones come first."""


def compute_heat(boxes: np.ndarray, grid: RegionGrid, image_wh: tuple[int, int]) -> np.ndarray:
    """How much of each region the boxes cover, summed over them: float64 [rows, cols].

    boxes: float [n, 4], x0 y0 x1 y1 in pixels of a picture of ``image_wh``. A box that covers a region as a whole
    adds 1 to it.
    """
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    cols = _axis_overlap(boxes[:, 0], boxes[:, 2], grid.cols, image_wh[0])
    rows = _axis_overlap(boxes[:, 1], boxes[:, 3], grid.rows, image_wh[1])
    return rows.T @ cols


def _axis_overlap(low: np.ndarray, high: np.ndarray, cells: int, length: float) -> np.ndarray:
    """float64 [n, cells]: share of each region, along one axis, that lies between low and high pixels."""
    start, scale = np.arange(cells), cells / length
    return np.clip(np.minimum(high[:, None] * scale, start + 1) - np.maximum(low[:, None] * scale, start), 0.0, 1.0)


def top_k_mask(heat: np.ndarray, regions: int) -> np.ndarray:
    """bool [rows, cols]: so many regions, those of the most heat; of equals, those near hot ones."""
    return _first(rank_regions(heat), regions, heat.shape)


def min_cover_mask(heat: np.ndarray, cover: float = DEFAULT_COVER) -> np.ndarray:
    """bool [rows, cols]: the fewest regions that hold that share of the heat, 0 to 1.

    Raises UserError when there is no heat: nothing was seen that a mask could be made from.
    """
    total = heat.sum()
    if total <= 0.0:
        raise UserError("no object was seen to make a static mask from: give more pictures, or labels")
    order = rank_regions(heat)
    held = np.cumsum(heat.ravel()[order])
    # A hair below, so that rounding in a sum of thousands does not ask for regions without heat.
    regions = int(np.searchsorted(held, cover * total * (1.0 - 1e-12), side="left")) + 1
    return _first(order, regions, heat.shape)


def _first(order: np.ndarray, regions: int, shape: tuple[int, int]) -> np.ndarray:
    keep = np.zeros(shape, bool)
    keep.ravel()[order[:regions]] = True
    return keep


def rank_regions(heat: np.ndarray) -> np.ndarray:
    """int64 [rows * cols]: regions by number, the hottest first; of equals, those near hot ones. A mask will do."""
    heat = heat.astype(np.float64)
    near = cv2.GaussianBlur(heat, (0, 0), BLUR_REGIONS)
    return np.lexsort((-near.ravel(), -heat.ravel()))


def rank_by_heat(heat: np.ndarray) -> np.ndarray:
    """Order of the regions as numbers, the hottest first, see ``top_k_mask``.

    Args:
        heat: float [rows, cols], 0 or more. A mask is accepted, too.

    Returns:
        float64 [rows, cols], 0 to below 1.
    """
    ranks = np.empty(heat.size)
    ranks[rank_regions(heat)] = np.arange(heat.size) / heat.size
    return ranks.reshape(heat.shape)


def grow_mask(keep: np.ndarray, ring: int) -> np.ndarray:
    """The mask grown by so many regions on every side."""
    if ring == 0:
        return keep.copy()
    side = 2 * ring + 1
    return cv2.dilate(keep.astype(np.uint8), np.ones((side, side), np.uint8)).astype(bool)
