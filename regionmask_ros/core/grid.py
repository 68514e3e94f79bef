"""The region grid: between input pixels, regions and boxes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..jit.cache import kernel

REGION_PX = 16

OBSERVED_SHARE = 0.5
"""A box is observed when at least this share of its area is observed."""


@dataclass(frozen=True)
class RegionGrid:
    """A network input cut into square regions.

    >>> RegionGrid.of_input((704, 224))
    RegionGrid(rows=14, cols=44, region_px=16)

    Attributes:
        rows: Number of rows of regions.
        cols: Number of columns of regions.
        region_px: Side of a region in input pixels.
    """

    rows: int
    cols: int
    region_px: int = REGION_PX

    @classmethod
    def of_input(cls, input_wh: tuple[int, int], region_px: int = REGION_PX) -> RegionGrid:
        """Cuts an input into regions.

        Args:
            input_wh: Width and height of the input.
            region_px: Side of a region.

        Returns:
            The grid.

        Raises:
            ValueError: Regions do not tile the input.
        """
        width, height = input_wh
        if width % region_px or height % region_px:
            raise ValueError(f"regions of {region_px} pixels do not tile an input of {width}x{height}")
        return cls(height // region_px, width // region_px, region_px)

    @classmethod
    def near_input(cls, input_wh: tuple[int, int], region_px: int = REGION_PX) -> RegionGrid:
        """As ``of_input``, with regions that are a little narrower or lower where squares do not tile the input."""
        width, height = input_wh
        return cls(-(-height // region_px), -(-width // region_px), region_px)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.rows, self.cols

    def full(self, attended: bool) -> np.ndarray:
        """A mask that observes all regions, or none: bool [rows, cols]."""
        return np.full(self.shape, attended)

    def cover(self, boxes: np.ndarray, image_wh: tuple[int, int], ring: int = 0) -> np.ndarray:
        """Finds the regions that boxes touch.

        A box whose edge lies exactly on a border touches only the region inside it. A box outside the image, or without
        area, touches nothing.

        Args:
            boxes: float [n, 4], x0 y0 x1 y1 in image pixels.
            image_wh: Width and height of the image, which the grid covers as a whole.
            ring: Regions by which each box is widened on every side.

        Returns:
            bool [rows, cols].
        """
        keep = np.zeros(self.shape, bool)
        width, height = image_wh
        _cover(_as_boxes(boxes), float(width), float(height), ring, keep)
        return keep

    def spans(self, boxes: np.ndarray, image_wh: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Finds the rectangle of regions that each box touches.

        Args:
            boxes: As for ``cover``.
            image_wh: As for ``cover``.

        Returns:
            First (column, row) and the (column, row) behind the last, int64 [n, 2] each; and bool [n], False for boxes
            without area inside the image.
        """
        boxes, (width, height) = _as_boxes(boxes), image_wh
        spans, visible = np.empty((len(boxes), 4), np.int64), np.empty(len(boxes), bool)
        _spans(boxes, float(width), float(height), self.rows, self.cols, spans, visible)
        return spans[:, :2], spans[:, 2:], visible


def is_observed(boxes: np.ndarray, keep: np.ndarray, image_wh: tuple[int, int]) -> np.ndarray:
    """Finds boxes of which at least ``OBSERVED_SHARE`` is observed.

    Where everything is observed, or nothing, that holds for boxes outside the image, too.

    Args:
        boxes: float [n, 4], x0 y0 x1 y1 in image pixels.
        keep: bool [rows, cols], True = observed.
        image_wh: Width and height of the image.

    Returns:
        bool [n].
    """
    boxes, (width, height) = _as_boxes(boxes), image_wh
    observed = np.empty(len(boxes), bool)
    _find_observed(boxes, np.ascontiguousarray(keep), float(width), float(height), observed)
    return observed


def coverage(boxes: np.ndarray, keep: np.ndarray, image_wh: tuple[int, int]) -> np.ndarray:
    """Share of each box's area inside the image that is observed.

    Args:
        boxes: float [n, 4], x0 y0 x1 y1 in image pixels.
        keep: bool [rows, cols], True = observed.
        image_wh: Width and height of the image.

    Returns:
        float64 [n], 0 to 1; 0 for a box without area in the image.
    """
    boxes, (width, height) = _as_boxes(boxes), image_wh
    share = np.empty(len(boxes))
    share_observed(boxes, np.ascontiguousarray(keep), float(width), float(height), share)
    return share


def _as_boxes(boxes: np.ndarray) -> np.ndarray:
    """The boxes as kernels want them: float64 [n, 4], contiguous."""
    return np.ascontiguousarray(boxes, np.float64).reshape(-1, 4)


@kernel
def box_in_grid(boxes: np.ndarray, i: int, width: float, height: float, rows: int, cols: int
                ) -> tuple[float, float, float, float, bool]:
    """Converts a box to units of regions, clipped to the image.

    It touches the columns from floor(x0) to below ceil(x1), and the rows likewise.

    Args:
        boxes: float64 [n, 4], in image pixels.
        i: Index of the box.
        width: Of the image.
        height: Of the image.
        rows: Of the grid.
        cols: Of the grid.

    Returns:
        x0, y0, x1, y1, and whether the box has area in the image.
    """
    x0, x1 = min(max(boxes[i, 0], 0.0), width), min(max(boxes[i, 2], 0.0), width)
    y0, y1 = min(max(boxes[i, 1], 0.0), height), min(max(boxes[i, 3], 0.0), height)
    across, down = cols / width, rows / height
    return x0 * across, y0 * down, x1 * across, y1 * down, x1 > x0 and y1 > y0


@kernel
def _cover(boxes: np.ndarray, width: float, height: float, ring: int, keep: np.ndarray) -> None:
    rows, cols = keep.shape
    for i in range(len(boxes)):
        x0, y0, x1, y1, visible = box_in_grid(boxes, i, width, height, rows, cols)
        if visible:
            keep[max(int(y0) - ring, 0):int(np.ceil(y1)) + ring, max(int(x0) - ring, 0):int(np.ceil(x1)) + ring] = True


@kernel
def _spans(boxes: np.ndarray, width: float, height: float, rows: int, cols: int, spans: np.ndarray,
           visible: np.ndarray) -> None:
    for i in range(len(boxes)):
        x0, y0, x1, y1, visible[i] = box_in_grid(boxes, i, width, height, rows, cols)
        spans[i, 0], spans[i, 1], spans[i, 2], spans[i, 3] = int(x0), int(y0), int(np.ceil(x1)), int(np.ceil(y1))


@kernel
def _find_observed(boxes: np.ndarray, keep: np.ndarray, width: float, height: float, observed: np.ndarray) -> None:
    attended = keep.sum()
    if attended == 0 or attended == keep.size:
        observed[:] = attended > 0
        return
    share = np.empty(len(boxes))
    share_observed(boxes, keep, width, height, share)
    for i in range(len(boxes)):
        observed[i] = share[i] >= OBSERVED_SHARE


@kernel
def share_observed(boxes: np.ndarray, keep: np.ndarray, width: float, height: float, share: np.ndarray) -> None:
    """As ``coverage``, for boxes float64 [n, 4]; writes ``share``, float64 [n]."""
    rows, cols = keep.shape
    for i in range(len(boxes)):
        x0, y0, x1, y1, visible = box_in_grid(boxes, i, width, height, rows, cols)
        attended = whole = 0.0
        if visible:
            whole = (x1 - x0) * (y1 - y0)
            for row in range(int(y0), min(int(np.ceil(y1)), rows)):
                line = 0.0
                for col in range(int(x0), min(int(np.ceil(x1)), cols)):
                    if keep[row, col]:
                        line += min(x1, col + 1.0) - max(x0, float(col))
                attended += line * (min(y1, row + 1.0) - max(y0, float(row)))
        share[i] = attended / whole if whole > 0.0 else 0.0
