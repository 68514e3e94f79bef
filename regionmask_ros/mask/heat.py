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
    """Sums up how much of each region boxes cover. A box that covers a region as a whole adds 1 to it.

    Args:
        boxes: float [n, 4], x0 y0 x1 y1 in image pixels.
        grid: The region grid.
        image_wh: Width and height of the image.

    Returns:
        float64 [rows, cols].
    """
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    cols = _axis_overlap(boxes[:, 0], boxes[:, 2], grid.cols, image_wh[0])
    rows = _axis_overlap(boxes[:, 1], boxes[:, 3], grid.rows, image_wh[1])
    heat: np.ndarray = rows.T @ cols
    return heat


def _axis_overlap(low: np.ndarray, high: np.ndarray, cells: int, length: float) -> np.ndarray:
    """Share of each region, along one axis, that lies between low and high pixels: float64 [n, cells]."""
    start, scale = np.arange(cells), cells / length
    overlap: np.ndarray = np.clip(
        np.minimum(high[:, None] * scale, start + 1) - np.maximum(low[:, None] * scale, start), 0.0, 1.0)
    return overlap


def top_k_mask(heat: np.ndarray, regions: int) -> np.ndarray:
    """The hottest regions; of equal ones, those near hot ones.

    Args:
        heat: float [rows, cols], 0 or more.
        regions: Number of regions.

    Returns:
        bool [rows, cols].
    """
    return _first(rank_regions(heat), regions, heat.shape)


def min_cover_mask(heat: np.ndarray, cover: float = DEFAULT_COVER) -> np.ndarray:
    """The fewest regions that hold a share of the heat.

    Args:
        heat: float [rows, cols], 0 or more.
        cover: The share, 0 to 1.

    Returns:
        bool [rows, cols].

    Raises:
        UserError: There is no heat: no object was seen that a mask could be made from.
    """
    total = heat.sum()
    if total <= 0.0:
        raise UserError("no object was seen to make a static mask from: give more images, or labels")
    order = rank_regions(heat)
    held = np.cumsum(heat.ravel()[order])
    # A little below, so that rounding in a sum of thousands does not ask for regions without heat.
    regions = int(np.searchsorted(held, cover * total * (1.0 - 1e-12), side="left")) + 1
    return _first(order, regions, heat.shape)


def _first(order: np.ndarray, regions: int, shape: tuple[int, ...]) -> np.ndarray:
    keep = np.zeros(shape, bool)
    keep.ravel()[order[:regions]] = True
    return keep


def rank_regions(heat: np.ndarray) -> np.ndarray:
    """Regions by number, the hottest first, see ``top_k_mask``: int64 [rows * cols]. A mask is accepted, too."""
    heat = heat.astype(np.float64)
    near = cv2.GaussianBlur(heat, (0, 0), BLUR_REGIONS)
    order: np.ndarray = np.lexsort((-near.ravel(), -heat.ravel()))
    return order


def rank_by_heat(heat: np.ndarray) -> np.ndarray:
    """Ranks of the regions, the hottest first, see ``top_k_mask``.

    Args:
        heat: float [rows, cols], 0 or more. A mask is accepted, too.

    Returns:
        float64 [rows, cols], 0 to below 1.
    """
    ranks = np.empty(heat.size)
    ranks[rank_regions(heat)] = np.arange(heat.size) / heat.size
    return ranks.reshape(heat.shape)


def grow_mask(keep: np.ndarray, ring: int) -> np.ndarray:
    """Widens a mask.

    Args:
        keep: bool [rows, cols].
        ring: Number of regions on every side.

    Returns:
        A new mask, bool [rows, cols].
    """
    if ring == 0:
        return np.array(keep)
    side = 2 * ring + 1
    grown: np.ndarray = cv2.dilate(keep.astype(np.uint8), np.ones((side, side), np.uint8)).astype(bool)
    return grown
