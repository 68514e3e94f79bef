"""Masks of a wanted size: how many regions may be attended, and which come first."""

from __future__ import annotations

import numpy as np

from ..errors import UserError
from ..grid import RegionGrid


def attended_regions(grid: RegionGrid, masked_share: float, refresh_period: int) -> int:
    """Regions to attend in a frame that is no refresh frame, so that the wanted share is masked over all frames.

    masked_share: 0 to 1, of all regions of all frames; refresh frames mask nothing, so the others mask more.
    Raises UserError when the refresh frames leave too few others.
    """
    return round(grid.rows * grid.cols * (1.0 - share_between_refreshes(masked_share, refresh_period)))


def share_between_refreshes(masked_share: float, refresh_period: int) -> float:
    """The masked share, 0 to 1, of a frame that is no refresh frame, so that ``masked_share`` is that of all frames.

    Raises UserError when the refresh frames leave too few others.
    """
    others = 1.0 - 1.0 / refresh_period if refresh_period > 0 else 1.0
    if not 0.0 <= masked_share <= others:
        raise UserError(
            f"a masked share of {masked_share:g} is out of reach: with a refresh every {refresh_period} frames at most "
            f"{others:.2f} can be masked"
        )
    return masked_share / others if others else 0.0


def nearest(boxes: np.ndarray, scores: np.ndarray, grid: RegionGrid, picture_wh: tuple[int, int],
            regions: int) -> np.ndarray:
    """bool [rows, cols]: so many regions around boxes; those inside first, then ring by ring.

    boxes: float [n, 4] in picture pixels. scores: float [n]; at equal distance the better box's regions come first.
    Without any box nothing is attended.
    """
    keep = grid.full(False)
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    width, height = picture_wh
    inside = np.clip(boxes, 0.0, [width, height, width, height])
    visible = (inside[:, 2:] > inside[:, :2]).all(axis=1)
    inside, scores = inside[visible], np.asarray(scores, np.float64)[visible]
    if not len(inside):
        return keep
    across = _rings(inside[:, 0], inside[:, 2], grid.cols, width)
    down = _rings(inside[:, 1], inside[:, 3], grid.rows, height)
    # One number a box and region: the ring, and less than a ring for the score.
    rank = np.maximum(down[:, :, None], across[:, None, :]) - 0.5 * np.clip(scores, 0.0, 1.0)[:, None, None]
    order = np.argsort(rank.min(axis=0).ravel(), kind="stable")
    keep.ravel()[order[:regions]] = True
    return keep


def _rings(low: np.ndarray, high: np.ndarray, cells: int, length: float) -> np.ndarray:
    """float64 [n, cells]: how many cells each lies away from those that a box touches along one axis."""
    cell = np.arange(cells)[None]
    first = np.floor(low * cells / length)[:, None]
    last = (np.ceil(high * cells / length) - 1)[:, None]
    return np.maximum(np.maximum(first - cell, cell - last), 0.0)
