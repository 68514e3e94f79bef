"""Which objects a mask looks at."""

from __future__ import annotations

import numpy as np

from ..engine.kernel_cache import kernel

LOOKED_SHARE = 0.5
"""An object is looked at when at least this share of its box is attended."""


def looked_at(boxes: np.ndarray, keep: np.ndarray, picture_wh: tuple[int, int]) -> np.ndarray:
    """bool [n]. boxes: float [n, 4], x0 y0 x1 y1 in pixels of a picture of ``picture_wh``. keep: bool [rows, cols].

    Where everything is attended, or nothing, that holds for boxes outside the picture, too.
    """
    boxes = np.ascontiguousarray(boxes, np.float64).reshape(-1, 4)
    looked, (width, height) = np.empty(len(boxes), bool), picture_wh
    _look(boxes, np.ascontiguousarray(keep), float(width), float(height), looked)
    return looked


def attended_share(boxes: np.ndarray, keep: np.ndarray, picture_wh: tuple[int, int]) -> np.ndarray:
    """float64 [n]: the share of each box's area that is attended; 0 for a box without area in the picture."""
    boxes = np.ascontiguousarray(boxes, np.float64).reshape(-1, 4)
    share, (width, height) = np.empty(len(boxes)), picture_wh
    _share(boxes, np.ascontiguousarray(keep), float(width), float(height), share)
    return share


@kernel
def _look(boxes, keep, width, height, looked):
    attended = keep.sum()
    if attended == 0 or attended == keep.size:
        looked[:] = attended > 0
        return
    share = np.empty(len(boxes))
    _share(boxes, keep, width, height, share)
    for i in range(len(boxes)):
        looked[i] = share[i] >= LOOKED_SHARE


@kernel
def _share(boxes, keep, width, height, share):
    rows, cols = keep.shape
    for i in range(len(boxes)):
        x0, x1 = max(boxes[i, 0], 0.0) * (cols / width), min(boxes[i, 2], width) * (cols / width)
        y0, y1 = max(boxes[i, 1], 0.0) * (rows / height), min(boxes[i, 3], height) * (rows / height)
        attended = whole = 0.0
        if x1 > x0 and y1 > y0:
            whole = (x1 - x0) * (y1 - y0)
            for row in range(int(y0), min(int(np.ceil(y1)), rows)):
                line = 0.0
                for col in range(int(x0), min(int(np.ceil(x1)), cols)):
                    if keep[row, col]:
                        line += min(x1, col + 1.0) - max(x0, float(col))
                attended += line * (min(y1, row + 1.0) - max(y0, float(row)))
        share[i] = attended / whole if whole > 0.0 else 0.0
