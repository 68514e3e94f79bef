"""Goes through an ONNX graph and finds for every value whether it is of the body, of the tail, or a number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...network.onnx.reading import load_onnx_package
from ...tiles.operators.routing import ChannelSelect
from ...tiles.tail_operators import OPERATORS, compute
from .body import NEEDED, NO_OPERATOR, Body
from .elements import lower_elements
from .layouts import MOVES, lower_concat, lower_move, lower_resize
from .values import CannotLower, Known, Loose, Pointwise, Tensor, Value
from .windows import lower_average_pool, lower_convolution, lower_max_pool, lower_pad

INPUT = "image"
_BGR = (2, 1, 0)
_MOST_NUMBERS = 1 << 28
"""Of all results that are computed while a network is lowered."""
_MOST_WEIGHTS = 4096
"""Of a product of matrices in the tail: it sums bins, and is no layer."""
_SHAPE_ONLY = ("Shape", "Size")
_PASS = frozenset(("Identity", "Dropout", "Cast"))
_PRODUCTS = ("MatMul", "Conv", "PointConvolution")
_SOFTMAX_BY_AXIS = 13


class Translation:
    """What the values of an ONNX graph are.

    Args:
        model: A checked ModelProto with the unified interface.
        input_name: Its image.
        outputs: The outputs that are needed.
        sizes: Width and height of each probed input.
        is_bgr: Whether the network wants the channels of the RGB image in the other order.

    Attributes:
        nodes: Those of the ONNX graph that the outputs need, in their order.
        values: By name.
        body: The graph.
        attributes: Of the nodes, by their first output.
    """

    def __init__(self, model: Any, input_name: str, outputs: Sequence[str], sizes: Sequence[tuple[int, int]],
                 is_bgr: bool) -> None:
        onnx = load_onnx_package()
        self._onnx, self._count, self._numbers = onnx, len(sizes), 0
        self._opset = max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)
        self.nodes = find_needed(model.graph.node, outputs)
        self._readers = Counter(name for node in self.nodes for name in node.input)
        self._readers.update(outputs)
        self.body = Body(INPUT, [(height, width, len(_BGR)) for width, height in sizes])
        self.values: dict[str, Value] = {}
        self.attributes: dict[str, dict[str, Any]] = {}
        needed = {name for node in self.nodes for name in node.input}
        for tensor in model.graph.initializer:
            if tensor.name in needed and tensor.data_type != onnx.TensorProto.STRING:
                self.values[tensor.name] = self._constant(onnx.numpy_helper.to_array(tensor))
        image = Tensor(INPUT)
        if is_bgr:
            image = self.body.emit(self.nodes[0], f"{INPUT}/bgr", ChannelSelect(_BGR), [INPUT])
        self.values[input_name] = image

    def follow(self) -> None:
        """Goes through all nodes.

        Raises:
            CannotLower: The body or the tail cannot have a node.
        """
        for node in self.nodes:
            self.attributes[node.output[0]] = self._read_attributes(node)
            results = self._lower(node)
            if len(results) < len([name for name in node.output if name]):
                raise CannotLower(node, f"{len(node.output)} outputs: {NO_OPERATOR}")
            self.values.update(zip(node.output, results))

    def _lower(self, node: Any) -> Sequence[Value]:
        values = [self._value(node, name) for name in node.input]
        attributes = self.attributes[node.output[0]]
        if node.op_type == "Shape" and isinstance(values[0], (Tensor, Pointwise)):
            return [self._shape(node, values[0], attributes)]
        if all(value is None or isinstance(value, Known) for value in values):
            return self._fold(node, values, attributes)
        if any(isinstance(value, Loose) for value in values):
            return self._loosen(node, values, attributes)
        is_read_once = self._readers[node.input[0]] == 1
        found = lower_elements(self.body, node, values, attributes, is_read_once)
        found = found or self._lower_other(node, values, attributes)
        return found if found is not None else self._loosen(node, values, attributes)

    def _lower_other(self, node: Any, values: list[Value | None], attributes: dict[str, Any]) -> list[Value] | None:
        """Lowers a node that does not work element by element."""
        body, kind = self.body, node.op_type
        if kind in MOVES:
            return lower_move(body, node, values, attributes)
        made: Value | None = None
        if kind in _PASS and (kind != "Cast" or attributes.get("to") in (1, 10, 11, 16)):
            made = values[0]
        elif kind == "Concat":
            made = lower_concat(body, node, values, attributes)
        elif kind in ("Resize", "Upsample"):
            made = lower_resize(body, node, values, attributes)
        elif kind == "Conv":
            made = lower_convolution(body, node, values, attributes)
        elif kind == "MaxPool":
            made = lower_max_pool(body, node, values, attributes)
        elif kind == "AveragePool":
            made = lower_average_pool(body, node, values, attributes)
        elif kind == "Pad":
            made = lower_pad(body, node, values, attributes)
        return None if made is None else [made]

    def _value(self, node: Any, name: str) -> Value | None:
        if not name:
            return None
        if name not in self.values:
            raise CannotLower(node, f"reads {name!r}, which is no number and no tensor")
        return self.values[name]

    def _shape(self, node: Any, value: Tensor | Pointwise, attributes: dict[str, Any]) -> Known:
        name = value.name if isinstance(value, Tensor) else value.base
        start, end = attributes.get("start", 0), attributes.get("end")
        return Known(tuple(np.array([1, shape[2], shape[0], shape[1]][start:end], np.int64)
                           for shape in self.body.shapes[name]))

    def _constant(self, array: np.ndarray) -> Known:
        if array.dtype.kind == "f" and array.dtype != np.float32:
            array = array.astype(np.float32)
        return Known((array,) * self._count)

    def _fold(self, node: Any, values: list[Value | None], attributes: dict[str, Any]) -> list[Value]:
        """Computes numbers."""
        known = [value for value in values if isinstance(value, Known)]
        is_same = all(array is value.arrays[0] for value in known for array in value.arrays)
        if node.op_type == "Constant":
            tensor = attributes.get("value")
            if tensor is None:
                raise CannotLower(node, "a constant of another kind")
            return [self._constant(np.asarray(tensor))]
        self._check_known(node)
        results = []
        for size in range(1 if is_same else self._count):
            inputs = [value.arrays[size] if isinstance(value, Known) else None for value in values]
            try:
                found = compute(node.op_type, inputs, _for_split(node, attributes))
            except ValueError as error:
                raise CannotLower(node, str(error)) from error
            self._numbers += sum(part.size for part in found)
            if self._numbers > _MOST_NUMBERS:
                raise CannotLower(node, "too many numbers are computed before the picture is known")
            results.append(found)
        if is_same:
            return [Known((part,) * self._count) for part in results[0]]
        return [Known(tuple(parts)) for parts in zip(*results)]

    def _loosen(self, node: Any, values: list[Value | None], attributes: dict[str, Any]) -> list[Value]:
        """Makes a node one of the tail."""
        first = next((value.node for value in values if isinstance(value, Loose)), node)
        if node.op_type == "Conv":
            weight = values[1]
            shape: tuple[int, ...] = weight.arrays[0].shape if isinstance(weight, Known) else ()
            if len(shape) != 4 or shape[0] != 1 or shape[2:] != (1, 1) or attributes.get("group", 1) != 1 or max(
                    *attributes.get("strides", [1]), *attributes.get("pads", [0])) > 1:
                raise CannotLower(first, NEEDED)
        elif node.op_type == "MatMul":
            weight = next((value for value in values if isinstance(value, Known)), None)
            if weight is None or weight.arrays[0].size > _MOST_WEIGHTS:
                raise CannotLower(first, NEEDED)
        else:
            self._check_known(node)
        return [Loose(first) for _ in node.output]

    @staticmethod
    def _check_known(node: Any) -> None:
        if node.domain not in ("", "ai.onnx") or node.op_type not in OPERATORS:
            raise CannotLower(node, NO_OPERATOR)

    def _read_attributes(self, node: Any) -> dict[str, Any]:
        """The attributes as JSON can hold them; tensors as arrays."""
        found: dict[str, Any] = {}
        for attribute in node.attribute:
            value = self._onnx.helper.get_attribute_value(attribute)
            if attribute.HasField("t"):
                value = self._onnx.numpy_helper.to_array(attribute.t)
            elif isinstance(value, bytes):
                value = value.decode(errors="replace")
            elif isinstance(value, (list, tuple)) or hasattr(value, "__len__"):
                value = list(value)
            found[attribute.name] = value
        if node.op_type == "ConstantOfShape" and "value" in found:
            found["value"] = np.ravel(found["value"]).tolist()[0]
        if node.op_type == "Constant" and "value" not in found:
            numbers = [value for name, value in found.items() if name.startswith("value_")]
            kind = np.float32 if "value_float" in found or "value_floats" in found else np.int64
            found = {"value": np.array(numbers[0], kind)} if numbers and not isinstance(numbers[0], str) else {}
        if node.op_type == "Softmax" and self._opset < _SOFTMAX_BY_AXIS:
            found = {"axis": found.get("axis", 1), "flat": 1}
        return found


def find_needed(nodes: Sequence[Any], outputs: Sequence[str]) -> list[Any]:
    """The nodes that some outputs need, in their order."""
    wanted, needed = set(outputs), []
    for node in reversed(nodes):
        if not wanted.isdisjoint(node.output):
            needed.append(node)
            wanted.update(name for name in node.input if name)
    missing = [name for name in outputs if all(name not in node.output for node in needed)]
    if missing:
        raise CannotLower(f"output {missing[0]!r}", "no node computes it")
    return needed[::-1]


def _for_split(node: Any, attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**attributes, "count": len(node.output)} if node.op_type == "Split" else attributes
