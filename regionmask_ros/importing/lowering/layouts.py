"""Lowers operators that move values: splits, slices, shuffles, space to depth, joints, enlargements.

Exporters write a channel shuffle, a Focus or a split in many ways. The index of every value is moved as the value is,
at all probed sizes, and what comes out is looked at.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...network.graph import Shape
from ...tiles.operators.geometry import Window
from ...tiles.operators.pooling import AveragePool
from ...tiles.operators.resizing import Resize
from ...tiles.operators.routing import ChannelSelect, Concat, SpaceToDepth
from ...tiles.tail_operators import LAYOUT, MAX_ELEMENTS, compute
from .body import Body
from .values import CannotLower, Known, Moved, Pointwise, Tensor, Value

MOVES = LAYOUT - {"Concat", "Identity", "Dropout", "Cast"} | {"SpaceToDepth"}
_BLOCK = 2


def lower_move(body: Body, node: Any, values: Sequence[Value | None], attributes: dict[str, Any]) -> list[Value] | None:
    """Lowers a node that only moves values of one tensor.

    Args:
        body: Gets nodes.
        node: The node of the ONNX graph.
        values: Its inputs.
        attributes: Its attributes.

    Returns:
        Its outputs; None if it is none that can be followed.

    Raises:
        CannotLower: It does not fit its input.
    """
    data = values[0]
    if not isinstance(data, (Tensor, Pointwise, Moved)) or not all(
            value is None or isinstance(value, Known) for value in values[1:]):
        return None
    if isinstance(data, Moved):
        base, places = data.base, data.places
    else:
        tensor = body.find(data)
        if tensor is None:
            return None
        base = tensor.name
        places = tuple(_number(node, shape) for shape in body.shapes[base])
    moved = []
    for size, indices in enumerate(places):
        others = [value.arrays[size] if isinstance(value, Known) else None for value in values[1:]]
        try:
            moved.append(_move(node, indices, others, attributes))
        except ValueError as error:
            raise CannotLower(node, str(error)) from error
    return [_find_tensor(body, node, base, name, tuple(parts)) for name, parts in zip(node.output, zip(*moved))]


def lower_concat(body: Body, node: Any, values: Sequence[Value | None], attributes: dict[str, Any]) -> Value | None:
    """Lowers a Concat of channels; None for one along another axis."""
    if attributes.get("axis") not in (1, -3) or not all(isinstance(value, (Tensor, Pointwise)) for value in values):
        return None
    tensors = [body.find(value) for value in values if value is not None]
    names = [tensor.name for tensor in tensors if tensor is not None]
    if len(names) != len(values):
        return None
    return Tensor(names[0]) if len(names) == 1 else body.emit(node, node.output[0], Concat(), names)


def lower_resize(body: Body, node: Any, values: Sequence[Value | None], attributes: dict[str, Any]) -> Value | None:
    """Lowers an enlargement by a whole factor, or a reduction to half the size; None if the body cannot have it."""
    data = values[0]
    tensor = body.find(data) if isinstance(data, (Tensor, Pointwise)) else None
    if tensor is None:
        return None
    scales = {_scales(node, size, body.shapes[tensor.name][size], values, attributes)
              for size in range(len(body.shapes[tensor.name]))}
    if len(scales) != 1:
        raise CannotLower(node, "a scale that depends on the size of the picture")
    rows, cols = scales.pop()
    mode, place = attributes.get("mode", "nearest"), attributes.get("coordinate_transformation_mode", "half_pixel")
    if node.op_type == "Upsample":
        place = "asymmetric"
    if (rows, cols) == (1, 1):
        return tensor
    if mode == "nearest" and rows == cols and rows == round(rows) and _copies_blocks(
            round(rows), place, attributes.get("nearest_mode", "round_prefer_floor")):
        return body.emit(node, node.output[0], Resize(round(rows)), [tensor.name])
    sides = [side * rows for shape in body.shapes[tensor.name] for side in shape[:2]]
    is_centered = place == "half_pixel" or (place == "pytorch_half_pixel" and min(sides) > 1)
    if mode == "linear" and is_centered and rows == cols:
        if rows == 2:
            return body.emit(node, node.output[0], Resize(2, is_linear=True), [tensor.name])
        if rows == 0.5 and not attributes.get("antialias"):
            # The new center is in the middle of four old ones.
            return body.emit(node, node.output[0], AveragePool(Window((2, 2), 2)), [tensor.name])
    raise CannotLower(node, f"{mode} by {rows:g} and {cols:g} ({place}): the tile engine enlarges by whole factors, "
                            "nearest, or by 2, linear")


def _copies_blocks(factor: int, place: str, rounding: str) -> bool:
    """Whether every pixel of a nearest enlargement is that of its block."""
    targets = np.arange(8 * factor)
    sources = targets / factor if place == "asymmetric" else (targets + 0.5) / factor - 0.5
    if place not in ("asymmetric", "half_pixel", "pytorch_half_pixel"):
        return False
    rules: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "floor": np.floor, "ceil": np.ceil, "round_prefer_floor": lambda values: np.ceil(values - 0.5),
        "round_prefer_ceil": lambda values: np.floor(values + 0.5)}
    return rounding in rules and bool((rules[rounding](sources).clip(0, 7) == targets // factor).all())


def _scales(node: Any, size: int, shape: Shape, values: Sequence[Value | None], attributes: dict[str, Any]
            ) -> tuple[float, float]:
    """How much larger rows and columns become."""
    numbers: list[Any] = [value.arrays[size].ravel() if isinstance(value, Known) else None for value in values[1:]]
    if "scales" in attributes:
        numbers = [np.array(attributes["scales"])]
    if node.op_type == "Resize" and len(numbers) > 1:
        numbers = numbers[1:]  # After the region of interest.
    given = next(((place, part) for place, part in enumerate(numbers) if part is not None and part.size), None)
    if given is None:
        raise CannotLower(node, "neither sizes nor scales that are known")
    place, factors = given
    before = np.array([1, shape[2], shape[0], shape[1]], np.float64)
    axes = attributes.get("axes", range(4))
    if len(axes) != len(factors) or not all(0 <= axis < 4 for axis in axes):
        raise CannotLower(node, "sizes of other axes")
    complete = np.ones(4)
    for axis, factor in zip(axes, factors):
        complete[axis] = factor / before[axis] if place == 1 else factor
    if tuple(complete[:2]) != (1, 1):
        raise CannotLower(node, "changes the number of channels")
    return float(complete[2]), float(complete[3])


def _number(node: Any, shape: Shape) -> np.ndarray:
    if math.prod(shape) > MAX_ELEMENTS:
        raise CannotLower(node, f"moves a tensor of more than {MAX_ELEMENTS:,} numbers")
    return np.arange(math.prod(shape), dtype=np.int32).reshape(1, shape[2], shape[0], shape[1])


def _move(node: Any, indices: np.ndarray, others: list[np.ndarray | None], attributes: dict[str, Any]
          ) -> list[np.ndarray]:
    if node.op_type == "Split":
        attributes = {**attributes, "count": len(node.output)}
    if node.op_type != "SpaceToDepth":
        return compute(node.op_type, [indices, *others], attributes)
    block = attributes.get("blocksize", 0)
    return [np.concatenate([indices[:, :, row::block, col::block] for row in range(block) for col in range(block)], 1)]


def _find_tensor(body: Body, node: Any, base: str, name: str, places: tuple[np.ndarray, ...]) -> Value:
    """A tensor, if the arrangement is one that an operator gives at all sizes."""
    moved = Moved(base, places, node)
    if any(part.ndim != 4 or part.shape[0] != 1 or not part.size for part in places):
        return moved
    found = {_read_planes(part, shape) for part, shape in zip(places, body.shapes[base])}
    planes = found.pop()
    if found or planes is None:
        return moved
    step, sources = planes
    channels = body.channels(base)
    if step == 1:
        selected = tuple(channel for channel, _, _ in sources)
        return Tensor(base) if selected == tuple(range(channels)) else body.emit(
            node, name, ChannelSelect(selected), [base])
    order = tuple(dict.fromkeys((row, col) for _, row, col in sources))
    deep = body.emit(node, name, SpaceToDepth(order), [base])
    selected = tuple(order.index((row, col)) * channels + channel for channel, row, col in sources)
    return deep if selected == tuple(range(channels * len(order))) else body.emit(
        node, name, ChannelSelect(selected), [deep.name])


def _read_planes(places: np.ndarray, shape: Shape) -> tuple[int, tuple[tuple[int, int, int], ...]] | None:
    """The step, and channel, first row and first column of every plane; None if there is another arrangement."""
    rows, cols, _ = shape
    for step in (1, _BLOCK):
        if (places.shape[2] * step, places.shape[3] * step) != (rows, cols):
            continue
        corners = places[0, :, 0, 0].astype(np.int64)
        offsets = step * (np.arange(places.shape[2])[:, None] * cols + np.arange(places.shape[3]))
        channel, place = np.divmod(corners, rows * cols)
        row, col = np.divmod(place, cols)
        if (row < step).all() and (col < step).all() and (places[0] == corners[:, None, None] + offsets).all():
            return step, tuple(zip(channel.tolist(), row.tolist(), col.tolist()))
    return None
