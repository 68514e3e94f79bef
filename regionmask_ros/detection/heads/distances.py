"""Boxes from the distances between a cell's point and the box's four sides, each given as a distribution.

For the cell in column gx and row gy of a level with stride s, the point is (gx + offset) s, (gy + offset) s. A side's
distance is s times the mean of 0, 1, 2, ... under the softmax of its numbers. Source: Li et al., Generalized Focal
Loss, 2020, section 3.2.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from .base import MOST_CANDIDATES, Candidates
from .grid import corners_and_strides
from .select import logit, select_best, sigmoid, softmax

FEWEST_BINS, MOST_BINS = 5, 33
"""Numbers of one side: 8 in NanoDet and PicoDet, 16 in YOLOv8."""


LARGEST_POWER = 60.0
"""Beyond this, no number of a distribution lies; boxes in pixels do."""


def could_be_distributions(rows: np.ndarray) -> bool:
    """Whether float [cells, channels] can be the distributions of four distances, before the softmax."""
    channels = rows.shape[1]
    if channels % 4 or not FEWEST_BINS <= channels // 4 <= MOST_BINS:
        return False
    low, high = rows.min(axis=0), rows.max(axis=0)
    scores_only = (low >= -0.001) & (high <= 1.001)
    return bool(scores_only.mean() < 0.1 and max(-low.min(), high.max()) < LARGEST_POWER)


def read_distances(parts: Iterable[tuple[np.ndarray, np.ndarray]], input_wh: tuple[int, int], strides: tuple[int, ...],
                   offset: float, lowest: float, are_logits: bool) -> Candidates:
    """Reads the boxes of cells with scores and distances.

    Args:
        parts: Scores [cells, classes] and distances of some cells: float [cells, 4], in strides, or [cells, 4 * bins],
            the numbers of each side's distribution, sides in the order left, top, right, bottom. All parts together
            hold all cells of all levels in order.
        input_wh: Width and height of the input.
        strides: Of the levels.
        offset: Of a cell's point from its upper left corner, in strides.
        lowest: Lowest score that is kept.
        are_logits: Whether scores are still to go through a sigmoid.

    Returns:
        The boxes, not more than ``MOST_CANDIDATES``; at a ``lowest`` of 0 those of all cells in order.
    """
    limit, first, chosen = logit(lowest) if are_logits else lowest, 0, []
    for scores, distances in parts:
        index, best, classes = select_best(scores, limit)
        chosen.append((index + first, best, classes, distances[index]))
        first += len(scores)
    index, best, classes, near = (np.concatenate(values) for values in zip(*chosen))
    if len(index) > MOST_CANDIDATES and lowest > 0.0:
        top = np.argpartition(best, -MOST_CANDIDATES)[-MOST_CANDIDATES:]
        index, best, classes, near = index[top], best[top], classes[top], near[top]
    if near.shape[1] > 4:
        bins = near.shape[1] // 4
        shares = softmax(np.ascontiguousarray(near.reshape(-1, bins).T))
        near = (np.arange(bins, dtype=np.float32) @ shares).reshape(-1, 4)
    corners, widths = (values[index] for values in corners_and_strides(input_wh, strides))
    points, near = corners + np.float32(offset) * widths, near * widths
    boxes = np.concatenate([points - near[:, :2], points + near[:, 2:]], axis=1, dtype=np.float32)
    return Candidates(boxes, sigmoid(best) if are_logits else best, classes.astype(np.int32))
