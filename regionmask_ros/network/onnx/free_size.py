"""Frees the input size of a graph that was exported for one size.

Exporters write sizes of that input into the graph: targets of Reshape, sizes of Resize, ends of Slice, and constants
with one number for each cell. Shapes are inferred at the file's size, at twice its width, and at twice its height. A
size in the graph that belongs to an axis that grows is replaced by one that is computed from the input's shape. This
goes from the input to the outputs, because each replaced size decides about the shapes behind it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .cells import fit_cells
from .editing import GraphEditor, read_constants
from .growth import NO_GROWTH, Growing, Growth, NotFree, grow_target, growth_of, resolve_target
from .inference import Shape, ShapeInference
from .interface import set_input_size
from .reading import name_of

_Found = Sequence[ShapeInference]
_TO_THE_END = np.iinfo(np.int64).max
_ELEMENTWISE = frozenset(("Add", "Sub", "Mul", "Div"))


@dataclass(frozen=True)
class _Change:
    """A constant that a node reads, and what replaces it.

    Attributes:
        node: The node.
        place: Which input of it.
        kind: "shape": the numbers grow with the input; "plain": a constant; "scales": factors instead of sizes;
            "cells": a number for each cell.
        value: Of "shape" a tuple of ``Growing``, of "plain" and "scales" an array, of "cells" a ``Cells``.
    """

    node: Any
    place: int
    kind: str
    value: Any


def free_size(model: Any, input_name: str, wh: tuple[int, int]) -> int:
    """Frees the input size.

    Args:
        model: The ModelProto with the unified interface, which is changed, also if this fails.
        input_name: The image.
        wh: Width and height that the file was exported for.

    Returns:
        The number of nodes that have been changed.

    Raises:
        NotFree: A node depends on the size in a way that is not understood. It does not find all of them: run it.
    """
    return _SizeFreer(model, input_name, wh).free()


class _SizeFreer:
    def __init__(self, model: Any, input_name: str, wh: tuple[int, int]) -> None:
        self._model, self._input_name, self._wh = model, input_name, wh
        self._constants = read_constants(model)
        self._growths = ((1, 1), (2, 1), (1, 2))
        self._found = [ShapeInference(model, input_name, (wh[0] * across, wh[1] * down))
                       for across, down in self._growths]

    def free(self) -> int:
        changes = [change for node in self._model.graph.node for change in self._follow(node)]
        if changes:
            self._apply(changes)
        set_input_size(self._model, self._input_name, None)
        return len(changes)

    def _follow(self, node: Any) -> list[_Change]:
        """Decides what has to change in a node, and finds the shapes of its outputs at all sizes."""
        changes = self._decide(node, self._found)
        changed = type(node)()
        changed.CopyFrom(node)
        for change in changes:
            name = f"changed/{node.output[0]}"
            changed.input[:] = _replace_input(node, change, name)
            for inference, growth in zip(self._found, self._growths):
                inference.set_constant(name, _value_at(change, growth))
        for inference in self._found:
            inference.follow(changed)
        return changes

    def _decide(self, node: Any, found: _Found) -> list[_Change]:
        """What has to change in one node."""
        if node.op_type == "Reshape" and all(node.input[1] in inferred.numbers for inferred in found):
            return self._decide_reshape(node, found)
        if node.op_type == "Resize" and len(node.input) > 3 and node.input[3] in self._constants:
            return self._decide_resize(node, found)
        if node.op_type == "Slice" and len(node.input) > 2 and node.input[2] in self._constants:
            return self._decide_slice(node, found)
        if node.op_type in _ELEMENTWISE:
            return self._decide_elementwise(node, found)
        return []

    def _growing(self, node: Any, name: str, found: _Found) -> tuple[Growing, ...]:
        known = [inferred.shapes.get(name) for inferred in found]
        if any(shape is None or None in shape for shape in known):
            raise NotFree(f"{name_of(node)}: the shape of its input is not known")
        return growth_of(name_of(node), *known)  # type: ignore[arg-type]

    def _decide_reshape(self, node: Any, found: _Found) -> list[_Change]:
        data = self._growing(node, node.input[0], found)
        targets = [[int(value) for value in np.ravel(inferred.numbers[node.input[1]])] for inferred in found]
        if not targets[0] == targets[1] == targets[2] and all(
                _fits(inferred.shapes[node.input[0]], target) for inferred, target in zip(found, targets)):
            return []  # The graph computes it from the input's size.
        target = targets[0]
        keeps_zero = any(attribute.name == "allowzero" and attribute.i for attribute in node.attribute)
        if all(axis.growth == NO_GROWTH for axis in data):
            return []
        resolved = resolve_target(name_of(node), [axis.value for axis in data], target, keeps_zero)
        grown = grow_target(name_of(node), data, resolved, target.index(-1) if -1 in target else None, self._wh)
        moving = [place for place, axis in enumerate(grown) if axis.growth != NO_GROWTH]
        if all(target[place] == -1 or (target[place] == 0 and not keeps_zero) for place in moving):
            return []
        if len(moving) == 1:
            value = np.array([-1 if place in moving else axis.value for place, axis in enumerate(grown)], np.int64)
            return [_Change(node, 1, "plain", value)]
        return [_Change(node, 1, "shape", grown)]

    def _decide_resize(self, node: Any, found: _Found) -> list[_Change]:
        data = self._growing(node, node.input[0], found)
        sizes = np.ravel(self._constants[node.input[3]]).astype(np.float64)
        axes = next((list(attribute.ints) for attribute in node.attribute if attribute.name == "axes"),
                    list(range(len(data))))
        _check_axes(node, axes, data)
        before = [data[axis] for axis in axes]
        if all(axis.growth == NO_GROWTH for axis in before):
            return []
        if len(before) != len(sizes):
            raise NotFree(f"{name_of(node)}: sizes for {len(sizes)} axes of {len(before)}")
        return [_Change(node, 3, "scales", (sizes / [axis.value for axis in before]).astype(np.float32))]

    def _decide_slice(self, node: Any, found: _Found) -> list[_Change]:
        data = self._growing(node, node.input[0], found)
        ends = np.ravel(self._constants[node.input[2]]).astype(np.int64)
        axes = np.arange(len(ends))
        if len(node.input) > 3 and node.input[3]:
            if node.input[3] not in self._constants:
                return []
            axes = np.ravel(self._constants[node.input[3]]).astype(np.int64)
        _check_axes(node, axes, data)
        if len(axes) != len(ends):
            raise NotFree(f"{name_of(node)}: ends for {len(ends)} axes of {len(axes)}")
        changed = ends.copy()
        for place, axis in enumerate(axes):
            if data[axis].growth != NO_GROWTH and ends[place] == data[axis].value:
                changed[place] = _TO_THE_END
        return [] if np.array_equal(changed, ends) else [_Change(node, 2, "plain", changed)]

    def _decide_elementwise(self, node: Any, found: _Found) -> list[_Change]:
        for place, name in enumerate(node.input):
            other = node.input[1 - place]
            constant = self._constants.get(name)
            if constant is None or constant.size < 4 or other in self._constants:
                continue
            known = [inferred.shapes.get(other) for inferred in found]
            if any(shape is None or None in shape for shape in known):
                continue
            data = growth_of(name_of(node), *known)  # type: ignore[arg-type]
            aligned = data[max(0, len(data) - constant.ndim):]
            axes = [axis for axis, grown in enumerate(aligned, constant.ndim - len(aligned))
                    if grown.growth != NO_GROWTH and constant.shape[axis] == grown.value > 1]
            if axes:
                return [_Change(node, place, "cells", fit_cells(name_of(node), constant, tuple(axes), self._wh))]
        return []

    def _apply(self, changes: Sequence[_Change]) -> None:
        editor = GraphEditor(self._model)
        for change in changes:
            node = change.node
            if change.kind in ("scales", "plain"):
                name = editor.constant(change.value)
            elif change.kind == "cells":
                name = change.value.add_to(editor, self._input_name)
            else:
                parts = [axis.add_to(editor, self._input_name, self._wh) for axis in change.value]
                name = editor.add("Concat", parts, axis=0)
            node.input[:] = _replace_input(node, change, name)
        editor.finish()


def _check_axes(node: Any, axes: Sequence[int] | np.ndarray, data: Sequence[Growing]) -> None:
    """Raises NotFree for axes that a value does not have."""
    if not all(-len(data) <= axis < len(data) for axis in axes):
        raise NotFree(f"{name_of(node)}: axes {list(axes)[:8]} of a value with {len(data)}")


def _replace_input(node: Any, change: _Change, name: str) -> list[str]:
    """The inputs of a node with the changed one replaced. Scales stand before sizes, which are left out."""
    if change.kind == "scales":
        return [*node.input[:2], name]
    return [name if place == change.place else given for place, given in enumerate(node.input)]


def _fits(shape: Shape, target: Sequence[int]) -> bool:
    """Whether an array can take a shape; -1 stands for what is left, and 0 for an unchanged length."""
    count = math.prod(length or 0 for length in shape)
    lengths = [shape[place] or 0 if length == 0 and place < len(shape) else length
               for place, length in enumerate(target)]
    known = math.prod(length for length in lengths if length != -1)
    return known > 0 and (count % known == 0 if -1 in lengths else count == known)


def _value_at(change: _Change, growth: Growth) -> np.ndarray:
    """The constant when the width and the height have grown by these factors."""
    if change.kind == "shape":
        return np.array([axis.at(growth) for axis in change.value], np.int64)
    value: np.ndarray = change.value.at(growth) if change.kind == "cells" else change.value
    return value
