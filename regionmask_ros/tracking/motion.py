"""How the image moves: optical flow inside boxes, on a downsampled copy of the camera's image.

A box whose regions are masked moves with what it shows. A few points a box and an image of some 160 pixels across are
enough for that, and cost a tenth of a millisecond.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numba.core import config

from ..jit.cache import Whole, kernel

SMALL_SIDES, LEAST_STEP = (160, 90), 4
"""The longer and the shorter side of the downsampled image, at least, and the least number of image pixels between
those that are used. In a smaller one, boxes follow less exactly: on clips of 640x360 pixels, presets lost half a point
more with 107x60."""

SIDE = (0.2, 0.5, 0.8)
"""Where the points lie along each side of a box, in shares of it: nine in all, row by row."""

PAIRS = np.array([(0, 2), (6, 8), (3, 5), (0, 6), (2, 8), (1, 7), (0, 8), (2, 6)])
"""Opposite points: how their distances change shows how the object grows."""

LEAST_POINTS, LEAST_PAIRS = 4, 3
"""Numbers that must be found again; otherwise the shift, or the growth, is not known."""

MAX_GROWTH = 0.15
"""Of a box's size in a frame. What seems to grow faster is a background that shows through."""

_ACROSS, _DOWN = np.meshgrid(SIDE, SIDE)
_PLACES = np.stack([_ACROSS.ravel(), _DOWN.ravel()], axis=1)
_LINES = 8
"""Lines that are read side by side. A camera's image lies far from the processor, and memory serves many reads at a
time: one line after the other takes three times as long."""

CHANGED_BY = 12
"""Gray values of 255 by which a pixel must change between two frames to count as changed: well above a camera's
noise."""

UNKNOWN = math.inf
"""As the largest shift to expect: nothing is known of it."""

MIN_LEVELS, MAX_LEVELS = 1, 3
"""Times that the images are halved. Each time doubles the distance in which a point is found. More than three find
nothing more in images of 640 to 1280 pixels, whose coarsest level is then as large as a few windows."""

RESERVE = 2.0
"""Times the largest shift of the frame before that a point may have moved now: what moves may gain speed."""

MAX_RETURN = 1.0
"""Pixels of the downsampled image. A point that is not within this distance of its start when it is followed back was
lost. Far from its start, a point finds something similar too easily; near it, the test finds nothing and costs time,
so it is made only where more than ``MIN_LEVELS`` are searched."""

_WINDOW = (9, 9)
_STOP = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 5, 0.03)


@dataclass(frozen=True)
class OpticalFlow:
    """The motion between two frames that follow each other.

    Attributes:
        before: The first frame's image, as ``downsample`` gives it.
        now: The second frame's.
        step: Image pixels between their pixels, see ``choose_step``.
        reach: The largest shift of a box in the frame before, in image pixels, or ``UNKNOWN``. It decides how far
            points are searched.
    """

    before: np.ndarray
    now: np.ndarray
    step: int = LEAST_STEP
    reach: float = UNKNOWN

    @classmethod
    def between(cls, before: np.ndarray | None, now: np.ndarray | None, image_wh: tuple[int, int], reach: float
                ) -> OpticalFlow | None:
        """The motion between two frames of a camera.

        Args:
            before: The first frame's image, as ``downsample`` gives it; None where it is not known.
            now: The second frame's.
            image_wh: Width and height of the camera's images.
            reach: See above.

        Returns:
            None where an image is not known.
        """
        return None if before is None or now is None else cls(before, now, choose_step(image_wh), reach)

    def of(self, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Measures how far what each box shows has moved, and how it has grown (Lucas and Kanade, pyramidal).

        Args:
            boxes: float [n, 4], x0 y0 x1 y1 in image pixels, in the first of the two images.

        Returns:
            Shift, float64 [n, 2] in image pixels, nan where it is not known; and the factor of the size, float64 [n],
            1 where it is not known.
        """
        shift, growth = np.full((len(boxes), 2), np.nan), np.ones(len(boxes))
        if not len(boxes) or self.before.shape != self.now.shape or min(self.now.shape) < 2 * _WINDOW[0]:
            return shift, growth
        start, points = np.empty((len(boxes), len(_PLACES), 2)), np.empty((len(boxes) * len(_PLACES), 1, 2), np.float32)
        _place_points(np.ascontiguousarray(boxes, np.float64), self.step, start, points)
        levels = choose_levels(self.reach, self.step)
        end, found = _follow(self.before, self.now, points, levels)
        if levels > MIN_LEVELS:
            back, found_back = _follow(self.now, self.before, end, levels)
            _drop_lost(points, back, found_back, found)
        _take_medians(start, end.reshape(start.shape).astype(np.float64), found.reshape(start.shape[:2]),
                      self.step, shift, growth)
        return shift, growth


def choose_step(image_wh: tuple[int, int]) -> int:
    """Image pixels between those of the downsampled image, along both sides.

    Args:
        image_wh: Width and height of the image.

    Returns:
        At least ``LEAST_STEP``.
    """
    return max(LEAST_STEP, min(max(image_wh) // SMALL_SIDES[0], min(image_wh) // SMALL_SIDES[1]))


def choose_levels(reach: float, step: int) -> int:
    """How often the images are halved so that points are found.

    Half a window is about what Lucas and Kanade's method can bridge on one level.

    Args:
        reach: As in ``OpticalFlow``.
        step: Likewise.

    Returns:
        ``MIN_LEVELS`` to ``MAX_LEVELS``.
    """
    near = _WINDOW[0] // 2 * step
    return next((levels for levels in range(MIN_LEVELS, MAX_LEVELS) if RESERVE * reach <= near << levels), MAX_LEVELS)


def _follow(before: np.ndarray, now: np.ndarray, points: np.ndarray, levels: int) -> tuple[np.ndarray, np.ndarray]:
    """Where points are in the second image, float32 [n, 1, 2], and whether they were found, uint8 [n, 1]."""
    end, found, _ = cv2.calcOpticalFlowPyrLK(
        before, now, points, None, winSize=_WINDOW, maxLevel=levels, criteria=_STOP)  # type: ignore[call-overload]
    return end, found


def downsample(pixels: np.ndarray) -> np.ndarray:
    """Green, which is the middle channel in any order, of some pixels of a grid, see ``choose_step``.

    Args:
        pixels: uint8 [height, width, 3], contiguous.

    Returns:
        uint8 [ceil(height / step), ceil(width / step)].
    """
    step = choose_step((pixels.shape[1], pixels.shape[0]))
    if config.DISABLE_JIT:
        # Loops in plain Python would take longer than all the rest.
        return np.ascontiguousarray(pixels[::step, ::step, 1])
    image = np.empty((-(-pixels.shape[0] // step), -(-pixels.shape[1] // step)), np.uint8)
    _downsample(pixels, step, image)
    return image


@kernel
def _downsample(pixels: np.ndarray, step: int, image: np.ndarray) -> None:
    height, width = image.shape
    together = height - height % _LINES
    for y in range(0, together, _LINES):
        for x in range(width):
            for line in range(_LINES):
                image[y + line, x] = pixels[(y + line) * step, x * step, 1]
    for y in range(together, height):
        for x in range(width):
            image[y, x] = pixels[y * step, x * step, 1]


def share_changed(before: np.ndarray, now: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """How much of each cell of a grid has changed between two images.

    Args:
        before: uint8 [height, width], as ``downsample`` gives it.
        now: The same of another frame.
        shape: Rows and columns of the grid, which covers the images as a whole.

    Returns:
        float32 [rows, cols], share of a cell's area whose pixels differ by more than ``CHANGED_BY``.
    """
    share = np.empty(shape, np.float32)
    _share_changed(before, now, share)
    return share


@kernel
def _share_changed(before: np.ndarray, now: np.ndarray, share: np.ndarray) -> None:
    height, width = now.shape
    rows, cols = share.shape
    # Cells of these sides, in units of which a pixel is as many high as there are rows, and as many wide as columns.
    column = np.empty(width, np.int32)
    for row in range(rows):
        top, bottom = row * height, (row + 1) * height
        column[:] = 0
        for y in range(top // rows, -(-bottom // rows)):
            part = np.int32(min(bottom, (y + 1) * rows) - max(top, y * rows))
            for x in range(width):
                changed = abs(np.int32(now[y, x]) - np.int32(before[y, x])) > CHANGED_BY
                column[x] += part if changed else np.int32(0)
        for col in range(cols):
            left, right, total = col * width, (col + 1) * width, 0
            for x in range(left // cols, -(-right // cols)):
                total += column[x] * (min(right, (x + 1) * cols) - max(left, x * cols))
            share[row, col] = total / (width * height)


@kernel
def _place_points(boxes: np.ndarray, step: int, start: np.ndarray, points: np.ndarray) -> None:
    """Writes the points of boxes, float64 [n, points, 2], and the same as float32 [n * points, 1, 2]."""
    for i in range(len(boxes)):
        for k in range(len(_PLACES)):
            for axis in range(2):
                side = boxes[i, axis + 2] - boxes[i, axis]
                start[i, k, axis] = (boxes[i, axis] + _PLACES[k, axis] * side) / step
                points[i * len(_PLACES) + k, 0, axis] = start[i, k, axis]


@kernel
def _drop_lost(points: np.ndarray, back: np.ndarray, found_back: np.ndarray, found: np.ndarray) -> None:
    """Clears ``found``, uint8 [n, 1], of points that are not back at their start; both float32 [n, 1, 2]."""
    for k in range(len(points)):
        far = max(abs(back[k, 0, 0] - points[k, 0, 0]), abs(back[k, 0, 1] - points[k, 0, 1]))
        if not (found_back[k, 0] and far <= MAX_RETURN):
            found[k, 0] = 0


@kernel
def _take_medians(start: np.ndarray, end: np.ndarray, found: np.ndarray, step: int, shift: np.ndarray,
                  growth: np.ndarray) -> None:
    """Medians over points, and over pairs of them.

    Args:
        start: float64 [n, points, 2], in pixels of the downsampled image.
        end: The same points in the second image.
        found: uint8 [n, points], whether a point was found again.
        step: Image pixels between these pixels.
        shift: float64 [n, 2], written where enough points were found.
        growth: float64 [n], written where enough pairs were found.
    """
    values = np.empty(max(found.shape[1], len(PAIRS)))
    for i in range(len(start)):
        for axis in range(2):
            # A plain 0 would be a type of its own, and compiled for.
            count = np.int64(0)
            for k in range(found.shape[1]):
                if found[i, k]:
                    values[count] = (end[i, k, axis] - start[i, k, axis]) * step
                    count += 1
            if count >= LEAST_POINTS:
                shift[i, axis] = _median(values, count)
        count = np.int64(0)
        for k in range(len(PAIRS)):
            a, b = PAIRS[k, 0], PAIRS[k, 1]
            if found[i, a] and found[i, b]:
                before = (start[i, a, 0] - start[i, b, 0]) ** 2 + (start[i, a, 1] - start[i, b, 1]) ** 2
                after = (end[i, a, 0] - end[i, b, 0]) ** 2 + (end[i, a, 1] - end[i, b, 1]) ** 2
                values[count] = np.sqrt(after / max(before, 1e-9))
                count += 1
        if count >= LEAST_PAIRS:
            growth[i] = min(max(_median(values, count), 1.0 - MAX_GROWTH), 1.0 + MAX_GROWTH)


@kernel
def _median(values: np.ndarray, count: Whole) -> float:
    """Of the first ``count`` values, at least one; they are sorted."""
    for k in range(1, count):
        value, place = values[k], k
        while place > 0 and values[place - 1] > value:
            values[place] = values[place - 1]
            place -= 1
        values[place] = value
    median: float = (values[(count - 1) // 2] + values[count // 2]) / 2.0
    return median
