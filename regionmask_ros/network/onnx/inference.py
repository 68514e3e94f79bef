"""Shapes of all values of a graph at a given input size, without running it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .folding import MOST_NUMBERS, fold_numbers
from .interface import set_input_size
from .reading import load_onnx_package

Shape = tuple[int | None, ...]
_FEW = 4096
"""Constants with more numbers than this cannot be shapes; inference goes faster without them."""
_MOST_ROUNDS = 8


@dataclass(frozen=True)
class Inferred:
    """What is known of a graph's values at one input size.

    Attributes:
        shapes: By name.
        numbers: Values of small arrays that do not depend on the picture, by name.
    """

    shapes: Mapping[str, Shape]
    numbers: Mapping[str, np.ndarray]


def strip_weights(model: Any) -> Any:
    """A copy of a ModelProto whose large constants are inputs, so that only their shapes are left."""
    onnx = load_onnx_package()
    stripped = onnx.ModelProto()
    stripped.ir_version = model.ir_version
    stripped.opset_import.extend(model.opset_import)
    stripped.graph.name = "shapes"
    stripped.graph.node.extend(model.graph.node)
    stripped.graph.input.extend(model.graph.input)
    stripped.graph.output.extend(model.graph.output)
    for tensor in model.graph.initializer:
        if math.prod(tensor.dims) > _FEW:
            stripped.graph.input.append(
                onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)))
        else:
            stripped.graph.initializer.append(tensor)
    return stripped


class ShapeInference:
    """Infers shapes of one graph at several sizes.

    Args:
        model: The ModelProto. It is copied without its weights.
        input_name: The image.
    """

    def __init__(self, model: Any, input_name: str) -> None:
        self._onnx = onnx = load_onnx_package()
        self._input_name = input_name
        self._graph = strip_weights(model)
        self._weights = [value for value in self._graph.graph.input if value.name != input_name]
        self._numbers = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in self._graph.graph.initializer
                         if math.prod(tensor.dims) <= MOST_NUMBERS and tensor.data_type != onnx.TensorProto.STRING}

    def infer(self, wh: tuple[int, int], constants: Mapping[str, np.ndarray]) -> Inferred:
        """Infers all shapes.

        Args:
            wh: Width and height of the input.
            constants: Values by name that replace those of constants, or are added.

        Returns:
            What is known.
        """
        known = {name: value for name, value in {**self._numbers, **constants}.items() if value.size <= MOST_NUMBERS}
        shapes = self._infer_once(wh, constants)
        for _ in range(_MOST_ROUNDS):
            found = fold_numbers(self._graph.graph, shapes, known)
            if not found or not self._is_unknown(shapes):
                break
            shapes = self._infer_once(wh, {**known, **constants})
        return Inferred(shapes, known)

    def _is_unknown(self, shapes: Mapping[str, Shape]) -> bool:
        return any(None in shapes.get(name, (None,)) for node in self._graph.graph.node for name in node.output[:1])

    def _infer_once(self, wh: tuple[int, int], constants: Mapping[str, np.ndarray]) -> dict[str, Shape]:
        """Infers shapes; nodes whose outputs are among the constants are left out."""
        onnx, model = self._onnx, self._onnx.ModelProto()
        model.CopyFrom(self._graph)
        graph = model.graph
        del graph.initializer[:]
        graph.initializer.extend(t for t in self._graph.graph.initializer if t.name not in constants)
        graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in constants.items())
        if any(name in constants for node in graph.node for name in node.output):
            del graph.node[:]
            graph.node.extend(node for node in self._graph.graph.node if not all(
                name in constants for name in node.output if name))
        set_input_size(model, self._input_name, wh)
        graph.input.extend(weight for weight in self._weights if weight.name not in constants)
        try:
            inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
        except Exception:  # noqa: BLE001 - whatever inference raises, the shapes are not known.
            return {}
        found: dict[str, Shape] = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
        for value in [*inferred.input, *inferred.value_info, *inferred.output]:
            if value.type.HasField("tensor_type") and value.type.tensor_type.HasField("shape"):
                found[value.name] = tuple(
                    dim.dim_value if dim.HasField("dim_value") else None for dim in value.type.tensor_type.shape.dim)
        return found
