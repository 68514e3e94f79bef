"""Tiles: 16x16 pixels of the input at every layer, and how they depend on each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..network.graph import Shape
from .operators.quantized import TileOperator

REGION = 16
"""Side of a region of the mask, in input pixels."""

STRIDES = (1, 2, 4, 8, 16, 32, 64)
"""Input pixels between neighboring pixels of a tensor that has tiles."""


@dataclass(frozen=True)
class TileGrid:
    """The tiles of a tensor.

    Attributes:
        height: Rows of the tensor.
        width: Columns of the tensor.
        stride: Input pixels between neighboring pixels.

    Raises:
        ValueError: The stride is not one of ``STRIDES``.
    """

    height: int
    width: int
    stride: int

    def __post_init__(self) -> None:
        if self.stride not in STRIDES:
            raise ValueError(f"a stride of {self.stride} has no tiles; {', '.join(map(str, STRIDES))} have")

    @property
    def side(self) -> int:
        """Pixels along a side of a tile; 1 where a pixel is larger than a region."""
        return max(1, REGION // self.stride)

    @property
    def rows(self) -> int:
        """Tiles from top to bottom; the last may be cut by the border."""
        return -(-self.height // self.side)

    @property
    def cols(self) -> int:
        """Tiles from left to right; the last may be cut by the border."""
        return -(-self.width // self.side)

    def find(self, axis: int, pixel: int) -> int:
        """Finds the tile that has a row (axis 0) or column (axis 1) of pixels."""
        return pixel // self.side

    def pixels(self) -> np.ndarray:
        """Pixels of every tile, int64 [rows, cols]."""
        heights, widths = (np.minimum(self.side, size - self.side * np.arange(tiles))
                           for size, tiles in ((self.height, self.rows), (self.width, self.cols)))
        return np.outer(heights, widths).astype(np.int64)


Ranges = tuple[np.ndarray, np.ndarray]
"""Of rows and of columns: int32 [tiles, 2], the first tile and the one after the last that a tile depends on."""


def regions_of(grid: TileGrid, regions: tuple[int, int]) -> Ranges:
    """Finds the regions of the mask that tiles lie on.

    Args:
        grid: The tiles.
        regions: Rows and columns of the mask.

    Returns:
        The ranges. A tile beyond the mask, as padding may make it, counts to the outermost regions.
    """
    size = grid.side * grid.stride

    def along(tiles: int, limit: int) -> np.ndarray:
        first = np.minimum(np.arange(tiles) * size // REGION, limit - 1)
        last = np.minimum((np.arange(1, tiles + 1) * size - 1) // REGION, limit - 1)
        return np.stack([first, last + 1], 1).astype(np.int32)

    return along(grid.rows, regions[0]), along(grid.cols, regions[1])


class Divided(Protocol):
    """What ``tiles_read`` must know of an input: tiles, or parts of them."""

    @property
    def height(self) -> int:
        """Rows of the tensor."""

    @property
    def width(self) -> int:
        """Columns of the tensor."""

    def find(self, axis: int, pixel: int) -> int:
        """Finds the tile that has a row (axis 0) or column (axis 1) of pixels."""


def tiles_read(operator: TileOperator, source: Divided, result: TileGrid) -> Ranges:
    """Finds the input tiles that the pixels of output tiles read.

    Args:
        operator: Of the node.
        source: Tiles of one of its inputs.
        result: Tiles of its output.

    Returns:
        The ranges; empty where only padding is read.
    """

    def along(axis: int, tiles: int, size: int, limit: int) -> np.ndarray:
        found = np.zeros((tiles, 2), np.int32)
        for tile in range(tiles):
            first, last = operator.reads(axis, tile * result.side, min((tile + 1) * result.side, size) - 1)
            first, last = max(first, 0), min(last, limit - 1)
            if first <= last:
                found[tile] = source.find(axis, first), source.find(axis, last) + 1
        return found

    return (along(0, result.rows, result.height, source.height), along(1, result.cols, result.width, source.width))


def spread(tiles: np.ndarray, ranges: Ranges) -> np.ndarray:
    """Finds the tiles that depend on any of some tiles.

    Args:
        tiles: bool [rows, cols].
        ranges: What each tile of the result depends on.

    Returns:
        bool [rows of the result, cols of the result].
    """
    by_row = np.stack([tiles[first:end].any(0) for first, end in ranges[0]])
    return np.stack([by_row[:, first:end].any(1) for first, end in ranges[1]], 1)


def expand(tiles: np.ndarray, grid: TileGrid) -> np.ndarray:
    """Gives every pixel the value of its tile, [height, width]."""
    side = grid.side
    pixels: np.ndarray = tiles.repeat(side, 0).repeat(side, 1)[:grid.height, :grid.width]
    return pixels


def sum_tiles(values: np.ndarray, grid: TileGrid) -> np.ndarray:
    """Sums values over tiles and channels.

    Args:
        values: [height, width, channels].
        grid: The tiles.

    Returns:
        int64 [rows, cols].
    """
    rows, cols, side = grid.rows, grid.cols, grid.side
    padded = np.zeros((rows * side, cols * side), np.int64)
    padded[:grid.height, :grid.width] = values.sum(2)
    sums: np.ndarray = padded.reshape(rows, side, cols, side).sum((1, 3))
    return sums


def grids_of(shapes: dict[str, Shape], strides: dict[str, int]) -> dict[str, TileGrid]:
    """The tiles of every tensor by name.

    Args:
        shapes: Of the tensors.
        strides: Of the tensors.

    Returns:
        The grids.

    Raises:
        ValueError: A stride has no tiles; the message names the tensor.
    """
    found = {}
    for name, (rows, cols, _) in shapes.items():
        try:
            found[name] = TileGrid(rows, cols, strides[name])
        except ValueError as error:
            raise ValueError(f"node {name}: {error}") from error
    return found
