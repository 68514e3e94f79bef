"""A network that has only its quantized form, as an ONNX model in float32, so that dense runtimes run it, too.

Weights are the real values of the 8-bit ones. Values between layers, which the tile engine rounds, are not rounded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from ..errors import UserError
from ..network.dense import DenseNetwork
from ..network.graph import Node
from ..network.onnx.building import GraphBuilder
from .operators.activations import Kind
from .operators.convolution import Convolution
from .operators.geometry import Window
from .operators.pooling import MaxPool
from .operators.quantized import Quantization
from .operators.resizing import Resize
from .operators.routing import Concat
from .quantization.files import StoredTiles, unpack_tiles

_ACTIVATIONS = {Kind.RELU: "Relu", Kind.SIGMOID: "Sigmoid"}
_made: WeakKeyDictionary[DenseNetwork, bytes] = WeakKeyDictionary()


def find_model(network: DenseNetwork) -> bytes:
    """The ONNX model of a network: its own, or one made from its quantized form.

    Args:
        network: The network.

    Returns:
        The content of an ONNX file.

    Raises:
        UserError: The package onnx is missing, or an operator cannot be exported.
        InvalidFile: The quantized form is damaged.
    """
    if network.model:
        return network.model
    if network not in _made:
        _made[network] = make_model(unpack_tiles(network.tiles), network)
    return _made[network]


def make_model(stored: StoredTiles, network: DenseNetwork) -> bytes:
    """Makes an ONNX model in float32 of a quantized network.

    Args:
        stored: The quantized network. Its heads are outputs as they are, see ``RowsLayout``.
        network: Names of the input and of the outputs, and the preprocessing.

    Returns:
        The content of an ONNX file; its input is float [1, 3, height, width], preprocessed.

    Raises:
        UserError: An operator cannot be exported, or the package onnx is missing.
    """
    export = _Export(stored, network)
    for node in stored.network.graph.nodes:
        export.add_node(node)
    for name in network.head.outputs:
        export.add_rows(name)
    content: bytes = export.make.finish(network.name, network.input_name, network.head.outputs).SerializeToString()
    return content


class _Export:
    """A quantized network on its way to an ONNX model.

    Args:
        stored: The quantized network.
        network: The same.
    """

    def __init__(self, stored: StoredTiles, network: DenseNetwork) -> None:
        self.make = GraphBuilder()
        self._stored, self._network = stored, network
        self._operators: dict[type, Callable[[Node, tuple[str, ...]], None]] = {
            Convolution: self._add_convolution, MaxPool: self._add_pool, Resize: self._add_resize,
            Concat: self._add_concat}

    def add_node(self, node: Node) -> None:
        """Adds an operator."""
        add = self._operators.get(type(node.operator))
        if add is None:
            raise self._refuse(f"node {node.name}: {type(node.operator).__name__}")
        image = self._stored.network.graph.input
        add(node, tuple(self._network.input_name if name == image else name for name in node.inputs))

    def add_rows(self, output: str) -> None:
        """Adds an output [1, cells, numbers] that has the heads' values as they are."""
        rows = self._stored.tail.rows.get(output)
        if rows is None:
            raise self._refuse(f"its output {output}")
        levels = []
        for number, heads in enumerate(rows.levels):
            name = f"{output}.level{number}"
            self.make.add("Concat", heads, f"{name}.numbers", axis=1)
            # 0 keeps the number of pictures and of channels; the pixels, line by line, are the cells.
            shape = self.make.constant(f"{name}.shape", np.array([0, 0, -1], np.int64))
            levels.append(self.make.add("Reshape", (f"{name}.numbers", shape), name))
        self.make.add("Concat", levels, f"{output}.levels", axis=2)
        self.make.add("Transpose", (f"{output}.levels",), output, perm=[0, 2, 1])

    def _add_convolution(self, node: Node, inputs: tuple[str, ...]) -> None:
        operator, source = node.operator, self._stored.network.quantizations[node.inputs[0]]
        assert isinstance(operator, Convolution)
        kind = operator.activation.kind
        if kind is not Kind.NONE and kind not in _ACTIVATIONS:
            raise self._refuse(f"node {node.name}: activation {kind.name}")
        weight, bias = restore_weights(node.parameters, operator.groups, source)
        if inputs[0] == self._network.input_name and self._network.preprocessing.order == "bgr":
            weight = weight[..., ::-1]  # the engine's image is RGB
        constants = (self.make.constant(f"{node.name}.weight", np.ascontiguousarray(weight.transpose(0, 3, 1, 2))),
                     self.make.constant(f"{node.name}.bias", bias))
        sums = node.name if kind is Kind.NONE else f"{node.name}.sums"
        self.make.add("Conv", (*inputs, *constants), sums, group=operator.groups, **_describe(operator.window))
        if kind is not Kind.NONE:
            self.make.add(_ACTIVATIONS[kind], (sums,), node.name)

    def _add_pool(self, node: Node, inputs: tuple[str, ...]) -> None:
        assert isinstance(node.operator, MaxPool)
        self.make.add("MaxPool", inputs, node.name, **_describe(node.operator.window))

    def _add_resize(self, node: Node, inputs: tuple[str, ...]) -> None:
        assert isinstance(node.operator, Resize)
        if node.operator.is_linear:
            raise self._refuse(f"node {node.name}: an interpolation")
        factor = node.operator.factor
        scales = self.make.constant(f"{node.name}.scales", np.array([1, 1, factor, factor], np.float32))
        self.make.add("Resize", (*inputs, "", scales), node.name, mode="nearest",
                      coordinate_transformation_mode="asymmetric", nearest_mode="floor")

    def _add_concat(self, node: Node, inputs: tuple[str, ...]) -> None:
        self.make.add("Concat", inputs, node.name, axis=1)

    def _refuse(self, what: str) -> UserError:
        return UserError(f"network {self._network.name}: {what} cannot be written as ONNX: use backend cpu or auto, or "
                         "another network")


def _describe(window: Window) -> dict[str, Any]:
    return {"kernel_shape": window.kernel, "strides": [window.stride] * 2, "pads": list(window.pads)}


def restore_weights(parameters: Mapping[str, np.ndarray], groups: int, source: Quantization
                    ) -> tuple[np.ndarray, np.ndarray]:
    """The real weights and biases of a quantized convolution, see ``Convolution.quantize``.

    Args:
        parameters: Of the quantized convolution.
        groups: Of channels.
        source: Quantization of its input.

    Returns:
        float32 [out, rows, cols, in / groups] and [out].
    """
    weight = parameters["weight"].astype(np.float64) * parameters["multiplier"][:, None, None, None]
    by_group = weight.reshape(groups, -1, *weight.shape[1:])
    spread = (groups, 1, 1, 1, -1)
    real = by_group / source.step.astype(np.float64).reshape(spread)
    shifts = (real * source.shift.astype(np.float64).reshape(spread)).reshape(len(weight), -1).sum(1)
    return real.reshape(weight.shape).astype(np.float32), (parameters["bias"] - shifts).astype(np.float32)
