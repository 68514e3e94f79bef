"""Shapes of all values of a graph at a given input size, without running it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .interface import set_input_size
from .reading import load_onnx_package

Shape = tuple[int | None, ...]
_FEW = 4096
"""Constants with more numbers than this cannot be shapes; inference goes faster without them."""


class ShapeInference:
    """Infers shapes of one graph at several sizes.

    Args:
        model: The ModelProto. It is copied without its weights.
        input_name: The image.
    """

    def __init__(self, model: Any, input_name: str) -> None:
        self._onnx = onnx = load_onnx_package()
        self._input_name = input_name
        self._graph = onnx.ModelProto()
        self._graph.ir_version = model.ir_version
        self._graph.opset_import.extend(model.opset_import)
        self._graph.graph.name = "shapes"
        self._graph.graph.node.extend(model.graph.node)
        self._graph.graph.output.extend(model.graph.output)
        self._weights = []
        for tensor in model.graph.initializer:
            if int(np.prod(tensor.dims, dtype=np.float64)) > _FEW:
                self._weights.append(
                    onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)))
            else:
                self._graph.graph.initializer.append(tensor)

    def infer(self, wh: tuple[int, int], constants: Mapping[str, np.ndarray]) -> dict[str, Shape]:
        """Infers all shapes.

        Args:
            wh: Width and height of the input.
            constants: Values by name that replace those of constants, or are added.

        Returns:
            Shapes by name of the value; those that are not known are missing.
        """
        onnx, model = self._onnx, self._onnx.ModelProto()
        model.CopyFrom(self._graph)
        del model.graph.initializer[:]
        model.graph.initializer.extend(t for t in self._graph.graph.initializer if t.name not in constants)
        model.graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in constants.items())
        set_input_size(model, self._input_name, wh)
        model.graph.input.extend(weight for weight in self._weights if weight.name not in constants)
        try:
            inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
        except Exception:  # noqa: BLE001 - whatever inference raises, the shapes are not known.
            return {}
        found = {tensor.name: tuple(tensor.dims) for tensor in [*model.graph.initializer]}
        for value in [*inferred.input, *inferred.value_info, *inferred.output]:
            if value.type.HasField("tensor_type") and value.type.tensor_type.HasField("shape"):
                found[value.name] = tuple(
                    dim.dim_value if dim.HasField("dim_value") else None for dim in value.type.tensor_type.shape.dim)
        return found
