"""Lowers operations element by element, and normalization by constants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...tiles.operators.routing import ChannelSelect
from .body import Body, fixed_numbers
from .pointwise import BASE, BINARY, MAX_CALLS, UNARY, make_call, recognize
from .values import Call, Known, Pointwise, Tensor, Value

_AFFINE = frozenset(("Add", "Sub", "Mul", "Div", "Neg", "BatchNormalization"))


def lower_elements(body: Body, node: Any, values: Sequence[Value | None], attributes: dict[str, Any],
                   is_read_once: bool) -> list[Value] | None:
    """Lowers a node that works element by element.

    Args:
        body: Gets nodes.
        node: The node of the ONNX graph.
        values: Its inputs.
        attributes: Its attributes.
        is_read_once: Whether nothing else reads its first input.

    Returns:
        The output; None if the body cannot have it.
    """
    if node.op_type == "BatchNormalization":
        return _normalize(body, node, values, attributes, is_read_once)
    if node.op_type not in UNARY | BINARY:
        return None
    pictures = [value for value in values if value is not None and not isinstance(value, Known)]
    if not all(isinstance(value, (Tensor, Pointwise)) for value in pictures):
        return None
    bases = {value.name if isinstance(value, Tensor) else value.base for value in pictures
             if isinstance(value, (Tensor, Pointwise))}
    if len(bases) == 1:
        made = _extend(body, node, values, attributes, bases.pop())
        return None if made is None else [_settle(body, made, is_read_once)]
    if len(pictures) != len(values) or node.op_type not in ("Add", "Sub", "Mul", "Sum"):
        return None
    tensors = [body.find(value) for value in pictures]
    if None in tensors:
        return None
    result = tensors[0]
    for tensor in tensors[1:]:
        assert result is not None and tensor is not None
        first, second = _same_channels(body, node, result.name, tensor.name)
        result = body.combine(node, node.op_type, first, second, node.output[0])
    return None if result is None else [result]


def _extend(body: Body, node: Any, values: Sequence[Value | None], attributes: dict[str, Any], base: str
            ) -> Pointwise | None:
    """A longer chain; None if its constants are none for channels."""
    operands: list[Any] = []
    channels = body.channels(base)
    for value in values:
        if isinstance(value, Known):
            numbers = value.fixed
            if numbers is None or numbers.dtype.kind not in "fiu" or not _fits(numbers, channels):
                return None
            operands.append(numbers)
        elif value is None:
            operands.append(None)
        else:
            operands.append(value.call if isinstance(value, Pointwise) else BASE)
    calls = [operand for operand in operands if isinstance(operand, Call)]
    if sum(call.size for call in calls) >= MAX_CALLS:
        tensors = {id(value): body.find(value) for value in values if isinstance(value, Pointwise)}
        if len(tensors) != 1 or None in tensors.values() or not all(
                isinstance(value, (Pointwise, Known)) for value in values):
            return None
        base = next(tensor.name for tensor in tensors.values() if tensor is not None)
        operands = [BASE if isinstance(operand, Call) else operand for operand in operands]
    return Pointwise(base, make_call(node.op_type, operands, attributes), node)


def _settle(body: Body, made: Pointwise, is_read_once: bool) -> Value:
    """Computes an affine function of a tensor at once, so that what follows is a function of it."""
    is_affine = made.call.size == 1 and made.call.operator in _AFFINE
    if is_read_once and is_affine and recognize(made.call, body.channels(made.base)) is not None:
        return body.find(made) or made
    return made


def _fits(numbers: np.ndarray, channels: int) -> bool:
    """Whether constants are one for all, or one for each channel."""
    shape = (1,) * (4 - numbers.ndim) + numbers.shape
    return len(shape) == 4 and shape[0] == shape[2] == shape[3] == 1 and shape[1] in (1, channels)


def _same_channels(body: Body, node: Any, first: str, second: str) -> list[str]:
    """Two tensors, of which one with a single channel is repeated."""
    counts = [body.channels(name) for name in (first, second)]
    names = [first, second]
    for place, name in enumerate(names):
        if counts[place] == 1 < max(counts):
            repeated = ChannelSelect((0,) * max(counts))
            names[place] = body.emit(node, f"{node.output[0]}/repeated", repeated, [name]).name
    return names


def _normalize(body: Body, node: Any, values: Sequence[Value | None], attributes: dict[str, Any], is_read_once: bool
               ) -> list[Value] | None:
    numbers = [fixed_numbers(value) for value in values[1:5]]
    value = values[0]
    if len(numbers) != 4 or attributes.get("training_mode") or not isinstance(value, (Tensor, Pointwise)):
        return None
    scale, bias, mean, variance = (np.asarray(part, np.float64).ravel() for part in numbers)
    base = value.name if isinstance(value, Tensor) else value.base
    factor = scale / np.sqrt(variance + attributes.get("epsilon", 1e-5))
    if factor.shape != (body.channels(base),) or bias.shape != factor.shape or mean.shape != factor.shape:
        return None
    inner = value.call if isinstance(value, Pointwise) else BASE
    columns = [part.reshape(1, -1, 1, 1) for part in (factor, bias - mean * factor)]
    made = Pointwise(base, make_call("Add", [make_call("Mul", [inner, columns[0]], {}), columns[1]], {}), node)
    if is_read_once and inner is BASE:
        return [body.find(made) or made]
    return [made]
