"""Collects the nodes of the graph, with their shapes at the probed input sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...network.graph import Node, Operator, Shape
from ...tiles.operators.activations import IDENTITY
from ...tiles.operators.elementwise import Activate, Add, Multiply
from .pointwise import BASE, make_call, recognize
from .values import Call, CannotLower, Known, Loose, Moved, Padded, Pointwise, Tensor, Value

NO_OPERATOR = "not an operator of the tile engine, so that this network runs on a dense runtime"
NEEDED = "the tile engine cannot have it in front of a convolution, so that this network runs on a dense runtime"


class Body:
    """The nodes of the graph so far.

    Args:
        name: Of the input.
        shapes: Of the input, one for each probed size.

    Attributes:
        nodes: In an order in which they can be computed.
        shapes: Of every tensor, one for each probed size.
    """

    def __init__(self, name: str, shapes: Sequence[Shape]) -> None:
        self.nodes: list[Node] = []
        self.shapes: dict[str, list[Shape]] = {name: list(shapes)}

    def channels(self, name: str) -> int:
        """Channels of a tensor."""
        return self.shapes[name][0][2]

    def emit(self, node: Any, wish: str, operator: Operator, inputs: Sequence[str],
             parameters: dict[str, np.ndarray] | None = None) -> Tensor:
        """Adds a node.

        Args:
            node: The node of the ONNX graph, for messages.
            wish: Its name, which is changed if there is one already.
            operator: What it computes.
            inputs: Names of the tensors that it reads.
            parameters: Its arrays.

        Returns:
            The tensor.

        Raises:
            CannotLower: The shapes do not fit the operator.
        """
        name, number = wish, 1
        while name in self.shapes:
            name, number = f"{wish}/{number}", number + 1
        made = Node(name, operator, tuple(inputs), parameters or {})
        try:
            found = [operator.output_shape(shapes, made.parameters)
                     for shapes in zip(*(self.shapes[one] for one in inputs))]
        except ValueError as error:
            raise CannotLower(node, str(error)) from error
        self.shapes[name] = found
        self.nodes.append(made)
        return Tensor(name)

    def need(self, value: Value | None, node: Any) -> Tensor:
        """The tensor of a value that a node of the body reads.

        Args:
            value: The value.
            node: The node of the ONNX graph that reads it.

        Returns:
            The tensor.

        Raises:
            CannotLower: It is none.
        """
        tensor = None if value is None else self.find(value)
        if tensor is not None:
            return tensor
        if isinstance(value, (Loose, Pointwise, Padded, Moved)):
            raise CannotLower(value.node, NEEDED)
        raise CannotLower(node, "reads numbers that do not depend on the picture as if they were one")

    def find(self, value: Value) -> Tensor | None:
        """The tensor of a value; None if it is none."""
        if isinstance(value, Tensor):
            return value
        if isinstance(value, Pointwise):
            if value.tensor is None:
                value.tensor = self._compute(value.call, value.base, value.node, value.node.output[0])
            return value.tensor
        return None

    def _compute(self, call: Call, base: str, node: Any, name: str) -> Tensor | None:
        """Adds the nodes that compute a function; None if there are none that can."""
        found = recognize(call, self.channels(base))
        if found is not None:
            activation, factor, addend = found
            return self.emit(node, name, Activate(activation), [base], {"factor": factor, "addend": addend})
        parts = [place for place, operand in enumerate(call.operands)
                 if isinstance(operand, Call) or operand is BASE]
        inner = [place for place in parts if isinstance(call.operands[place], Call)]
        if not inner:
            return None
        tensors = {place: Tensor(base) for place in parts}
        for place in inner:
            tensor = self._compute(call.operands[place], base, node, f"{name}/operand{place}")
            if tensor is None:
                return None
            tensors[place] = tensor
        if len(parts) == 1:
            operands = [BASE if place in parts else operand for place, operand in enumerate(call.operands)]
            outer = make_call(call.operator, operands, call.attributes)
            return self._compute(outer, tensors[parts[0]].name, node, name)
        if len(parts) == 2 == len(call.operands):
            return self.combine(node, call.operator, tensors[0].name, tensors[1].name, name)
        return None

    def combine(self, node: Any, operator: str, first: str, second: str, name: str) -> Tensor | None:
        """Adds the nodes that compute the sum, the difference or the product of two tensors.

        Args:
            node: The node of the ONNX graph.
            operator: Of ONNX.
            first: A tensor.
            second: Another one of the same shape.
            name: Of the result.

        Returns:
            The tensor; None for other operators.
        """
        if operator == "Sub":
            count = self.channels(second)
            negative = {"factor": np.full(count, -1, np.float32), "addend": np.zeros(count, np.float32)}
            second = self.emit(node, f"{name}/negative", Activate(), [second], negative).name
        if operator in ("Add", "Sum", "Sub"):
            return self.emit(node, name, Add(IDENTITY), [first, second])
        return self.emit(node, name, Multiply(IDENTITY), [first, second]) if operator == "Mul" else None


def fixed_numbers(value: Value | None) -> np.ndarray | None:
    """The numbers of a value that is the same for all pictures and sizes; None if it is not."""
    return value.fixed if isinstance(value, Known) else None
