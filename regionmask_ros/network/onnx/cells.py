"""Constants with a number for each cell of the output, such as centers of anchors, and how to compute them again.

Exporters compute such constants for one input size. They are sums of a multiple of the column, a multiple of the row,
and a number; each level of strides has its own. What follows this rule exactly can be computed at any size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from .editing import GraphEditor
from .growth import Growing, NotFree

_STRIDES = (4, 8, 16, 32, 64, 128)
_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Cells:
    """A constant with numbers for cells.

    Attributes:
        wh: Width and height of the file's input.
        strides: Of the levels, in their order.
        planes: float64 [levels, before, copies, after, 3]: multiple of the column, multiple of the row, and number; for
            all axes before that of the cells, for each of the levels' copies (anchors), and for all axes after it.
        before: Lengths of the axes before that of the cells.
        after: Lengths of the axes after it.
        is_grid: Whether the cells are two axes, rows and columns, and not one.
        dtype: Of the constant.
    """

    wh: tuple[int, int]
    strides: tuple[int, ...]
    planes: np.ndarray
    before: tuple[int, ...]
    after: tuple[int, ...]
    is_grid: bool
    dtype: np.dtype

    def at(self, factors: tuple[int, int]) -> np.ndarray:
        """The constant when the width and the height have grown by these factors."""
        parts = []
        for stride, planes in zip(self.strides, self.planes):
            columns, rows = (side * factor // stride for side, factor in zip(self.wh, factors))
            parts.append(_evaluate(planes, rows, columns))
        joined: np.ndarray = np.concatenate(parts, axis=1).astype(self.dtype)
        if self.is_grid:
            rows, columns = (side * factor // self.strides[0] for side, factor in zip(self.wh[::-1], factors[::-1]))
            return joined.reshape(*self.before, rows, columns, *self.after)
        return joined.reshape(*self.before, -1, *self.after)

    def add_to(self, editor: GraphEditor, input_name: str) -> str:
        """Adds nodes that compute the constant from the input's shape, and returns the name of its value."""
        levels = []
        for stride, planes in zip(self.strides, self.planes):
            columns = Growing(self.wh[0] // stride, (2, 1)).add_to(editor, input_name, self.wh)
            rows = Growing(self.wh[1] // stride, (1, 2)).add_to(editor, input_name, self.wh)
            levels.append(_add_level(editor, planes, rows, columns))
        joined = levels[0] if len(levels) == 1 else editor.add("Concat", levels, axis=1)
        cells = [editor.integers(-1)]
        if self.is_grid:
            cells = [Growing(self.wh[1] // self.strides[0], (1, 2)).add_to(editor, input_name, self.wh),
                     Growing(self.wh[0] // self.strides[0], (2, 1)).add_to(editor, input_name, self.wh)]
        target = [*map(editor.integers, self.before), *cells, *map(editor.integers, self.after)]
        shaped = editor.add("Reshape", [joined, editor.add("Concat", target, axis=0)])
        if self.dtype == np.float32:
            return shaped
        return editor.add("Cast", [shaped], to=editor.type_of(self.dtype))


def fit_cells(node: str, constant: np.ndarray, axes: tuple[int, ...], wh: tuple[int, int]) -> Cells:
    """Finds the rule of a constant.

    Args:
        node: Words that name the node that reads it, for the message.
        constant: The constant.
        axes: Its axes of cells: one for all levels together, or rows and columns of one level.
        wh: Width and height of the file's input.

    Returns:
        The rule.

    Raises:
        NotFree: It follows no such rule.
    """
    wrong = NotFree(f"{node}: its constant of shape {list(constant.shape)} belongs to the input size {wh[0]}x{wh[1]}")
    if constant.dtype.kind not in "fi" or not (len(axes) == 1 or (len(axes) == 2 and axes[1] == axes[0] + 1)):
        raise wrong
    before, after = constant.shape[:axes[0]], constant.shape[axes[-1] + 1:]
    count = math.prod(constant.shape[axis] for axis in axes)
    flat = constant.astype(np.float64).reshape(math.prod(before), count, math.prod(after))
    for strides in _possible_strides(count, wh, constant.shape[axes[0]] if len(axes) == 2 else None):
        planes = _fit_levels(flat, strides, wh)
        if planes is not None:
            return Cells(wh, strides, planes, before, after, len(axes) == 2, constant.dtype)
    raise wrong


def _possible_strides(count: int, wh: tuple[int, int], rows: int | None) -> list[tuple[int, ...]]:
    """All sets of strides whose cells are as many, possibly with several anchors for a cell; the likeliest first."""
    fitting = [stride for stride in _STRIDES if wh[0] % stride == 0 and wh[1] % stride == 0]
    if rows is not None:
        return [(stride,) for stride in fitting if wh[1] // stride == rows and count == _cells((stride,), wh)]
    found = [strides for levels in range(1, 6) for strides in combinations(fitting, levels)
             if count % _cells(strides, wh) == 0]
    return sorted(found, key=lambda strides: (count // _cells(strides, wh), -len(strides)))


def _cells(strides: tuple[int, ...], wh: tuple[int, int]) -> int:
    return sum((wh[0] // stride) * (wh[1] // stride) for stride in strides)


def _fit_levels(flat: np.ndarray, strides: tuple[int, ...], wh: tuple[int, int]) -> np.ndarray | None:
    """The planes of ``Cells``; None if the numbers are others."""
    copies = flat.shape[1] // _cells(strides, wh)
    found, place = [], 0
    for stride in strides:
        columns, rows = wh[0] // stride, wh[1] // stride
        if rows < 2 or columns < 2:
            return None
        part = flat[:, place:place + copies * rows * columns].reshape(flat.shape[0], copies, rows, columns, -1)
        place += copies * rows * columns
        corner = part[:, :, 0, 0]
        across = (part[:, :, 0, -1] - corner) / (columns - 1)
        down = (part[:, :, -1, 0] - corner) / (rows - 1)
        planes = np.stack([across, down, corner], axis=-1)
        if np.abs(_evaluate(planes, rows, columns) - part.reshape(flat.shape[0], -1, flat.shape[2])).max() > _TOLERANCE:
            return None
        found.append(np.round(planes, 5))
    return np.stack(found)


def _evaluate(planes: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """float64 [before, cells, after] of one level."""
    across, down, corner = (planes[:, :, None, None, :, place] for place in range(3))
    values: np.ndarray = across * np.arange(columns)[:, None] + down * np.arange(rows)[:, None, None] + corner
    return values.reshape(planes.shape[0], -1, planes.shape[2])


def _add_level(editor: GraphEditor, planes: np.ndarray, rows: str, columns: str) -> str:
    """Adds nodes that compute ``_evaluate`` in float32."""
    zero, one = editor.constant(np.array(0, np.int64)), editor.constant(np.array(1, np.int64))
    scalar = editor.integers()
    counts = {}
    for name, axis_shape in ((columns, (-1, 1)), (rows, (-1, 1, 1))):
        limit = editor.add("Reshape", [name, scalar])
        numbers = editor.add("Cast", [editor.add("Range", [zero, limit, one])], to=1)
        counts[axis_shape] = editor.add("Reshape", [numbers, editor.integers(*axis_shape)])
    factors = planes[:, :, None, None].astype(np.float32)
    across, down, corner = (editor.constant(factors[..., place]) for place in range(3))
    moved = editor.add("Add", [editor.add("Mul", [counts[-1, 1], across]), editor.add("Mul", [counts[-1, 1, 1], down])])
    shape = editor.integers(planes.shape[0], -1, planes.shape[2])
    return editor.add("Reshape", [editor.add("Add", [moved, corner]), shape])
