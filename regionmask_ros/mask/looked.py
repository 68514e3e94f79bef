"""Which objects a mask looks at."""

from __future__ import annotations

import numpy as np

LOOKED_SHARE = 0.5
"""An object is looked at when at least this share of its box is attended."""


def looked_at(boxes: np.ndarray, keep: np.ndarray, picture_wh: tuple[int, int]) -> np.ndarray:
    """bool [n]. boxes: float [n, 4], x0 y0 x1 y1 in pixels of a picture of ``picture_wh``. keep: bool [rows, cols]."""
    if keep.all() or not keep.any():
        return np.full(len(boxes), bool(keep.all()))
    return attended_share(boxes, keep, picture_wh) >= LOOKED_SHARE


def attended_share(boxes: np.ndarray, keep: np.ndarray, picture_wh: tuple[int, int]) -> np.ndarray:
    """float64 [n]: the share of each box's area that is attended; 0 for a box without area in the picture."""
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    down = axis_overlap(boxes[:, 1], boxes[:, 3], keep.shape[0], picture_wh[1])
    across = axis_overlap(boxes[:, 0], boxes[:, 2], keep.shape[1], picture_wh[0])
    attended = ((down @ keep) * across).sum(axis=1)
    whole = down.sum(axis=1) * across.sum(axis=1)
    return attended / np.where(whole > 0.0, whole, 1.0)


def axis_overlap(low: np.ndarray, high: np.ndarray, cells: int, length: float) -> np.ndarray:
    """float64 [n, cells]: share of each region, along one axis, that lies between low and high pixels."""
    start, scale = np.arange(cells), cells / length
    return np.clip(np.minimum(high[:, None] * scale, start + 1) - np.maximum(low[:, None] * scale, start), 0.0, 1.0)
