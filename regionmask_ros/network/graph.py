"""A network as a graph: nodes in an order in which they can be computed, each with an operator and frozen parameters.

A node is named after the tensor that it computes. Tensors are [rows, cols, channels]. The chain of a sigma-delta
network (``chain.Network``) is the case in which every node reads the one before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

import numpy as np

Shape = tuple[int, int, int]
"""Rows, columns and channels of a tensor."""

Parameters = Mapping[str, np.ndarray]
"""Arrays of a node by name, such as its weight. The operator's class says which there are."""


class Operator(Protocol):
    """What a node computes. An operator is immutable and has no arrays: those are the node's parameters."""

    def output_shape(self, inputs: Sequence[Shape], parameters: Parameters) -> Shape:
        """Computes the shape of the output.

        Args:
            inputs: Shapes of the inputs.
            parameters: Of the node.

        Returns:
            The shape.

        Raises:
            ValueError: The shapes do not fit the operator.
        """

    def output_stride(self, inputs: Sequence[int]) -> int:
        """Computes the input pixels of the network between neighboring output pixels.

        Args:
            inputs: The same of the inputs.

        Returns:
            The stride.

        Raises:
            ValueError: The inputs do not fit together.
        """

    def count_macs(self, inputs: Sequence[Shape], parameters: Parameters) -> int:
        """Counts the multiply-accumulate operations for a whole output; 0 where there are no weights."""


@dataclass(frozen=True)
class Node:
    """One operation.

    Attributes:
        name: Of the node and of the tensor that it computes; unique in its graph.
        operator: What it computes.
        inputs: Names of the tensors that it reads.
        parameters: Arrays, which become read-only.
    """

    name: str
    operator: Operator
    inputs: tuple[str, ...]
    parameters: Parameters = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for array in self.parameters.values():
            array.setflags(write=False)
        object.__setattr__(self, "parameters", MappingProxyType(dict(self.parameters)))


@dataclass(frozen=True, eq=False)
class Graph:
    """A network of any shape. It fits every input size that its operators fit.

    Attributes:
        input: Name of the input tensor.
        channels: Of the input.
        nodes: In an order in which they can be computed.
        outputs: Names of the tensors that the caller wants.

    Raises:
        ValueError: A name is used twice, or a node reads a tensor that no earlier one computes.
    """

    input: str
    channels: int
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]

    def __post_init__(self) -> None:
        known = {self.input}
        for node in self.nodes:
            missing = [name for name in node.inputs if name not in known]
            if missing:
                raise ValueError(f"node {node.name} reads {missing[0]}, which no earlier node computes")
            if node.name in known:
                raise ValueError(f"two tensors are named {node.name}")
            known.add(node.name)
        missing = [name for name in self.outputs if name not in known]
        if missing:
            raise ValueError(f"output {missing[0]} is not computed by any node")

    def node(self, name: str) -> Node:
        """The node of this name."""
        return next(node for node in self.nodes if node.name == name)

    def shapes(self, input_wh: tuple[int, int]) -> dict[str, Shape]:
        """Computes the shape of every tensor.

        Args:
            input_wh: Width and height of the input.

        Returns:
            The shapes by name, the input among them.

        Raises:
            ValueError: The input does not fit; the message names the node.
        """
        found = {self.input: (input_wh[1], input_wh[0], self.channels)}
        for node in self.nodes:
            try:
                found[node.name] = node.operator.output_shape([found[name] for name in node.inputs], node.parameters)
            except ValueError as error:
                raise ValueError(f"node {node.name}: {error}") from error
        return found

    def strides(self) -> dict[str, int]:
        """Input pixels between neighboring pixels of every tensor, by name, the input among them."""
        found = {self.input: 1}
        for node in self.nodes:
            try:
                found[node.name] = node.operator.output_stride([found[name] for name in node.inputs])
            except ValueError as error:
                raise ValueError(f"node {node.name}: {error}") from error
        return found

    def macs(self, input_wh: tuple[int, int]) -> dict[str, int]:
        """Multiply-accumulate operations of every node for a whole input, by name; those on the padding count."""
        shapes = self.shapes(input_wh)
        return {node.name: node.operator.count_macs([shapes[name] for name in node.inputs], node.parameters)
                for node in self.nodes}
