"""Shapes of all values of a graph at a given input size, node by node, without running it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from .folding import MOST_NUMBERS, fold_node
from .reading import STANDARD_DOMAINS, load_onnx_package

Shape = tuple[int | None, ...]
_FLOAT = 1


class ShapeInference:
    """What is known of a graph's values at one input size. Nodes are followed in their order, by ``follow``.

    Args:
        model: The ModelProto with the unified interface.
        input_name: The image.
        wh: Width and height of the input.

    Attributes:
        shapes: By name of the value. Those that are not known are missing; a length that is not known is None.
        numbers: Small arrays of numbers that do not depend on the picture, by name.
    """

    def __init__(self, model: Any, input_name: str, wh: tuple[int, int]) -> None:
        self._onnx = onnx = load_onnx_package()
        self._opsets = list(model.opset_import)
        self._opset = max(entry.version for entry in model.opset_import if entry.domain in STANDARD_DOMAINS)
        self._types: dict[str, Any] = {}
        self.shapes: dict[str, Shape] = {}
        self.numbers: dict[str, np.ndarray] = {}
        self._set_type(input_name, _FLOAT, (1, 3, wh[1], wh[0]))
        for tensor in model.graph.initializer:
            self._set_type(tensor.name, tensor.data_type, tuple(tensor.dims))
            if math.prod(tensor.dims) <= MOST_NUMBERS and tensor.data_type != onnx.TensorProto.STRING:
                self.numbers[tensor.name] = onnx.numpy_helper.to_array(tensor)

    def set_constant(self, name: str, value: np.ndarray) -> None:
        """Adds a constant."""
        self._set_type(name, int(self._onnx.helper.np_dtype_to_tensor_dtype(value.dtype)), value.shape)
        if value.size <= MOST_NUMBERS:
            self.numbers[name] = value

    def follow(self, node: Any) -> None:
        """Finds out what is known of a node's outputs.

        Args:
            node: The node. Those before it have been followed.
        """
        for name, value in zip(node.output, fold_node(self._onnx, node, self.shapes, self.numbers)):
            self.set_constant(name, value)
        if all(name in self.numbers for name in node.output if name):
            return
        for name, kind in self._infer(node).items():
            if name not in self.shapes and kind.HasField("tensor_type") and kind.tensor_type.HasField("shape"):
                self._types[name] = kind
                self.shapes[name] = tuple(
                    dim.dim_value if dim.HasField("dim_value") else None for dim in kind.tensor_type.shape.dim)

    def _infer(self, node: Any) -> Mapping[str, Any]:
        names = [name for name in node.input if name]
        if any(name not in self._types for name in names):
            return {}
        onnx = self._onnx
        data = {name: onnx.numpy_helper.from_array(self.numbers[name], name) for name in names if name in self.numbers}
        try:
            schema = onnx.defs.get_schema(node.op_type, self._opset, "")
            found: Mapping[str, Any] = onnx.shape_inference.infer_node_outputs(
                schema, node, {name: self._types[name] for name in names}, data, opset_imports=self._opsets)
        except Exception:  # noqa: BLE001 - whatever inference raises, the shapes are not known.
            return {}
        return found

    def _set_type(self, name: str, kind: int, shape: tuple[int, ...]) -> None:
        self._types[name] = self._onnx.helper.make_tensor_type_proto(kind, list(shape))
        self.shapes[name] = shape
