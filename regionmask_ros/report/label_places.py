"""Where the labels of boxes are drawn: they hide little, and stay where they were."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

LABEL_COST = 8.0
OBJECT_COST = 0.5
ORDER_COST = 0.02
"""Cost of a label whose full area covers other labels, covers objects, and for each step down the list of places."""

MOVE_COST = 0.6
"""Cost of a place where the label was not before: a label that moves is worse than one that hides a little."""

NEW = -1
"""Place of a label that was not drawn before."""


def place_labels(boxes: np.ndarray, sizes_wh: Sequence[tuple[int, int]], image_wh: tuple[int, int], top: int = 0,
                 before: Sequence[int] | None = None) -> tuple[np.ndarray, list[int]]:
    """Chooses a place for the label of each box, the first box first.

    The place of the lowest cost is chosen. In order of preference: above the box, aligned left or right; below it;
    beside it; inside at the top.

    Args:
        boxes: int [n, 4], x0, y0, x1, y1, inside the image.
        sizes_wh: Width and height of each label in pixels.
        image_wh: Width and height of the image.
        top: Rows at the top of the image that are not free.
        before: The place of each label in the frame before, as returned, or NEW. None: all are new.

    Returns:
        int64 [n, 4], x0, y0, x1, y1 of the labels, inside the image if they fit; and the number of each place.
    """
    boxes = np.asarray(boxes, np.int64).reshape(-1, 4)
    if not len(boxes):
        return np.zeros((0, 4), np.int64), []
    sizes = np.asarray(sizes_wh, np.int64)
    places = _places(boxes, sizes, image_wh, top)
    areas = np.maximum(sizes.prod(axis=1), 1)
    count = places.shape[1]
    costs = OBJECT_COST * _cover(places.reshape(-1, 4), boxes).sum(axis=1).reshape(-1, count) / areas[:, None]
    costs += ORDER_COST * np.arange(count)
    if before is not None:
        stays = np.asarray(before)[:, None]
        costs += np.where((stays != NEW) & (stays != np.arange(count)), MOVE_COST, 0.0)
    chosen: list[int] = []
    placed = np.empty_like(boxes)
    for index in range(len(boxes)):
        cost = costs[index]
        if index:
            cost = cost + LABEL_COST * _cover(places[index], placed[:index]).sum(axis=1) / areas[index]
        chosen.append(int(np.argmin(cost)))
        placed[index] = places[index, chosen[-1]]
    return placed, chosen


def _places(boxes: np.ndarray, sizes: np.ndarray, image_wh: tuple[int, int], top: int) -> np.ndarray:
    """Candidates in order of preference, moved into the image: int64 [n, 7, 4]."""
    x0, y0, x1, y1 = boxes.T
    width, height = sizes.T
    across = np.stack([x0, x1 - width, x0, x1 - width, x1, x0 - width, x0], axis=1)
    down = np.stack([y0 - height, y0 - height, y1, y1, y0, y0, y0], axis=1)
    room_x, room_y = np.maximum(image_wh[0] - width, 0)[:, None], np.maximum(image_wh[1] - height, 0)[:, None]
    across = np.minimum(np.maximum(across, 0), room_x)
    down = np.minimum(np.maximum(down, np.minimum(top, room_y)), room_y)
    return np.stack([across, down, across + width[:, None], down + height[:, None]], axis=2)


def _cover(places: np.ndarray, rectangles: np.ndarray) -> np.ndarray:
    """Pixels of each place that lie on each rectangle: int64 [places, rectangles]."""
    across = np.minimum(places[:, 2:3], rectangles[:, 2]) - np.maximum(places[:, 0:1], rectangles[:, 0])
    down = np.minimum(places[:, 3:4], rectangles[:, 3]) - np.maximum(places[:, 1:2], rectangles[:, 1])
    pixels: np.ndarray = np.maximum(across, 0) * np.maximum(down, 0)
    return pixels
