"""Builds ONNX models, node by node. The package onnx is imported when a graph is begun."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .reading import load_onnx_package

OPSET, IR_VERSION = 13, 8


class GraphBuilder:
    """Nodes and constants of a graph in the making.

    Raises:
        UserError: The package onnx is not installed.
    """

    def __init__(self) -> None:
        self._onnx: Any = load_onnx_package()
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def add(self, operator: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        """Adds a node with one output; returns its name."""
        self._nodes.append(self._onnx.helper.make_node(operator, list(inputs), [name], name=name, **attributes))
        return name

    def constant(self, name: str, value: np.ndarray) -> str:
        """Adds a constant; returns its name."""
        self._constants.append(self._onnx.numpy_helper.from_array(value, name))
        return name

    def finish(self, name: str, image: str, outputs: Sequence[str], numbers: int | str = "numbers") -> Any:
        """Ends the graph.

        Args:
            name: Of the graph.
            image: Name of the input, float [1, 3, height, width].
            outputs: Names of the outputs, float [1, cells, numbers].
            numbers: How many numbers a cell has, or a name for it.

        Returns:
            The checked ModelProto.
        """
        helper, kind = self._onnx.helper, self._onnx.TensorProto.FLOAT
        graph = helper.make_graph(
            self._nodes, name, [helper.make_tensor_value_info(image, kind, [1, 3, "height", "width"])],
            [helper.make_tensor_value_info(one, kind, [1, "cells", numbers]) for one in outputs], self._constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)],
                                  producer_name="regionmask_ros", ir_version=IR_VERSION)
        self._onnx.checker.check_model(model)
        return model
