"""The region grid: between input pixels, regions and boxes.

Which objects a mask looks at.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..jit.cache import kernel

REGION_PX = 16


@dataclass(frozen=True)
class RegionGrid:
    """A network input cut into squares of ``region_px`` pixels: ``rows`` x ``cols`` regions.

    >>> RegionGrid.of_input((704, 224))
    RegionGrid(rows=14, cols=44, region_px=16)
    """

    rows: int
    cols: int
    region_px: int = REGION_PX

    @classmethod
    def of_input(cls, input_wh: tuple[int, int], region_px: int = REGION_PX) -> RegionGrid:
        """The grid of an input of that width and height. Raises ValueError when regions do not tile it."""
        width, height = input_wh
        if width % region_px or height % region_px:
            raise ValueError(f"regions of {region_px} pixels do not tile an input of {width}x{height}")
        return cls(height // region_px, width // region_px, region_px)

    @property
    def shape(self) -> tuple[int, int]:
        return self.rows, self.cols

    def full(self, attended: bool) -> np.ndarray:
        """bool [rows, cols], all attended or all masked."""
        return np.full(self.shape, attended)

    def cover(self, boxes: np.ndarray, image_wh: tuple[int, int], ring: int = 0) -> np.ndarray:
        """Regions that boxes touch, each box widened by ``ring`` regions on every side.

        boxes: float [n, 4], x0 y0 x1 y1 in pixels of a picture of ``image_wh``, which the grid covers as a whole.
        Returns bool [rows, cols]. A box whose edge lies exactly on a border touches only the region inside it; a box
        outside the picture, or without area, touches nothing.
        """
        keep = np.zeros(self.shape, bool)
        width, height = image_wh
        _cover(np.ascontiguousarray(boxes, np.float64).reshape(-1, 4), float(width), float(height), ring, keep)
        return keep

    def spans(self, boxes: np.ndarray, image_wh: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """First and end (column, row) of the regions that each box touches, int64 [n, 2] both, ends excluded.

        boxes: as for ``cover``. The third array, bool [n], is False for boxes without area inside the picture.
        """
        width, height = image_wh
        boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
        clipped = np.minimum(np.maximum(boxes, 0.0), (width, height) * 2)
        scaled = clipped * ((self.cols / width, self.rows / height) * 2)
        # Nothing is below 0, where integers would be rounded up.
        low, high = scaled[:, :2].astype(np.int64), np.ceil(scaled[:, 2:]).astype(np.int64)
        return low, high, (clipped[:, 2] > clipped[:, 0]) & (clipped[:, 3] > clipped[:, 1])


@kernel
def _cover(boxes, width, height, ring, keep):
    rows, cols = keep.shape
    across, down = cols / width, rows / height
    for i in range(len(boxes)):
        x0, x1 = min(max(boxes[i, 0], 0.0), width), min(max(boxes[i, 2], 0.0), width)
        y0, y1 = min(max(boxes[i, 1], 0.0), height), min(max(boxes[i, 3], 0.0), height)
        if x1 > x0 and y1 > y0:
            keep[max(int(y0 * down) - ring, 0):int(np.ceil(y1 * down)) + ring,
                 max(int(x0 * across) - ring, 0):int(np.ceil(x1 * across)) + ring] = True


OBSERVED_SHARE = 0.5
"""An object is looked at when at least this share of its box is attended."""


def is_observed(boxes: np.ndarray, keep: np.ndarray, image_wh: tuple[int, int]) -> np.ndarray:
    """bool [n]. boxes: float [n, 4], x0 y0 x1 y1 in pixels of a picture of ``image_wh``. keep: bool [rows, cols].

    Where everything is attended, or nothing, that holds for boxes outside the picture, too.
    """
    boxes = np.ascontiguousarray(boxes, np.float64).reshape(-1, 4)
    looked, (width, height) = np.empty(len(boxes), bool), image_wh
    _look(boxes, np.ascontiguousarray(keep), float(width), float(height), looked)
    return looked


def coverage(boxes: np.ndarray, keep: np.ndarray, image_wh: tuple[int, int]) -> np.ndarray:
    """float64 [n]: the share of each box's area that is attended; 0 for a box without area in the picture."""
    boxes = np.ascontiguousarray(boxes, np.float64).reshape(-1, 4)
    share, (width, height) = np.empty(len(boxes)), image_wh
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
        looked[i] = share[i] >= OBSERVED_SHARE


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
