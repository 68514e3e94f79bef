"""Computes the small numbers in a graph that follow from shapes, such as the target of a Reshape.

The package's own inference follows fewer operators, and exporters compute targets from shapes in long chains.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

MOST_NUMBERS = 64
_KNOWN_TYPES = {1: np.float32, 6: np.int32, 7: np.int64, 9: np.bool_, 10: np.float16, 11: np.float64}
_Evaluate = Callable[[list[np.ndarray], Mapping[str, Any]], np.ndarray | Sequence[np.ndarray]]


def _divide(inputs: list[np.ndarray], _: Mapping[str, Any]) -> np.ndarray:
    first, second = inputs
    whole = first.dtype.kind in "iu"
    quotient: np.ndarray = np.divide(first, np.where(second == 0, 1, second))
    return np.trunc(quotient).astype(first.dtype) if whole else quotient.astype(first.dtype)


def _axes(inputs: list[np.ndarray], attributes: Mapping[str, Any]) -> tuple[int, ...]:
    """The axes of Squeeze and Unsqueeze: an attribute before opset 13, an input from then on."""
    axes = inputs[1] if len(inputs) > 1 else attributes.get("axes", ())
    return tuple(int(axis) for axis in np.ravel(axes))


def _squeeze(inputs: list[np.ndarray], attributes: Mapping[str, Any]) -> np.ndarray:
    squeezed: np.ndarray = np.squeeze(inputs[0], _axes(inputs, attributes) or None)
    return squeezed


def _slice(inputs: list[np.ndarray], attributes: Mapping[str, Any]) -> np.ndarray:
    data = inputs[0]
    given = inputs[1:] if len(inputs) > 1 else [np.array(attributes[name]) for name in ("starts", "ends", "axes")
                                                if name in attributes]
    starts, ends = (np.ravel(values) for values in given[:2])
    axes = np.ravel(given[2]) if len(given) > 2 else np.arange(len(starts))
    steps = np.ravel(given[3]) if len(given) > 3 else np.ones(len(starts), np.int64)
    where = [slice(None)] * data.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps):
        where[int(axis)] = slice(int(start), int(end), int(step))
    return data[tuple(where)]


def _split(inputs: list[np.ndarray], attributes: Mapping[str, Any]) -> list[np.ndarray]:
    sizes = inputs[1] if len(inputs) > 1 else np.array(attributes["split"])
    return np.split(inputs[0], np.cumsum(sizes)[:-1], int(attributes.get("axis", 0)))


_OPERATORS: Mapping[str, _Evaluate] = {
    "Gather": lambda i, a: np.take(i[0], i[1].astype(np.int64), int(a.get("axis", 0))),
    "Unsqueeze": lambda i, a: np.expand_dims(i[0], _axes(i, a)),
    "Squeeze": _squeeze,
    "Concat": lambda i, a: np.concatenate(i, int(a.get("axis", 0))),
    "Cast": lambda i, a: i[0].astype(_KNOWN_TYPES[a["to"]]),
    "Slice": _slice,
    "Split": _split,
    "Add": lambda i, _: i[0] + i[1],
    "Sub": lambda i, _: i[0] - i[1],
    "Mul": lambda i, _: i[0] * i[1],
    "Div": _divide,
    "Floor": lambda i, _: np.floor(i[0]),
    "Ceil": lambda i, _: np.ceil(i[0]),
    "Identity": lambda i, _: i[0],
    "Reshape": lambda i, _: i[0].reshape([int(size) for size in i[1]]),
    "Equal": lambda i, _: np.equal(i[0], i[1]),
    "Where": lambda i, _: np.where(i[0], i[1], i[2]),
    "ReduceProd": lambda i, a: np.prod(i[0], keepdims=bool(a.get("keepdims", 1))),
}
_WRONG = (ValueError, TypeError, IndexError, KeyError, OverflowError, FloatingPointError)


def fold_node(onnx: Any, node: Any, shapes: Mapping[str, tuple[int | None, ...]], numbers: Mapping[str, np.ndarray]
              ) -> Sequence[np.ndarray]:
    """Computes the outputs of a node, where they follow from shapes and known numbers.

    Args:
        onnx: The package.
        node: The node.
        shapes: Of the values whose shapes are known, by name.
        numbers: Known numbers by name.

    Returns:
        The outputs; none if they are not known, or have more than ``MOST_NUMBERS`` numbers.
    """
    if node.op_type == "Shape":
        shape = shapes.get(node.input[0])
        if shape is None or None in shape or node.attribute:
            return ()
        return [np.array(shape, np.int64)]
    results = _fold_node(onnx, node, numbers)
    return results if all(result.size <= MOST_NUMBERS for result in results) else ()


def _fold_node(onnx: Any, node: Any, values: Mapping[str, np.ndarray]) -> Sequence[np.ndarray]:
    evaluate = _OPERATORS.get(node.op_type)
    inputs = [values.get(name) for name in node.input if name]
    if evaluate is None or not inputs or any(value is None for value in inputs):
        return ()
    if math.prod(value.size for value in inputs if value is not None) > MOST_NUMBERS ** 3:
        return ()
    attributes = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    try:
        with np.errstate(all="ignore"):
            result = evaluate([value for value in inputs if value is not None], attributes)
    except _WRONG:
        return ()
    return [np.asarray(value) for value in result] if isinstance(result, list) else [np.asarray(result)]
