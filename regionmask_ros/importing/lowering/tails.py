"""Makes the tail: the nodes of the ONNX graph behind the body, and what of the body only the tail reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...network.graph import Node
from ...tiles.operators.activations import Activation, Kind
from ...tiles.operators.convolution import Convolution
from ...tiles.operators.elementwise import Activate, Add, Multiply
from ...tiles.operators.geometry import Window
from ...tiles.operators.routing import ChannelSelect, Concat
from ...tiles.tail import INPUT_SHAPE, Step
from .fusion import find_body
from .translation import Translation
from .values import CannotLower, Known, Padded, Pointwise, Tensor

_MOVABLE = (Activate, Add, Multiply, ChannelSelect, Concat)
_HEAD = "/head"


class TailMaker:
    """Collects the steps of a tail.

    Args:
        translation: Of the whole graph.
        outputs: Of the ONNX graph, those that are needed.

    Attributes:
        steps: In their order.
        arrays: Constants.
        reads: Names of tensors of the body by the names that the ONNX graph has for them.
    """

    def __init__(self, translation: Translation, outputs: Sequence[str]) -> None:
        self._translation = translation
        self.arrays: dict[str, np.ndarray] = {}
        self.reads: dict[str, str] = {}
        self.steps: list[Step] = []
        wanted = set(outputs)
        needed = []
        for node in reversed(translation.nodes):
            names = wanted.intersection(node.output)
            if names and sum(map(self._is_given, names)) < len(names):
                needed.append(node)
                wanted.update(self._inputs(node))
        for name in wanted:
            self._is_given(name)  # Inputs and constants of the graph, which no node computes.
        for node in reversed(needed):
            self.steps.extend(self._make_steps(node))

    def name_of(self, name: str) -> str:
        """The name in the tail of a value of the ONNX graph."""
        return self.reads.get(name, name)

    def _is_given(self, name: str) -> bool:
        """Whether a value is a constant, or a tensor of the body, and not computed by the tail."""
        value = self._translation.values.get(name)
        if isinstance(value, Padded):
            raise CannotLower(value.node, "pads what is not convolved")
        if isinstance(value, Known):
            fixed = value.fixed
            if fixed is not None:
                self.arrays[name] = fixed
            return fixed is not None
        tensor = self._translation.body.find(value) if isinstance(value, (Tensor, Pointwise)) else None
        if tensor is not None:
            self.reads[name] = tensor.name
        return tensor is not None

    def _inputs(self, node: Any) -> list[str]:
        return [] if self._is_shape(node) else [name for name in node.input if name]

    def _is_shape(self, node: Any) -> bool:
        return node.op_type == "Shape" and isinstance(self._translation.values[node.input[0]], (Tensor, Pointwise))

    def _make_steps(self, node: Any) -> list[Step]:
        attributes = {name: value for name, value in self._translation.attributes[node.output[0]].items()
                      if not isinstance(value, np.ndarray)}
        inputs = tuple(self.name_of(name) for name in node.input)
        if self._is_shape(node):
            return self._shape_steps(node, attributes)
        if node.op_type == "Conv":
            return [Step("PointConvolution", inputs, tuple(node.output))]
        return [Step(node.op_type, inputs, tuple(node.output), attributes)]

    def _shape_steps(self, node: Any, attributes: dict[str, Any]) -> list[Step]:
        """The shape of a tensor of the body, from that of the input."""
        value = self._translation.values[node.input[0]]
        assert isinstance(value, (Tensor, Pointwise))
        body = self._translation.body
        name = value.name if isinstance(value, Tensor) else value.base
        images = next(iter(body.shapes.values()))
        strides = {whole // part if part and whole % part == 0 else 0
                   for image, shape in zip(images, body.shapes[name]) for whole, part in zip(image[:2], shape[:2])}
        if len(strides) != 1 or 0 in strides:
            raise CannotLower(node, "the size of a tensor that is not in proportion to that of the picture")
        whole = Step(INPUT_SHAPE, (), (f"{node.output[0]}/whole",),
                     {"channels": body.channels(name), "stride": strides.pop()})
        start, end = attributes.get("start", 0), attributes.get("end", 4)
        return [whole, Step("Slice", whole.outputs, tuple(node.output), {"starts": [start], "ends": [end]})]


def separate(nodes: Sequence[Node], reads: Sequence[str], channels: Mapping[str, int]
             ) -> tuple[list[Node], dict[str, str], list[Step], dict[str, np.ndarray]]:
    """Separates heads from the body, and moves what no convolution needs into the tail.

    Args:
        nodes: Of the graph.
        reads: Names of the tensors that the tail reads.
        channels: Of every tensor.

    Returns:
        The nodes that stay; names of the heads by the names of the tensors; the first steps of the tail, and their
        constants.
    """
    body, wanted = find_body(nodes), set(reads)
    moved: list[Node] = []
    for node in reversed(nodes):
        if node.name in wanted and node.name not in body and isinstance(node.operator, _MOVABLE):
            moved.append(node)
            wanted.remove(node.name)
            wanted.update(node.inputs)
    left = {node.name for node in moved}
    result: list[Node] = []
    heads: dict[str, str] = {}
    computed = {node.name for node in nodes}
    for name in sorted(wanted - computed):
        heads[name] = f"{name}{_HEAD}"
        result.append(_copy_as_head(name, channels[name]))
    for node in nodes:
        if node.name in left:
            continue
        if node.name not in wanted:
            result.append(node)
            continue
        is_convolution = isinstance(node.operator, Convolution)
        if node.name in body or not is_convolution:
            result.append(node)
            heads[node.name] = f"{node.name}{_HEAD}"
        else:
            heads[node.name] = node.name
        result.append(Node(heads[node.name], replace(node.operator, is_head=True), node.inputs, node.parameters)
                      if isinstance(node.operator, Convolution) else _copy_as_head(node.name, channels[node.name]))
    steps: list[Step] = []
    arrays: dict[str, np.ndarray] = {}
    for node in reversed(moved):
        steps.extend(_as_steps(node, [heads.get(name, name) for name in node.inputs], arrays))
    return result, heads, steps, arrays


def _copy_as_head(name: str, channels: int) -> Node:
    """A convolution that makes a tensor of the body float32, for the tail."""
    parameters = {"weight": np.ones((channels, 1, 1, 1), np.float32), "bias": np.zeros(channels, np.float32)}
    return Node(f"{name}{_HEAD}", Convolution(Window((1, 1)), channels, is_head=True), (name,), parameters)


def _as_steps(node: Node, inputs: Sequence[str], arrays: dict[str, np.ndarray]) -> list[Step]:
    """The same operation in the tail."""
    def activate(name: str, activation: Activation, parameters: Mapping[str, np.ndarray]) -> Step:
        for part in ("factor", "addend"):
            arrays[f"{node.name}/{part}"] = parameters[part].reshape(1, -1, 1, 1)
        return Step("Activate", (name, f"{node.name}/factor", f"{node.name}/addend"), (node.name,),
                    {"kind": activation.kind.value, "alpha": activation.alpha, "beta": activation.beta})

    operator = node.operator
    if isinstance(operator, Concat):
        return [Step("Concat", tuple(inputs), (node.name,), {"axis": 1})]
    if isinstance(operator, ChannelSelect):
        arrays[f"{node.name}/channels"] = np.array(operator.channels, np.int64)
        return [Step("Gather", (inputs[0], f"{node.name}/channels"), (node.name,), {"axis": 1})]
    if isinstance(operator, Activate):
        return [activate(inputs[0], operator.activation, node.parameters)]
    assert isinstance(operator, (Add, Multiply))
    kind = "Add" if isinstance(operator, Add) else "Mul"
    if operator.activation.kind is Kind.NONE:
        return [Step(kind, tuple(inputs), (node.name,))]
    plain = {"factor": np.ones(1, np.float32), "addend": np.zeros(1, np.float32)}
    return [Step(kind, tuple(inputs), (f"{node.name}/plain",)), activate(
        f"{node.name}/plain", operator.activation, plain)]
