"""What a graph tells about itself without being run: where outputs come from, normalization, precision, cost."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..dense import Preprocessing
from .editing import read_constants

_MOST_PRODUCERS = 32
_HALF = 10
_BYTES = (2, 3)
_PASS_ON = frozenset(("Cast", "Transpose", "Identity", "Reshape", "Unsqueeze", "Squeeze", "Gather", "Split", "Slice",
                      "Concat", "Resize", "Pad"))
_ARITHMETIC = frozenset(("Sub", "Add", "Mul", "Div", "BatchNormalization"))


def find_producers(model: Any) -> Mapping[str, tuple[str, ...]]:
    """For each output the operators that it was computed with, nearest first, at most 32."""
    makers = {name: node for node in model.graph.node for name in node.output if name}
    found = {}
    for output in model.graph.output:
        operators: list[str] = []
        waiting, seen = deque([output.name]), {output.name}
        while waiting and len(operators) < _MOST_PRODUCERS:
            node = makers.get(waiting.popleft())
            if node is None:
                continue
            operators.append(node.op_type)
            fresh = [name for name in node.input if name and name not in seen]
            seen.update(fresh)
            waiting.extend(fresh)
        found[output.name] = tuple(operators)
    return found


def find_precision(model: Any) -> str:
    """The precision of the weights: "fp32", "fp16" or "int8"."""
    sizes = {"fp32": 0, "fp16": 0, "int8": 0}
    for tensor in model.graph.initializer:
        name = "fp16" if tensor.data_type == _HALF else "int8" if tensor.data_type in _BYTES else "fp32"
        sizes[name] += math.prod(tensor.dims)
    return max(sizes, key=lambda name: sizes[name])


def find_normalization(model: Any, input_name: str) -> Preprocessing | None:
    """The input that a graph expects which normalizes it itself, before its first convolution.

    Args:
        model: The ModelProto with the unified interface.
        input_name: The image.

    Returns:
        The preprocessing that is left to do; None if the graph does not normalize.
    """
    constants = read_constants(model)
    reached, steps = {input_name}, []
    for node in model.graph.node:
        if reached.isdisjoint(node.input):
            continue
        if node.op_type in _ARITHMETIC:
            values = [constants[name].astype(np.float64).ravel() for name in node.input if name in constants]
            if len(values) != 1 or values[0].size not in (1, 3):
                continue
            steps.append((node.op_type, values[0]))
        elif node.op_type not in _PASS_ON:
            continue
        reached.update(node.output)
    steps = [(operator, values) for operator, values in steps if operator in ("Sub", "Add", "Mul", "Div")][:2]
    if not steps:
        return None
    means = [np.abs(values) for operator, values in steps if operator in ("Sub", "Add")]
    factors = [values if operator == "Div" else 1.0 / np.where(values == 0, 1, values) for operator, values in steps
               if operator in ("Mul", "Div")]
    largest = max((float(np.max(np.abs(values))) for values in [*means, *factors]), default=0.0)
    order = "rgb"
    if means and means[0].size == 3 and means[0][0] < means[0][2]:
        order = "bgr"  # The usual means fall from red to blue.
    scale = 1.0 if largest > 4.0 else 255.0
    return Preprocessing(order, deviation=(scale,) * 3)
