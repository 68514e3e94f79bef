"""The graph of a quantized network: 8-bit inputs and weights for the convolutions, everything else in fp32.

Every convolution gets its input through a pair of nodes, QuantizeLinear and DequantizeLinear, and its weights from a
DequantizeLinear; runtimes turn these into integer kernels. Outputs of convolutions are not rounded: the activation
behind one, Sigmoid and Mul of a Swish for example, stays in one piece with it, so that runtimes can fuse them.

Where nothing but Concat, MaxPool or a nearest Resize lies between an activation and the convolution that reads it, the
pair stands in front of those: they give the same integers, and move a quarter of the bytes. Both terms of a sum behind
a convolution are integers, too: then it can become the last step of that convolution.

Weights are int8 with a scale for each output channel. Inputs are uint8 with one range for a tensor; in front of a
depthwise convolution, which does not mix channels, each channel has its own, because one channel that is much larger
than the others would leave them only a few of the 256 steps.
"""

from __future__ import annotations

from collections import Counter
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
_LARGEST_WEIGHT, _LARGEST_OF_PICTURE = 127, 63
"""Of the convolution that reads the picture, whose values are often near 255: processors without VNNI add two products
in 16 bits, and what does not fit is cut."""

_SMALLEST_SCALE = 1e-8
_NO_IDENTITY = np.float32(1.0 + 2.0**-12)
"""Divides 0 to 255 into the same integers as 1 does."""

_CARRIERS = ("Concat", "MaxPool", "Resize")
"""Operators that can give integers as they read them."""

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


@dataclass(frozen=True)
class Sum:
    """A sum of two tensors, one of which nothing else reads.

    Attributes:
        output: Name of its output, which identifies it.
        sources: Names of the tensors.
    """

    output: str
    sources: tuple[str, ...]


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


def find_sums(model: Any) -> list[Sum]:
    """Finds the sums that can be steps of the convolutions before them.

    Args:
        model: From `prepare_model`.

    Returns:
        The sums, in the order of the graph.
    """
    readers = Counter[str](name for node in model.graph.node for name in node.input)
    readers.update(output.name for output in model.graph.output)
    computed = {name for node in model.graph.node for name in node.output}
    pooled = _find_pooled(model)
    return [Sum(node.output[0], tuple(node.input)) for node in model.graph.node
            if node.op_type == "Add" and computed.issuperset(node.input) and pooled.isdisjoint(node.input)
            and min(readers[name] for name in node.input) == 1]


def list_sources(convolutions: Sequence[Convolution], sums: Sequence[Sum]) -> list[str]:
    """The names of the tensors that they read, each once."""
    read = [one.source for one in convolutions] + [name for one in sums for name in one.sources]
    return list(dict.fromkeys(read))


def show_ranges(model: Any, sources: Sequence[str]) -> tuple[bytes, tuple[str, ...]]:
    """Makes a model whose outputs are the ranges of tensors.

    Args:
        model: From `prepare_model`; it is not changed.
        sources: Names of different tensors.

    Returns:
        The model, and the names of its outputs: for each tensor, in order, the smallest and the largest values of its
        channels, float32 [channels].
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
    for number, source in enumerate(sources):
        for operator in ("ReduceMin", "ReduceMax"):
            name = f"{PREFIX}{operator}{number}"
            copy.graph.node.append(
                onnx.helper.make_node(operator, [source, *inputs], [name], keepdims=0, **attributes))
            copy.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
            outputs.append(name)
    return copy.SerializeToString(), tuple(outputs)


def quantize_model(model: Any, convolutions: Sequence[Convolution], sums: Sequence[Sum],
                   ranges: Mapping[str, ChannelRanges], widest: bool) -> bytes:
    """Quantizes convolutions and sums.

    Args:
        model: From `prepare_model`; it is not changed.
        convolutions: Those to quantize.
        sums: Those that read integers.
        ranges: By ``source``.
        widest: Whether a range covers the extremes of all pictures; otherwise their mean over the pictures, which cuts
            rare peaks and leaves more steps to everything else.

    Returns:
        The quantized model.
    """
    onnx = load_onnx_package()
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    by_output: dict[str, Convolution | Sum] = {one.output: one for one in convolutions}
    by_output.update({one.output: one for one in sums})
    pictures = {entry.name for entry in copy.graph.input}
    editor, nodes = _Quantizer(onnx, copy, ranges, widest), []
    for node in copy.graph.node:
        chosen = by_output.get(node.output[0])
        if isinstance(chosen, Sum):
            node.input[:] = [editor.quantize_tensor(source, by_channel=False) for source in chosen.sources]
        elif chosen is not None:
            node.input[0] = editor.quantize_tensor(chosen.source, chosen.by_channel)
            largest = _LARGEST_OF_PICTURE if chosen.source in pictures else _LARGEST_WEIGHT
            node.input[1] = editor.quantize_weights(chosen.weights, largest)
        nodes += [*editor.take_nodes(), node]
    used, copies = {output.name for output in copy.graph.output}, list[Any]()
    for node in reversed(nodes):
        # The readers of some nodes now read copies of them that give integers.
        if not used.isdisjoint(node.output):
            used.update(node.input)
            copies.insert(0, onnx.NodeProto.FromString(node.SerializeToString()))
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
        self._makers = {output: node for node in model.graph.node for output in node.output}
        self._made: dict[object, str] = {}
        self._nodes: list[Any] = []

    def take_nodes(self) -> list[Any]:
        """The nodes that were added since the last call."""
        nodes, self._nodes = self._nodes, []
        return nodes

    def quantize_tensor(self, source: str, by_channel: bool) -> str:
        """The name of the quantized tensor."""
        key = (source, by_channel)
        if key not in self._made:
            low, high = _choose_range(self._ranges[source], by_channel, self._widest)
            scale = np.maximum((high - low) / _STEPS, _SMALLEST_SCALE).astype(np.float32)
            zero = np.clip(np.rint(-low / scale), 0, _STEPS).astype(np.uint8)
            if scale.ndim == 0 and scale == 1.0 and zero == 0:
                # OpenVINO 2026.4 removes a pair that changes nothing, and then computes in fp32 what reads a picture.
                scale = _NO_IDENTITY
            self._made[key] = self._carry(source, tuple(self._add_constants(scale, zero)), by_channel)
        return self._made[key]

    def _carry(self, source: str, constants: tuple[str, ...], by_channel: bool) -> str:
        """Quantizes a tensor, or what it is put together from."""
        key = (source, constants)
        if key not in self._made:
            maker = self._makers.get(source)
            if maker is not None and not by_channel and _is_carrier(maker):
                inputs = list(maker.input)
                moved = len(inputs) if maker.op_type == "Concat" else 1
                inputs[:moved] = [self._carry(name, constants, by_channel) for name in inputs[:moved]]
                copy = self._onnx.NodeProto.FromString(maker.SerializeToString())
                copy.name = copy.output[0] = f"{PREFIX}{maker.op_type}/{len(self._made)}"
                copy.input[:] = inputs
                self._nodes.append(copy)
                self._made[key] = copy.output[0]
            else:
                axis = {"axis": 1} if by_channel else {}
                integers = self._add("QuantizeLinear", [source, *constants], axis)
                self._made[key] = self._add("DequantizeLinear", [integers, *constants], axis)
        return self._made[key]

    def quantize_weights(self, name: str, limit: int) -> str:
        """The name of the quantized weights, whose largest integer is ``limit``."""
        key = (name, limit)
        if key not in self._made:
            weights = self._weights[name]
            largest = np.abs(weights).reshape(len(weights), -1).max(axis=1)
            scale = np.where(largest > 0, largest / limit, 1.0).astype(np.float32)
            steps = np.rint(weights / scale.reshape(-1, *[1] * (weights.ndim - 1)))
            integers = np.clip(steps, -limit, limit).astype(np.int8)
            names = self._add_constants(integers, scale, np.zeros(len(scale), np.int8))
            self._made[key] = self._add("DequantizeLinear", names, {"axis": 0})
        return self._made[key]

    def _add_constants(self, *values: np.ndarray) -> list[str]:
        names = [f"{PREFIX}int8/{len(self._graph.initializer) + offset}" for offset in range(len(values))]
        self._graph.initializer.extend(map(self._onnx.numpy_helper.from_array, values, names))
        return names

    def _add(self, operator: str, inputs: list[str], attributes: Mapping[str, int]) -> str:
        name = f"{PREFIX}{operator}/{len(self._made)}"
        self._nodes.append(self._onnx.helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name


def _is_carrier(node: Any) -> bool:
    """Whether a node gives the values that it reads, and nothing else."""
    mode = next((attribute.s for attribute in node.attribute if attribute.name == "mode"), b"nearest")
    return node.op_type in _CARRIERS and mode == b"nearest" and len(node.output) == 1


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
