"""A network that has only its quantized form, as an ONNX model in float32, so that dense runtimes run it, too.

Weights are the real values of the 8-bit ones. Values between layers, which the tile engine rounds, are not rounded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from ..errors import UserError
from ..network.dense import DenseNetwork, Preprocessing
from ..network.graph import Node
from ..network.onnx.reading import load_onnx_package
from .operators.activations import Kind
from .operators.convolution import Convolution
from .operators.pooling import MaxPool
from .operators.quantized import Quantization
from .operators.resizing import Resize
from .operators.routing import Concat
from .quantization.files import StoredTiles, unpack_tiles
from .tail import Tail

_OPSET, _IR_VERSION = 13, 8
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
    onnx = load_onnx_package()
    graph, known = stored.network.graph, stored.network.quantizations
    made = _Builder(onnx, network.input_name, graph.input)
    for node in graph.nodes:
        add = _EXPORTS.get(type(node.operator))
        if add is None:
            raise UserError(f"network {network.name}: node {node.name}: {type(node.operator).__name__} cannot be "
                            "written as ONNX: use backend cpu or auto, or another network")
        add(made, node, _as_read(known[node.inputs[0]], node, graph.input, network.preprocessing))
    outputs = [_add_rows(made, stored.tail, name, network.name) for name in network.head.outputs]
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    body = helper.make_graph(
        made.nodes, network.name,
        [helper.make_tensor_value_info(network.input_name, floats, [1, 3, "height", "width"])],
        [helper.make_tensor_value_info(name, floats, [1, "cells", "numbers"]) for name in outputs],
        [onnx.numpy_helper.from_array(array, name) for name, array in made.arrays.items()])
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


class _Builder:
    """Nodes and constants of a model in the making.

    Args:
        onnx: The module.
        input_name: Name of the model's input.
        graph_input: Name that the quantized graph has for it.
    """

    def __init__(self, onnx: Any, input_name: str, graph_input: str) -> None:
        self._onnx, self._input, self._graph_input = onnx, input_name, graph_input
        self.nodes: list[Any] = []
        self.arrays: dict[str, np.ndarray] = {}

    def add(self, kind: str, inputs: tuple[str, ...], output: str, **attributes: Any) -> None:
        """Adds a node."""
        names = [self._input if name == self._graph_input else name for name in inputs]
        self.nodes.append(self._onnx.helper.make_node(kind, names, [output], name=output, **attributes))

    def array(self, name: str, values: np.ndarray) -> str:
        """Adds a constant, and returns its name."""
        self.arrays[name] = values
        return name


def _as_read(source: Quantization, node: Node, graph_input: str, preprocessing: Preprocessing
             ) -> tuple[Quantization, bool]:
    """Quantization of a node's input, and whether the model has its channels in reverse: the engine's image is RGB."""
    return source, node.inputs[0] == graph_input and preprocessing.order == "bgr"


def _add_convolution(made: _Builder, node: Node, read: tuple[Quantization, bool]) -> None:
    operator, (source, is_reversed) = node.operator, read
    assert isinstance(operator, Convolution)
    kind = operator.activation.kind
    if kind is not Kind.NONE and kind not in _ACTIVATIONS:
        raise UserError(f"node {node.name}: activation {kind.name} cannot be written as ONNX: use backend cpu or auto, "
                        "or another network")
    weight, bias = restore_weights(node.parameters, operator.groups, source)
    if is_reversed:
        weight = weight[..., ::-1]
    top, left, bottom, right = operator.window.pads
    inputs = (node.inputs[0], made.array(f"{node.name}.weight", np.ascontiguousarray(weight.transpose(0, 3, 1, 2))),
              made.array(f"{node.name}.bias", bias))
    sums = node.name if kind is Kind.NONE else f"{node.name}.sums"
    made.add("Conv", inputs, sums, kernel_shape=operator.window.kernel, strides=[operator.window.stride] * 2,
             pads=[top, left, bottom, right], group=operator.groups)
    if kind is not Kind.NONE:
        made.add(_ACTIVATIONS[kind], (sums,), node.name)


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


def _add_pool(made: _Builder, node: Node, _: tuple[Quantization, bool]) -> None:
    window = node.operator.window  # type: ignore[attr-defined]
    made.add("MaxPool", node.inputs, node.name, kernel_shape=window.kernel, strides=[window.stride] * 2,
             pads=list(window.pads))


def _add_resize(made: _Builder, node: Node, _: tuple[Quantization, bool]) -> None:
    assert isinstance(node.operator, Resize)
    if node.operator.is_linear:
        raise UserError(f"node {node.name}: an interpolation cannot be written as ONNX: use backend cpu or auto, or "
                        "another network")
    scales = made.array(f"{node.name}.scales", np.array([1, 1, node.operator.factor, node.operator.factor], np.float32))
    made.add("Resize", (*node.inputs, "", scales), node.name, mode="nearest",
             coordinate_transformation_mode="asymmetric", nearest_mode="floor")


def _add_concat(made: _Builder, node: Node, _: tuple[Quantization, bool]) -> None:
    made.add("Concat", node.inputs, node.name, axis=1)


_EXPORTS: dict[type, Callable[[_Builder, Node, tuple[Quantization, bool]], None]] = {
    Convolution: _add_convolution, MaxPool: _add_pool, Resize: _add_resize, Concat: _add_concat}


def _add_rows(made: _Builder, tail: Tail, output: str, network: str) -> str:
    """Adds an output [1, cells, numbers] that has the heads' values as they are, and returns its name."""
    if output not in tail.rows:
        raise UserError(f"network {network}: its output {output} cannot be written as ONNX: use backend cpu or auto, "
                        "or another network")
    levels = []
    for number, heads in enumerate(tail.rows[output].levels):
        name = f"{output}.level{number}"
        made.add("Concat", heads, f"{name}.numbers", axis=1)
        # 0 keeps the number of pictures and of channels; the pixels, line by line, are the cells.
        made.add("Reshape", (f"{name}.numbers", made.array(f"{name}.shape", np.array([0, 0, -1], np.int64))), name)
        levels.append(name)
    made.add("Concat", tuple(levels), f"{output}.levels", axis=2)
    made.add("Transpose", (f"{output}.levels",), output, perm=[0, 2, 1])
    return output
