"""Where a label goes, so that it hides neither an object nor another label."""

from __future__ import annotations

from typing import Sequence

import numpy as np

LABEL_COST = 4.0
OBJECT_COST = 1.0
ORDER_COST = 0.02
"""What one label's full area is worth on top of other labels, on top of objects, and for each step down the list."""


def place_labels(
    boxes: np.ndarray, sizes_wh: Sequence[tuple[int, int]], picture_wh: tuple[int, int], top: int = 0
) -> np.ndarray:
    """Chooses a place for each box's label, the first box first.

    boxes: int [n, 4], x0 y0 x1 y1 inside the picture. sizes_wh: width and height of each label in pixels.
    top: rows at the top of the picture that are taken.
    Returns int64 [n, 4]: x0 y0 x1 y1 of the labels, inside the picture as far as they fit into it at all.

    The usual place is above the box, flush left. Where that covers something, or there is no room, it is above flush
    right, below, beside it, and last inside at the top. The place with the least cover wins.
    """
    boxes = np.asarray(boxes, np.int64).reshape(-1, 4)
    placed = np.zeros_like(boxes)
    for index, (box, size) in enumerate(zip(boxes, sizes_wh)):
        places = _places(box, size, picture_wh, top)
        area = max(1, size[0] * size[1])
        cost = LABEL_COST * _cover(places, placed[:index]) + OBJECT_COST * _cover(places, boxes)
        placed[index] = places[np.argmin(cost / area + ORDER_COST * np.arange(len(places)))]
    return placed


def _places(box: np.ndarray, size_wh: tuple[int, int], picture_wh: tuple[int, int], top: int) -> np.ndarray:
    """int64 [7, 4]: candidates in order of preference, pushed into the picture."""
    x0, y0, x1, y1 = box.tolist()
    width, height = size_wh
    corners = np.array(
        [
            (x0, y0 - height),
            (x1 - width, y0 - height),
            (x0, y1),
            (x1 - width, y1),
            (x1, y0),
            (x0 - width, y0),
            (x0, y0),
        ],
        np.int64,
    )
    room = np.array([max(0, picture_wh[0] - width), max(0, picture_wh[1] - height)])
    corners = np.minimum(np.maximum(corners, (0, min(top, int(room[1])))), room)
    return np.hstack([corners, corners + size_wh])


def _cover(places: np.ndarray, rectangles: np.ndarray) -> np.ndarray:
    """float [places]: pixels of each place that lie on rectangles, summed over the rectangles."""
    low = np.maximum(places[:, None, :2], rectangles[None, :, :2])
    high = np.minimum(places[:, None, 2:], rectangles[None, :, 2:])
    return np.maximum(high - low, 0).prod(axis=2).sum(axis=1).astype(np.float64)
