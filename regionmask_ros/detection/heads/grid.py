"""The cells of a dense head: where they lie in the input, and which outputs have one row a cell."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np

USUAL_STRIDES = ((8, 16, 32), (8, 16, 32, 64), (16, 32), (4, 8, 16, 32))
"""Strides of the levels of known families, the most usual first."""


def level_sizes(input_wh: tuple[int, int], strides: Iterable[int]) -> list[tuple[int, int]]:
    """Columns and rows of cells of each level; a part of a cell at the border is one more."""
    return [(-(-input_wh[0] // stride), -(-input_wh[1] // stride)) for stride in strides]


def count_cells(input_wh: tuple[int, int], strides: Iterable[int]) -> int:
    """Number of cells of all levels."""
    return sum(cols * rows for cols, rows in level_sizes(input_wh, strides))


@lru_cache(maxsize=32)
def corners_and_strides(input_wh: tuple[int, int], strides: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The upper left corners of all cells: level by level, row by row.

    Args:
        input_wh: Width and height of the input.
        strides: Input pixels between neighboring cells, one for each level.

    Returns:
        float32 [cells, 2], x and y in input pixels, and float32 [cells, 1], strides. Both are for reading only.
    """
    corners, widths = [], []
    for (cols, rows), stride in zip(level_sizes(input_wh, strides), strides):
        y, x = np.mgrid[:rows, :cols]
        corners.append(np.stack([x.ravel(), y.ravel()], axis=1) * stride)
        widths.append(np.full((cols * rows, 1), stride))
    found = np.concatenate(corners).astype(np.float32), np.concatenate(widths).astype(np.float32)
    for values in found:
        values.flags.writeable = False
    return found


def find_strides(rows: int, input_wh: tuple[int, int], boxes_per_cell: int = 1) -> tuple[int, ...]:
    """The usual strides that give this number of boxes; none: empty."""
    for strides in USUAL_STRIDES:
        if count_cells(input_wh, strides) * boxes_per_cell == rows:
            return strides
    return ()


def as_rows(output: np.ndarray, cells: int) -> np.ndarray | None:
    """Views an output as one row a box.

    Args:
        output: [1, cells, values] or [1, values, cells], or without the batch axis.
        cells: Expected number of boxes.

    Returns:
        [cells, values]; None if the output has another shape.
    """
    if output.ndim == 3 and len(output) == 1:
        output = output[0]
    if output.ndim != 2 or cells not in output.shape:
        return None
    return output if len(output) == cells else output.T
