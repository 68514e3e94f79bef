"""The graph of a quantized network: 8-bit inputs and weights for the convolutions, everything else in fp32.

Every convolution gets its input through a pair of nodes, QuantizeLinear and DequantizeLinear, and its weights from a
DequantizeLinear; runtimes turn these into integer kernels. Outputs of convolutions are not rounded: the activation
behind one, Sigmoid and Mul of a Swish for example, stays in one piece with it, so that runtimes can fuse them.

Weights are int8 with a scale for each output channel. Inputs are uint8 with one range for a tensor; in front of a
depthwise convolution, which does not mix channels, each channel has its own, because one channel that is much larger
than the others would leave them only a few of the 256 steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import UserError, to_one_line
from ...network.onnx.editing import PREFIX, constants_to_weights
from ...network.onnx.reading import load_onnx_package

OPSET = 13
"""The first one with a scale for each channel."""

_AXES_AS_INPUT = 18
"""The first operator set in which the axes of ReduceMin and ReduceMax are an input."""

_STEPS = 255
_LARGEST_WEIGHT = 127
_SMALLEST_SCALE = 1e-8
_POOLED = ("GlobalAveragePool", "GlobalMaxPool", "ReduceMean")
_ELEMENTWISE = ("Relu", "HardSigmoid", "Sigmoid", "Clip", "Add", "Mul", "Div", "LeakyRelu", "HardSwish")


@dataclass(frozen=True)
class ChannelRanges:
    """What the channels of a tensor have held on some pictures.

    Attributes:
        low: float32 [pictures, channels], the smallest value of each channel.
        high: float32 [pictures, channels], the largest.
    """

    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class Convolution:
    """A convolution that can be quantized.

    Attributes:
        output: Name of its output, which identifies it.
        source: Name of the tensor that it reads.
        weights: Name of its weights.
        by_channel: Whether each channel of its input has a range of its own.
    """

    output: str
    source: str
    weights: str
    by_channel: bool


def prepare_model(data: bytes, name: str) -> Any:
    """Reads a model in a form that can be quantized.

    Args:
        data: An ONNX model in fp32.
        name: The network's name, for messages.

    Returns:
        The ModelProto, with at least operator set `OPSET`.

    Raises:
        UserError: The model cannot be brought to that operator set.
    """
    onnx = load_onnx_package()
    model = onnx.load_from_string(data)
    if _find_opset(model) < OPSET:
        try:
            model = onnx.version_converter.convert_version(model, OPSET)
        except Exception as error:  # The converter raises whatever it likes.
            raise UserError(to_one_line(f"{name}: cannot be brought to operator set {OPSET}, which int8 needs: "
                                        f"{error}; export the network with a newer one")) from error
    constants_to_weights(model)
    return model


def find_convolutions(model: Any) -> list[Convolution]:
    """Finds the convolutions that are worth it: those with constant weights that do not read one pixel only.

    Args:
        model: From `prepare_model`.

    Returns:
        The convolutions, in the order of the graph.
    """
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    makers = {output: node for node in model.graph.node for output in node.output}
    pooled = _find_pooled(model)
    found = []
    for node in model.graph.node:
        if node.op_type != "Conv" or node.input[1] not in weights or node.input[0] in pooled:
            continue
        tensor = weights[node.input[1]]
        if tensor.data_type != load_onnx_package().TensorProto.FLOAT:
            continue
        groups = next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)
        maker = makers.get(node.input[0])
        # OpenVINO 2026.4 cannot compile ranges by channel behind a Concat.
        is_joined = maker is not None and maker.op_type == "Concat"
        found.append(Convolution(
            node.output[0], node.input[0], node.input[1], groups > 1 and tensor.dims[1] == 1 and not is_joined))
    return found


def show_ranges(model: Any, convolutions: Sequence[Convolution]) -> tuple[bytes, tuple[str, ...]]:
    """Makes a model whose outputs are the ranges of tensors.

    Args:
        model: From `prepare_model`; it is not changed.
        convolutions: Whose inputs are measured.

    Returns:
        The model, and the names of its outputs: for each different ``source``, in order, the smallest and the largest
        values of its channels, float32 [channels].
    """
    onnx = load_onnx_package()
    copy, outputs = onnx.ModelProto(), []
    copy.CopyFrom(model)
    del copy.graph.output[:]
    axes = np.array([0, 2, 3], np.int64)
    as_input = _find_opset(model) >= _AXES_AS_INPUT
    if as_input:
        copy.graph.initializer.append(onnx.numpy_helper.from_array(axes, f"{PREFIX}axes"))
    inputs, attributes = ([f"{PREFIX}axes"], {}) if as_input else ([], {"axes": axes.tolist()})
    for number, source in enumerate(dict.fromkeys(one.source for one in convolutions)):
        for operator in ("ReduceMin", "ReduceMax"):
            name = f"{PREFIX}{operator}{number}"
            copy.graph.node.append(
                onnx.helper.make_node(operator, [source, *inputs], [name], keepdims=0, **attributes))
            copy.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
            outputs.append(name)
    return copy.SerializeToString(), tuple(outputs)


def quantize_model(model: Any, convolutions: Sequence[Convolution], ranges: Mapping[str, ChannelRanges],
                   widest: bool) -> bytes:
    """Quantizes convolutions.

    Args:
        model: From `prepare_model`; it is not changed.
        convolutions: Those to quantize.
        ranges: By ``source``.
        widest: Whether a range covers the extremes of all pictures; otherwise their mean over the pictures, which cuts
            rare peaks and leaves more steps to everything else.

    Returns:
        The quantized model.
    """
    onnx = load_onnx_package()
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    by_output = {one.output: one for one in convolutions}
    editor, nodes = _Quantizer(onnx, copy, ranges, widest), []
    for node in copy.graph.node:
        chosen = by_output.get(node.output[0])
        if chosen is not None:
            node.input[0], node.input[1] = editor.quantize_input(chosen), editor.quantize_weights(chosen.weights)
            nodes += editor.take_nodes()
        nodes.append(node)
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    used = {name for node in copies for name in node.input} | {output.name for output in copy.graph.output}
    kept = [onnx.TensorProto.FromString(tensor.SerializeToString())
            for tensor in copy.graph.initializer if tensor.name in used]
    for field, values in ((copy.graph.node, copies), (copy.graph.initializer, kept)):
        del field[:]
        field.extend(values)
    # Shapes that the file had noted may not name the new values.
    del copy.graph.value_info[:]
    return bytes(copy.SerializeToString())


def _find_opset(model: Any) -> int:
    return next((int(entry.version) for entry in model.opset_import if entry.domain in ("", "ai.onnx")), OPSET)


class _Quantizer:
    """Adds the nodes and constants of quantized tensors, each once."""

    def __init__(self, onnx: Any, model: Any, ranges: Mapping[str, ChannelRanges], widest: bool) -> None:
        self._onnx, self._graph, self._ranges, self._widest = onnx, model.graph, ranges, widest
        self._weights = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
        self._made: dict[object, str] = {}
        self._nodes: list[Any] = []

    def take_nodes(self) -> list[Any]:
        """The nodes that were added since the last call."""
        nodes, self._nodes = self._nodes, []
        return nodes

    def quantize_input(self, convolution: Convolution) -> str:
        """The name of the quantized input."""
        key = (convolution.source, convolution.by_channel)
        if key not in self._made:
            low, high = _choose_range(self._ranges[convolution.source], convolution.by_channel, self._widest)
            scale = np.maximum((high - low) / _STEPS, _SMALLEST_SCALE).astype(np.float32)
            zero = np.clip(np.rint(-low / scale), 0, _STEPS).astype(np.uint8)
            axis = {"axis": 1} if convolution.by_channel else {}
            names = self._add_constants(scale, zero)
            integers = self._add("QuantizeLinear", [convolution.source, *names], axis)
            self._made[key] = self._add("DequantizeLinear", [integers, *names], axis)
        return self._made[key]

    def quantize_weights(self, name: str) -> str:
        """The name of the quantized weights."""
        if name not in self._made:
            weights = self._weights[name]
            largest = np.abs(weights).reshape(len(weights), -1).max(axis=1)
            scale = np.where(largest > 0, largest / _LARGEST_WEIGHT, 1.0).astype(np.float32)
            steps = np.rint(weights / scale.reshape(-1, *[1] * (weights.ndim - 1)))
            integers = np.clip(steps, -_LARGEST_WEIGHT, _LARGEST_WEIGHT).astype(np.int8)
            names = self._add_constants(integers, scale, np.zeros(len(scale), np.int8))
            self._made[name] = self._add("DequantizeLinear", names, {"axis": 0})
        return self._made[name]

    def _add_constants(self, *values: np.ndarray) -> list[str]:
        names = [f"{PREFIX}int8/{len(self._graph.initializer) + offset}" for offset in range(len(values))]
        self._graph.initializer.extend(map(self._onnx.numpy_helper.from_array, values, names))
        return names

    def _add(self, operator: str, inputs: list[str], attributes: Mapping[str, int]) -> str:
        name = f"{PREFIX}{operator}/{len(self._made)}"
        self._nodes.append(self._onnx.helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name


def _choose_range(ranges: ChannelRanges, by_channel: bool, widest: bool) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest value, each [channels], or [] for all channels. Zero is always between them."""
    low, high = ranges.low, ranges.high
    if not by_channel:
        low, high = low.min(axis=1), high.max(axis=1)
    low, high = (low.min(axis=0), high.max(axis=0)) if widest else (low.mean(axis=0), high.mean(axis=0))
    return np.minimum(low, 0.0), np.maximum(high, 0.0)


def _find_pooled(model: Any) -> set[str]:
    """Names of tensors of one pixel: means of whole channels, and what is computed from them alone."""
    constants = {tensor.name for tensor in model.graph.initializer}
    pooled: set[str] = set()
    for node in model.graph.node:
        inputs = [name for name in node.input if name and name not in constants]
        if node.op_type in _POOLED or (
                node.op_type in ("Conv", *_ELEMENTWISE) and inputs and pooled.issuperset(inputs)):
            pooled.update(node.output)
    return pooled
