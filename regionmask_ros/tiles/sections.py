"""Sections: what is replaced apart in the tiles of an image.

The windows of the nodes that read the image reach some pixels into neighboring tiles. Of each tile, the pixels that
neighbors read too are sections of their own: at most four edges, four corners, and the middle. So a change in the
middle of a tile makes no neighbor due.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from ..network.graph import Graph
from .grid import TileGrid
from .operators.quantized import TileOperator, operator_of


@dataclass(frozen=True, eq=False)
class Sections:
    """The sections of all tiles of an image.

    Attributes:
        row_edges: int32 [rows + 1], the first row of pixels of each section from top to bottom, and the image's height.
            Sections beyond the border of the image are empty.
        col_edges: int32 [cols + 1], the same of columns.
        per_tile: Sections of a tile from top to bottom, and from left to right.
    """

    row_edges: np.ndarray
    col_edges: np.ndarray
    per_tile: tuple[int, int]

    @classmethod
    def of(cls, grid: TileGrid, readers: Iterable[tuple[TileOperator, TileGrid]]) -> Sections:
        """Cuts the tiles of an image where the windows of its readers reach.

        Args:
            grid: The tiles.
            readers: Operator and output tiles of every node that reads the image.

        Returns:
            The sections; one for each tile if no window reaches beyond its tile.
        """
        before, behind = [0, 0], [0, 0]
        for operator, result in readers:
            size = result.side * result.stride
            for axis, tiles in enumerate((result.rows, result.cols)):
                for tile in range(tiles):
                    first, last = operator.reads(axis, tile * result.side, (tile + 1) * result.side - 1)
                    before[axis] = max(before[axis], tile * size - first)
                    behind[axis] = max(behind[axis], last + 1 - (tile + 1) * size)
        cuts = [sorted({0} | {cut for cut in (grid.side - before[axis], behind[axis]) if 0 < cut < grid.side})
                for axis in (0, 1)]
        rows, cols = (
            np.append(np.minimum(np.add.outer(grid.side * np.arange(tiles), of_axis), size), size).astype(np.int32)
            for of_axis, tiles, size in ((cuts[0], grid.rows, grid.height), (cuts[1], grid.cols, grid.width)))
        return cls(rows, cols, (len(cuts[0]), len(cuts[1])))

    @property
    def rows(self) -> int:
        """Sections from top to bottom."""
        return len(self.row_edges) - 1

    @property
    def cols(self) -> int:
        """Sections from left to right."""
        return len(self.col_edges) - 1

    @property
    def height(self) -> int:
        """Of the image, in pixels."""
        return int(self.row_edges[-1])

    @property
    def width(self) -> int:
        """Of the image, in pixels."""
        return int(self.col_edges[-1])

    def find(self, axis: int, pixel: int) -> int:
        """Finds the section that has a row (axis 0) or column (axis 1) of pixels."""
        return int(np.searchsorted((self.row_edges, self.col_edges)[axis], pixel, side="right")) - 1

    def pixels(self) -> np.ndarray:
        """Pixels of every section, int64 [rows, cols]."""
        return np.outer(np.diff(self.row_edges), np.diff(self.col_edges)).astype(np.int64)

    def of_tiles(self, tiles: np.ndarray) -> np.ndarray:
        """Gives every section the value of its tile, [rows, cols]."""
        found: np.ndarray = tiles.repeat(self.per_tile[0], 0).repeat(self.per_tile[1], 1)
        return found

    def expand(self, sections: np.ndarray) -> np.ndarray:
        """Gives every pixel the value of its section, [height, width]."""
        pixels: np.ndarray = sections.repeat(np.diff(self.row_edges), 0).repeat(np.diff(self.col_edges), 1)
        return pixels

    def sum(self, values: np.ndarray) -> np.ndarray:
        """Sums values over sections and channels.

        Args:
            values: Integers [height, width, channels].

        Returns:
            int64 [rows, cols].
        """
        sums = np.zeros((self.height + 1, self.width + 1), np.int64)
        sums[1:, 1:] = values.sum(2, dtype=np.int64).cumsum(0).cumsum(1)
        found: np.ndarray = np.diff(np.diff(sums[np.ix_(self.row_edges, self.col_edges)], axis=0), axis=1)
        return found


def sections_of(graph: Graph, grids: Mapping[str, TileGrid]) -> Sections:
    """The sections of the images of a network.

    Args:
        graph: The network.
        grids: The tiles of its tensors by name.

    Returns:
        The sections.
    """
    readers = ((operator_of(node), grids[node.name]) for node in graph.nodes if graph.input in node.inputs)
    return Sections.of(grids[graph.input], readers)
