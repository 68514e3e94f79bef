"""The cells of a dense head: where they lie in the input, and which outputs have one row a cell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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


def distance_from_cells(points: np.ndarray, input_wh: tuple[int, int], strides: tuple[int, ...]) -> float:
    """How far points, float [cells, 2], in input pixels, lie from the middles of their cells: median, in strides."""
    corners, widths = corners_and_strides(input_wh, strides)
    return float(np.median(np.abs((points - corners) / widths - 0.5)))


def find_strides(rows: int, input_wh: tuple[int, int], boxes_per_cell: int = 1) -> tuple[int, ...]:
    """The usual strides that give this number of boxes; none: empty."""
    for strides in USUAL_STRIDES:
        # Two levels with one box a cell are so few boxes that they could be selected ones.
        if (len(strides) > 2 or boxes_per_cell > 1) and count_cells(input_wh, strides) * boxes_per_cell == rows:
            return strides
    return ()


def as_rows(output: np.ndarray, count: int) -> np.ndarray | None:
    """Views an output as one row a box.

    Args:
        output: [1, count, values] or [1, values, count], or without the batch axis.
        count: Expected number of boxes.

    Returns:
        [count, values]; None if the output has another shape.
    """
    if output.ndim == 3 and len(output) == 1:
        output = output[0]
    if output.ndim != 2 or count not in output.shape:
        return None
    return output if len(output) == count else output.T


def level_rows(output: np.ndarray, level_wh: tuple[int, int], channels: int = 0) -> np.ndarray | None:
    """Views the output of one level as one row a cell.

    Args:
        output: [1, channels, rows, cols], [1, cells, channels] or [1, channels, cells].
        level_wh: Columns and rows.
        channels: Expected number; 0: any, and of three axes the second is that of the cells.

    Returns:
        [cells, channels]; None if the output has another shape.
    """
    cols, rows = level_wh
    if output.ndim not in (3, 4) or len(output) != 1:
        return None
    found: np.ndarray = output[0]
    if output.ndim == 4:
        fits = found.shape[1:] == (rows, cols) and channels in (0, len(found))
        return found.reshape(-1, cols * rows).T if fits else None
    if len(found) == cols * rows and channels in (0, found.shape[1]):
        return found
    return found.T if found.shape == (channels, cols * rows) else None


def find_levels(outputs: Mapping[str, np.ndarray], input_wh: tuple[int, int], each: int
                ) -> tuple[tuple[int, ...], list[tuple[tuple[str, ...], np.ndarray]]]:
    """Sorts outputs by levels.

    Args:
        outputs: Arrays by name.
        input_wh: Width and height of the input.
        each: Number of outputs that each level has.

    Returns:
        Strides; and for each place in a level, in the order of the file, the names of the outputs there and their rows
        joined, [cells, channels]. Both empty where an output belongs to no level, or where the outputs of one place
        have different numbers of channels.
    """
    turned = {name: output.transpose(0, 2, 1) if output.ndim == 3 else output for name, output in outputs.items()}
    for strides in USUAL_STRIDES:
        if len(outputs) != each * len(strides):
            continue
        sizes = level_sizes(input_wh, strides)
        for form in (outputs, turned):
            levels = [[(name, rows) for name, output in form.items() if (rows := level_rows(output, wh)) is not None]
                      for wh in sizes]
            if any(len(level) != each for level in levels):
                continue
            places = [list(zip(*place)) for place in zip(*levels)]
            if all(len({part.shape[1] for part in parts}) == 1 for _, parts in places):
                return strides, [(names, np.concatenate(parts)) for names, parts in places]
    return (), []
