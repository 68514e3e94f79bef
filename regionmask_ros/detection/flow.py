"""Where the picture has moved: optical flow inside boxes, on a coarse copy of the camera's picture.

A box whose regions rest goes with what it shows. A few points a box and a picture of a sixteenth of the pixels are
enough for that, and cost a tenth of a millisecond.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from ..engine.kernel_cache import kernel

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


class Coarse:
    """A coarse copy of a picture, uint8 [height, width, 3]. It is made when it is first asked for: until then, the
    picture must stay as it is."""

    def __init__(self, pixels: np.ndarray) -> None:
        self._pixels = pixels

    @cached_property
    def picture(self) -> np.ndarray:
        """uint8 [height / STEP, width / STEP]: every fourth pixel's green, the middle channel in any order."""
        picture, self._pixels = np.ascontiguousarray(self._pixels[::STEP, ::STEP, 1]), None
        return picture

    def make(self) -> None:
        """Now, because the picture is at hand."""
        _ = self.picture


@dataclass(frozen=True)
class Motion:
    """The pictures of two frames that follow each other."""

    before: Coarse
    now: Coarse

    def of(self, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How far what each box showed has moved, float64 [n, 2] in picture pixels, and by what factor it has grown,
        float64 [n]; nan and 1 where that cannot be told.

        boxes: float [n, 4], x0 y0 x1 y1 in picture pixels, in the first of the two pictures.
        """
        unknown = np.full((len(boxes), 2), np.nan), np.ones(len(boxes))
        if not len(boxes):
            return unknown
        before, now = self.before.picture, self.now.picture
        if before.shape != now.shape or min(now.shape) < 2 * _WINDOW[0]:
            return unknown
        boxes = np.asarray(boxes, np.float64)
        start = (boxes[:, None, :2] + _PLACES * (boxes[:, None, 2:] - boxes[:, None, :2])) / STEP
        end, found, _ = cv2.calcOpticalFlowPyrLK(
            before, now, start.astype(np.float32).reshape(-1, 1, 2), None,
            winSize=_WINDOW, maxLevel=_LEVELS, criteria=_STOP)
        shift, growth = unknown
        _tell(start, end.reshape(start.shape), found.reshape(start.shape[:2]), shift, growth)
        return shift, growth


@kernel
def _tell(start, end, found, shift, growth):
    """Medians over points and over pairs of them; leaves shift [n, 2] and growth [n] as they are where too few are found.

    start: float64 [n, points, 2], end: float32 [n, points, 2], coarse pixels. found: uint8 [n, points].
    """
    values = np.empty(max(found.shape[1], len(PAIRS)))
    for i in range(len(start)):
        for axis in range(2):
            count = 0
            for k in range(found.shape[1]):
                if found[i, k]:
                    values[count] = (end[i, k, axis] - start[i, k, axis]) * STEP
                    count += 1
            if count >= LEAST_POINTS:
                shift[i, axis] = _median(values, count)
        count = 0
        for k in range(len(PAIRS)):
            a, b = PAIRS[k, 0], PAIRS[k, 1]
            if found[i, a] and found[i, b]:
                before = (start[i, a, 0] - start[i, b, 0]) ** 2 + (start[i, a, 1] - start[i, b, 1]) ** 2
                # Of numbers, not of their difference in 32 bits.
                across, down = float(end[i, a, 0]) - float(end[i, b, 0]), float(end[i, a, 1]) - float(end[i, b, 1])
                values[count] = np.sqrt((across**2 + down**2) / max(before, 1e-9))
                count += 1
        if count >= LEAST_PAIRS:
            growth[i] = min(max(_median(values, count), 1.0 - MOST_GROWTH), 1.0 + MOST_GROWTH)


@kernel
def _median(values, count):
    """Of the first so many, at least one; they are sorted."""
    for k in range(1, count):
        value, place = values[k], k
        while place > 0 and values[place - 1] > value:
            values[place] = values[place - 1]
            place -= 1
        values[place] = value
    return (values[(count - 1) // 2] + values[count // 2]) / 2.0
