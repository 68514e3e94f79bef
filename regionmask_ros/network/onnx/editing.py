"""Small edits of a graph that several modules need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .reading import load_onnx_package

PREFIX = "regionmask/"
"""In front of the names of nodes and values that are added to a graph."""


class GraphEditor:
    """Adds nodes to a graph, which are put in front of all others when ``finish`` is called.

    Args:
        model: The ModelProto, which is changed.
    """

    def __init__(self, model: Any) -> None:
        self._onnx = load_onnx_package()
        self.graph = model.graph
        self._front: list[Any] = []
        self._names: dict[object, str] = {}
        self._taken = {name for node in model.graph.node for name in node.output}
        self._taken.update(tensor.name for tensor in model.graph.initializer)

    def add(self, op_type: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Adds a node with one output.

        Args:
            op_type: A standard operator.
            inputs: Names of its inputs.
            attributes: Its attributes.

        Returns:
            The name of the output. The same node is added once only.
        """
        key = (op_type, tuple(inputs), repr(sorted(attributes.items())))
        if key not in self._names:
            name = self._names[key] = self._new_name(op_type.lower())
            self._front.append(self._onnx.helper.make_node(op_type, list(inputs), [name], name=name, **attributes))
        return self._names[key]

    def constant(self, value: np.ndarray) -> str:
        """Adds a constant and returns its name."""
        key = (value.dtype.str, value.shape, value.tobytes())
        if key not in self._names:
            name = self._names[key] = self._new_name("constant")
            self.graph.initializer.append(self._onnx.numpy_helper.from_array(value, name))
        return self._names[key]

    def integers(self, *values: int) -> str:
        """Adds a list of int64 and returns its name."""
        return self.constant(np.array(values, np.int64))

    def type_of(self, dtype: np.dtype) -> int:
        """The number of a type in onnx.proto."""
        return int(self._onnx.helper.np_dtype_to_tensor_dtype(dtype))

    def finish(self) -> None:
        """Puts the added nodes in front of the others."""
        nodes = [*self._front, *self.graph.node]
        self._front = []
        del self.graph.node[:]
        self.graph.node.extend(nodes)

    def _new_name(self, word: str) -> str:
        number = len(self._taken)
        while f"{PREFIX}{word}_{number}" in self._taken:
            number += 1
        self._taken.add(f"{PREFIX}{word}_{number}")
        return f"{PREFIX}{word}_{number}"


def read_constants(model: Any) -> dict[str, np.ndarray]:
    """The small constants of a graph by name: those that can be shapes, sizes and factors."""
    onnx = load_onnx_package()
    return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer
            if tensor.data_type != onnx.TensorProto.STRING}


def constants_to_weights(model: Any) -> None:
    """Turns the nodes "Constant" that hold a tensor or numbers into initializers."""
    onnx = load_onnx_package()
    kept = []
    for node in model.graph.node:
        value = _constant_value(onnx, node) if node.op_type == "Constant" else None
        if value is None:
            kept.append(node)
        else:
            tensor = onnx.TensorProto()
            tensor.CopyFrom(value)
            tensor.name = node.output[0]
            model.graph.initializer.append(tensor)
    if len(kept) < len(model.graph.node):
        copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in kept]
        del model.graph.node[:]
        model.graph.node.extend(copies)


def _constant_value(onnx: Any, node: Any) -> Any:
    """The TensorProto of a constant; None for texts and sparse ones."""
    for attribute in node.attribute:
        if attribute.name == "value":
            return attribute.t
        if attribute.name in ("value_int", "value_ints"):
            value = attribute.i if attribute.name == "value_int" else list(attribute.ints)
            return onnx.numpy_helper.from_array(np.array(value, np.int64))
        if attribute.name in ("value_float", "value_floats"):
            value = attribute.f if attribute.name == "value_float" else list(attribute.floats)
            return onnx.numpy_helper.from_array(np.array(value, np.float32))
    return None
