"""A network that the tile engine runs: a quantized graph, the meaning of its bytes, and its thresholds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from ..network.graph import Graph, Operator
from .operators.convolution import Convolution
from .operators.pooling import AveragePool, MaxPool
from .operators.quantized import Quantization, operator_of


@dataclass(frozen=True, eq=False)
class TileNetwork:
    """A quantized network.

    Attributes:
        graph: With the parameters of quantized operators. Its input is an image, RGB. Its outputs are heads, float32.
        quantizations: Of every tensor of the graph but the heads, by name, the input among them.
        factors: Threshold of the uint8 output of every convolution and pool by name, in steps of the channel, for a
            level of 1; it grows in proportion to the level.
        levels: Of the three presets, from careful to fast.
    """

    graph: Graph
    quantizations: Mapping[str, Quantization]
    factors: Mapping[str, float] = field(default_factory=dict)
    levels: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @cached_property
    def has_threshold(self) -> np.ndarray:
        """Which nodes have thresholds, bool [nodes]."""
        return np.array([can_have_threshold(node.operator) for node in self.graph.nodes], bool)

    @cached_property
    def unit_thresholds(self) -> np.ndarray:
        """The thresholds of a level of 1, float64 [nodes]; a node without a factor has 0."""
        factors = np.array([self.factors.get(node.name, 0.0) for node in self.graph.nodes], np.float64)
        return np.where(self.has_threshold, factors, 0.0)


def quantize_graph(graph: Graph, pixels: Quantization, outputs: Mapping[str, Quantization]) -> TileNetwork:
    """Quantizes every node of a float graph.

    Args:
        graph: With float parameters.
        pixels: Quantization of the input.
        outputs: Quantization of every tensor for which it is free to choose (``TileOperator.output_quantization``) and
            that is not a head.

    Returns:
        The network, with every threshold 0.
    """
    known = {graph.input: pixels}
    nodes = []
    for node in graph.nodes:
        operator = operator_of(node)
        inputs = [known[name] for name in node.inputs]
        output = None
        if not is_head(operator):
            output = operator.output_quantization(inputs) or outputs[node.name]
            known[node.name] = output
        nodes.append(replace(node, parameters=operator.quantize(node.parameters, inputs, output)))
    return TileNetwork(replace(graph, nodes=tuple(nodes)), known)


def is_head(operator: Operator) -> bool:
    """Whether the output is float32, for the caller, instead of bytes for other nodes."""
    return isinstance(operator, Convolution) and operator.is_head


def is_compared(operator: Operator) -> bool:
    """Whether computed tiles are compared with what is held: those of convolutions and of pools."""
    # Of the others, every computed tile is replaced: to compare it costs as much as to compute it.
    # A wide pool spreads each change over its window, but few of its largest values change much.
    return isinstance(operator, (Convolution, MaxPool, AveragePool))


def can_have_threshold(operator: Operator) -> bool:
    """Whether the output can have a threshold; that of a head is replaced with every change."""
    return is_compared(operator) and not is_head(operator)


def change_limit(threshold: float, values: int) -> int:
    """Computes from which sum of squared differences on a tile counts as changed.

    Args:
        threshold: Root of the mean squared difference, in steps.
        values: Of the tile: its pixels inside of the tensor times the channels.

    Returns:
        The sum; at least 1.
    """
    return max(1, math.ceil(threshold * threshold * values))
