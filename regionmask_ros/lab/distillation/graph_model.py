"""A detector's ONNX graph in torch, with weights that can be trained. Needs torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ...errors import UserError
from .grids import FLOAT, LARGEST, find_steps, round_weight
from .rewrite import find_gated

NORM_EPSILON, NORM_MOMENTUM = 1e-5, 0.03
_ATTRIBUTE_KINDS = {"Conv": ("strides", "pads", "group", "dilations", "kernel_shape"),
                    "MaxPool": ("strides", "pads", "kernel_shape")}


@dataclass(frozen=True)
class Step:
    """A node of the graph.

    Attributes:
        operator: Its ONNX operator.
        name: Of its output.
        inputs: Names of its inputs that are computed.
        numbers: Its attributes and constant inputs.
    """

    operator: str
    name: str
    inputs: tuple[str, ...]
    numbers: Mapping[str, Any]


class GraphModel(nn.Module):
    """A graph of convolutions, as an imported detector has it.

    Sigmoids of objectness and classes are left out: the output has their logits.

    Args:
        model: An ONNX ModelProto with one input and one output.

    Attributes:
        steps: All nodes.
        grid: Grid on which weights are used; their gradients pass unchanged.

    Raises:
        UserError: The graph has an operator that cannot be trained here.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.steps, constants = read_steps(model)
        self.input, self.output = model.graph.input[0].name, model.graph.output[0].name
        self.grid = FLOAT
        self.convolutions = tuple(step for step in self.steps if step.operator == "Conv")
        self._place = {step.name: str(number) for number, step in enumerate(self.convolutions)}
        self._weights, self._biases, self._norms = nn.ParameterDict(), nn.ParameterDict(), nn.ModuleDict()
        for step in self.convolutions:
            weight, bias = step.numbers["weight"], step.numbers["bias"]
            self._weights[self._place[step.name]] = nn.Parameter(torch.from_numpy(np.array(constants[weight])))
            if bias is not None:
                self._biases[self._place[step.name]] = nn.Parameter(torch.from_numpy(np.array(constants[bias])))
        self._last_use = {name: number for number, step in enumerate(self.steps) for name in step.inputs}
        readers = _readers(self.steps)
        self.rectified = frozenset(step.name for step in self.convolutions
                                   if all(reader.operator == "Relu" for reader in readers.get(step.name, ())))
        self._sums: dict[str, torch.Tensor] | None = None
        self._resting: frozenset[str] = frozenset()
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def count_readers(self) -> dict[str, int]:
        """Of each value that a convolution reads, how many do."""
        return dict(Counter(step.inputs[0] for step in self.convolutions))

    def rest(self, names: Iterable[str]) -> None:
        """Lets the convolutions with these outputs stay as they are; without names, all are trained."""
        self._resting = frozenset(names)
        for step in self.convolutions:
            for value in (self.weight(step.name), self.bias(step.name)):
                if value is not None:
                    value.requires_grad_(step.name not in self._resting)

    def parameters_of(self, name: str) -> list[nn.Parameter]:
        """The parameters of a convolution and its normalization that are trained."""
        place = self._place[name]
        norm = [] if place not in self._norms else list(self._norms[place].parameters())
        return [value for value in (self.weight(name), self.bias(name), *norm)
                if value is not None and value.requires_grad]

    def forward(self, image: torch.Tensor, wanted: Sequence[str] = ()) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Computes the graph.

        Args:
            image: float [n, 3, height, width], preprocessed.
            wanted: Names of further values to return.

        Returns:
            The output [n, cells, numbers], and the wanted values.
        """
        values, kept = {self.input: image}, {self.output, *wanted}
        for number, step in enumerate(self.steps):
            inputs = [values[name] for name in step.inputs]
            values[step.name] = (self._convolve(step, inputs[0]) if step.operator == "Conv"
                                 else _OPERATORS[step.operator](inputs, step.numbers))
            for name in step.inputs:
                if self._last_use[name] == number and name not in kept:
                    values.pop(name, None)
        return values[self.output], [values[name] for name in wanted]

    def _convolve(self, step: Step, image: torch.Tensor) -> torch.Tensor:
        place, numbers = self._place[step.name], step.numbers
        norm = self._norms[place] if place in self._norms else None  # noqa: SIM401  a ModuleDict has no get
        bias = self._biases[place] if norm is None and place in self._biases else None
        weight = self._weights[place]
        if self.grid != FLOAT:
            weight = use_rounded(weight, self.grid)
        found = functional.conv2d(image, weight, bias, numbers["strides"], numbers["pads"], numbers["dilations"],
                                  numbers["group"])
        if self._sums is not None:
            self._sums[step.name] = found.detach()
        return found if norm is None else norm(found)

    def add_norms(self, images: Sequence[torch.Tensor], measured: GraphModel | None = None) -> None:
        """Puts a batch normalization between each trained convolution and its rectifier; the function stays the same.

        Args:
            images: Inputs on which means and deviations are measured.
            measured: A model with the same convolutions, whose means and deviations are taken; None: this one.
        """
        measured, names = measured or self, sorted(self.rectified - self._resting)
        moments: dict[str, list[torch.Tensor]] = {}
        with torch.no_grad():
            for image in images:
                measured._sums = {}
                measured(image)
                for name in names:
                    value = measured._sums[name]
                    moments.setdefault(name, []).append(
                        torch.stack([value.mean((0, 2, 3)), value.square().mean((0, 2, 3))]))
            measured._sums = None
            for name, found in moments.items():
                place = self._place[name]
                bias = self._biases[place] if place in self._biases else torch.zeros(len(self._weights[place]))
                whole, square = torch.stack(found).mean(0)
                mean = whole - bias
                deviation = (square - whole.square()).clamp(min=1e-6).sqrt()
                norm = nn.BatchNorm2d(len(mean), eps=NORM_EPSILON, momentum=NORM_MOMENTUM)
                norm.weight.copy_(deviation)
                norm.bias.copy_(whole)
                norm.running_mean.copy_(mean / deviation)
                self._weights[place].div_(deviation.view(-1, 1, 1, 1))
                self._norms[place] = norm
                if place in self._biases:
                    del self._biases[place]

    def measure_norms(self, images: Sequence[torch.Tensor]) -> None:
        """Measures means and deviations of all normalizations anew; averaged weights need their own."""
        for norm in self._norms.values():
            norm.reset_running_stats()
            norm.momentum = None
        self.train()
        with torch.no_grad():
            for image in images:
                self(image)
        for norm in self._norms.values():
            norm.momentum = NORM_MOMENTUM
        self.eval()

    def merge_norms(self) -> None:
        """Merges all normalizations into their convolutions."""
        with torch.no_grad():
            for place, norm in list(self._norms.items()):
                factor = norm.weight / (norm.running_var + norm.eps).sqrt()
                self._weights[place].mul_(factor.view(-1, 1, 1, 1))
                self._biases[place] = nn.Parameter(norm.bias - norm.running_mean * factor)
                del self._norms[place]

    def rounded_weights(self) -> dict[str, tuple[np.ndarray, np.ndarray | None]]:
        """Copies of weight, on the grid, and bias of each convolution, by the name of its output."""
        return {step.name: (round_weight(self.weight(step.name).detach().numpy(), self.grid).copy(),
                            None if (bias := self.bias(step.name)) is None else bias.detach().numpy().copy())
                for step in self.convolutions}

    def weight(self, name: str) -> nn.Parameter:
        """The weight of a convolution."""
        return self._weights[self._place[name]]

    def bias(self, name: str) -> nn.Parameter | None:
        """The bias of a convolution."""
        place = self._place[name]
        return self._biases.get(place)


def use_rounded(weight: torch.Tensor, grid: str) -> torch.Tensor:
    """The weights on a grid; the gradient passes as if they had not been rounded."""
    with torch.no_grad():
        steps = torch.from_numpy(find_steps(weight.numpy(), grid)).view(-1, *[1] * (weight.ndim - 1))
        change = (weight / steps).round().clamp(-LARGEST, LARGEST) * steps - weight
    return weight + change


def read_steps(model: Any) -> tuple[tuple[Step, ...], dict[str, np.ndarray]]:
    """Reads a graph.

    Args:
        model: An ONNX ModelProto.

    Returns:
        Its nodes in order, without sigmoids of the output, and its constants.

    Raises:
        UserError: An operator cannot be trained here.
    """
    import onnx

    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    renamed: dict[str, str] = {}
    steps: list[Step] = []
    users: dict[str, list[str]] = {}
    for node in model.graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node.op_type)
    # A product of a value and its sigmoid that nothing else reads is one operator in place of two passes.
    gates = {node.output[0]: node for node in model.graph.node
             if node.op_type == "Sigmoid" and users.get(node.output[0]) == ["Mul"]}
    gated = {node.output[0]: source for node in model.graph.node
             if node.op_type == "Mul" and (source := find_gated(node, gates)) is not None}
    unread = {name for node in model.graph.node if node.output[0] in gated for name in node.input if name in gates}
    for node in model.graph.node:
        name = node.output[0]
        if node.op_type == "Constant":
            constants[name] = onnx.numpy_helper.to_array(node.attribute[0].t)
            continue
        inputs = tuple(renamed.get(one, one) for one in node.input if one and one not in constants)
        if name in unread:
            continue
        if name in gated:
            steps.append(Step("Silu", name, (renamed.get(gated[name], gated[name]),), {}))
            continue
        if node.op_type == "Sigmoid" and "Mul" not in users.get(name, ()):
            renamed[name] = inputs[0]
            continue
        if node.op_type not in _OPERATORS and node.op_type != "Conv":
            raise UserError(f"node {node.name or name}: operator {node.op_type} cannot be trained here; "
                            f"those that can: Conv {' '.join(sorted(_OPERATORS))}")
        steps.append(Step(node.op_type, name, inputs, _read_numbers(node, constants, onnx)))
    return tuple(steps), constants


def _read_numbers(node: Any, constants: Mapping[str, np.ndarray], onnx: Any) -> dict[str, Any]:
    given = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
    numbers: dict[str, Any] = {}
    if node.op_type in _ATTRIBUTE_KINDS:
        pads, strides = given.get("pads", [0] * 4), tuple(given.get("strides", [1, 1]))
        if list(pads[:2]) != list(pads[2:]):
            raise UserError(f"node {node.name or node.output[0]}: its padding differs by side, which cannot be trained")
        numbers = {"strides": strides, "pads": tuple(pads[:2]), "group": given.get("group", 1),
                   "dilations": tuple(given.get("dilations", [1, 1])), "kernel": tuple(given.get("kernel_shape", ()))}
    if node.op_type == "Conv":
        bias = node.input[2] if len(node.input) > 2 and node.input[2] else None
        if node.input[1] not in constants:
            raise UserError(f"node {node.name or node.output[0]}: its weights are computed; it cannot be trained here")
        numbers |= {"weight": node.input[1], "bias": bias}
    elif node.op_type == "Concat":
        numbers["axis"] = given["axis"]
    elif node.op_type == "Transpose":
        numbers["perm"] = tuple(given["perm"])
    elif node.op_type == "Resize":
        scales = [constants[name] for name in node.input if name in constants and constants[name].size == 4]
        if not scales or not np.array_equal(scales[0], [1, 1, 2, 2]):
            raise UserError(f"node {node.name or node.output[0]}: only an enlargement by two can be trained here")
    return numbers


def _readers(steps: Sequence[Step]) -> dict[str, list[Step]]:
    readers: dict[str, list[Step]] = {}
    for step in steps:
        for name in step.inputs:
            readers.setdefault(name, []).append(step)
    return readers


def _max_pool(inputs: Sequence[torch.Tensor], numbers: Mapping[str, Any]) -> torch.Tensor:
    return functional.max_pool2d(inputs[0], numbers["kernel"], numbers["strides"], numbers["pads"])


_OPERATORS: dict[str, Callable[[Sequence[torch.Tensor], Mapping[str, Any]], torch.Tensor]] = {
    "Relu": lambda inputs, _: functional.relu(inputs[0]),
    "Sigmoid": lambda inputs, _: torch.sigmoid(inputs[0]),
    "Silu": lambda inputs, _: functional.silu(inputs[0]),
    "HardSwish": lambda inputs, _: functional.hardswish(inputs[0]),
    "Mul": lambda inputs, _: inputs[0] * inputs[1],
    "Add": lambda inputs, _: inputs[0] + inputs[1],
    "Concat": lambda inputs, numbers: torch.cat(list(inputs), numbers["axis"]),
    "MaxPool": _max_pool,
    "Resize": lambda inputs, _: functional.interpolate(inputs[0], scale_factor=2, mode="nearest"),
    # The only one in the heads that are trained here: [n, numbers, rows, columns] to [n, numbers, cells].
    "Reshape": lambda inputs, _: inputs[0].flatten(2),
    "Transpose": lambda inputs, numbers: inputs[0].permute(numbers["perm"]),
}
