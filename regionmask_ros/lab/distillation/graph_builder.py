"""Builds ONNX graphs of students."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

OPSET, IR_VERSION = 13, 8
UNIT = 64.0
"""Biases and thresholds are integers at scale 2^6."""


@dataclass
class GraphBuilder:
    """Nodes and constants of a graph in the making.

    Attributes:
        onnx: The package.
        rng: Draws random weights.
        nodes: So far.
        constants: So far.
    """

    onnx: Any
    rng: np.random.Generator
    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)

    def add(self, operator: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        """Adds a node with one output; returns its name."""
        self.nodes.append(self.onnx.helper.make_node(operator, list(inputs), [name], name=name, **attributes))
        return name

    def constant(self, name: str, value: np.ndarray) -> str:
        """Adds a constant; returns its name."""
        self.constants.append(self.onnx.numpy_helper.from_array(value, name))
        return name

    def conv(self, source: str, name: str, shape: tuple[int, int, int], stride: int = 1,
             given: tuple[np.ndarray, np.ndarray] | None = None, rectified: bool = True) -> str:
        """A convolution of (inputs, outputs, kernel)."""
        inputs, outputs, kernel = shape
        if given is None:
            spread = np.sqrt(2.0 / (inputs * kernel * kernel))
            given = (self.rng.normal(0.0, spread, (outputs, inputs, kernel, kernel)), np.zeros(outputs))
        names = [source, *(self.constant(f"{name}.{part}", value.astype(np.float32))
                           for part, value in zip(("weight", "bias"), given))]
        pad = kernel // 2
        made = self.add("Conv", names, f"{name}.sum" if rectified else name, kernel_shape=[kernel, kernel],
                        strides=[stride, stride], pads=[pad, pad, pad, pad])
        return self.add("Relu", [made], name) if rectified else made

    def finish(self, name: str, numbers: int) -> Any:
        """The checked ModelProto: input ``images``, output ``output``, [1, cells, numbers]."""
        helper, kind = self.onnx.helper, self.onnx.TensorProto.FLOAT
        graph = helper.make_graph(
            self.nodes, name, [helper.make_tensor_value_info("images", kind, [1, 3, "height", "width"])],
            [helper.make_tensor_value_info("output", kind, [1, "cells", numbers])], self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)],
                                  producer_name="regionmask_ros")
        model.ir_version = IR_VERSION
        self.onnx.checker.check_model(model)
        return model
