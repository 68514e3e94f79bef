"""Where the picture has moved: optical flow inside boxes, on a coarse copy of the camera's picture.

A box whose regions rest goes with what it shows. A few points a box and a picture of a sixteenth of the pixels are
enough for that, and cost a tenth of a millisecond.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

STEP = 4
"""Picture pixels between the pixels that are looked at, along both sides."""

SIDE = (0.2, 0.5, 0.8)
"""Where the points lie along each side of a box, in shares of it: nine in all, row by row."""

PAIRS = np.array([(0, 2), (6, 8), (3, 5), (0, 6), (2, 8), (1, 7), (0, 8), (2, 6)])
"""Of those, opposite ones: how their distances change tells how the object grows."""

LEAST_POINTS, LEAST_PAIRS = 4, 3
"""So many must be found again, or nothing is told."""

MOST_GROWTH = 0.15
"""Of a box's size in a frame. What seems to grow faster is a background that shows through."""

_ACROSS, _DOWN = np.meshgrid(SIDE, SIDE)
_PLACES = np.stack([_ACROSS.ravel(), _DOWN.ravel()], axis=1)
_WINDOW, _LEVELS = (9, 9), 1
_STOP = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 5, 0.03)


@dataclass(frozen=True)
class Motion:
    """The pictures of two frames that follow each other, as ``coarse`` gives them."""

    before: np.ndarray
    now: np.ndarray

    def of(self, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How far what each box showed has moved, float64 [n, 2] in picture pixels, and by what factor it has grown,
        float64 [n]; nan and 1 where that cannot be told.

        boxes: float [n, 4], x0 y0 x1 y1 in picture pixels, in the first of the two pictures.
        """
        if not len(boxes) or self.before.shape != self.now.shape or min(self.now.shape) < 2 * _WINDOW[0]:
            return np.full((len(boxes), 2), np.nan), np.ones(len(boxes))
        boxes = np.asarray(boxes, np.float64)
        start = (boxes[:, None, :2] + _PLACES * (boxes[:, None, 2:] - boxes[:, None, :2])) / STEP
        end, found, _ = cv2.calcOpticalFlowPyrLK(
            self.before, self.now, start.astype(np.float32).reshape(-1, 1, 2), None,
            winSize=_WINDOW, maxLevel=_LEVELS, criteria=_STOP)
        end, known = end.reshape(start.shape).astype(np.float64), found.reshape(start.shape[:2]) > 0
        shift = _median((end - start) * STEP, known, LEAST_POINTS)
        return shift, _growth(start, end, known)


def coarse(pixels: np.ndarray) -> np.ndarray:
    """uint8 [height / STEP, width / STEP]: every fourth pixel's green, which is the middle channel in any order."""
    return np.ascontiguousarray(pixels[::STEP, ::STEP, 1])


def _growth(start: np.ndarray, end: np.ndarray, known: np.ndarray) -> np.ndarray:
    one, other = PAIRS.T
    before, after = start[:, one] - start[:, other], end[:, one] - end[:, other]
    ratio = np.sqrt((after**2).sum(axis=2) / np.maximum((before**2).sum(axis=2), 1e-9))
    growth = _median(ratio[..., None], known[:, one] & known[:, other], LEAST_PAIRS)[:, 0]
    return np.clip(np.where(np.isnan(growth), 1.0, growth), 1.0 - MOST_GROWTH, 1.0 + MOST_GROWTH)


def _median(values: np.ndarray, known: np.ndarray, least: int) -> np.ndarray:
    """float64 [n, k] of [n, points, k]: the median of those points that are known; nan where these are too few."""
    count = known.sum(axis=1)
    ordered = np.sort(np.where(known[..., None], values, np.inf), axis=1)
    rows, last = np.arange(len(values)), values.shape[1] - 1
    low, high = ordered[rows, np.maximum(count - 1, 0) // 2], ordered[rows, np.minimum(count // 2, last)]
    return np.where((count >= least)[:, None], (low + high) / 2.0, np.nan)
