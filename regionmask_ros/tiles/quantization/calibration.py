"""Quantizes a float network with what was measured on pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ...network.graph import Graph, Node
from ..network import TileNetwork, is_head, quantize_graph
from ..operators.activations import IDENTITY
from ..operators.convolution import Convolution
from ..operators.quantized import Quantization, operator_of
from .ranges import Statistics, choose_quantization


def quantize_network(graph: Graph, pixels: Quantization, measured: Mapping[str, Statistics]) -> TileNetwork:
    """Quantizes a network.

    Args:
        graph: With float parameters.
        pixels: Quantization of the input.
        measured: Of every tensor, see ``ranges.measure_statistics``.

    Returns:
        The network, with every threshold 0.
    """
    outputs = {node.name: choose_quantization(measured[node.name], getattr(node.operator, "activation", IDENTITY))
               for node in graph.nodes if not is_head(node.operator)}
    quantized = quantize_graph(graph, pixels, outputs)
    nodes = tuple(_correct_bias(node, made, quantized, measured) if isinstance(node.operator, Convolution) else made
                  for node, made in zip(graph.nodes, quantized.graph.nodes))
    return replace(quantized, graph=replace(quantized.graph, nodes=nodes))


def _correct_bias(node: Node, made: Node, network: TileNetwork, measured: Mapping[str, Statistics]) -> Node:
    """Takes from the biases what the rounding of weights adds to the mean output.

    A weight that was rounded by d adds d times the mean of its input. Padding is taken for part of the image.

    Args:
        node: A convolution of the float graph.
        made: The same of the quantized graph.
        network: With quantizations.
        measured: Of every tensor.

    Returns:
        The quantized node with other biases.
    """
    (source,) = node.inputs
    quantization, groups = network.quantizations[source], operator_of(node).groups  # type: ignore[attr-defined]
    weight = node.parameters["weight"].astype(np.float64)
    # Sums over the kernel: the mean of an input is the same at each place.
    wanted = weight.sum((1, 2)).reshape(groups, -1, weight.shape[3])
    got = (made.parameters["weight"].astype(np.float64).sum((1, 2)) * made.parameters["multiplier"][:, None]
           ).reshape(wanted.shape)
    step = quantization.step.astype(np.float64).reshape(groups, 1, -1)
    mean = (measured[source].mean - quantization.shift).reshape(groups, 1, -1)
    excess = ((got / step - wanted) * mean).sum(2).reshape(-1)
    bias = (made.parameters["bias"] - excess).astype(np.float32)
    return replace(made, parameters={**made.parameters, "bias": bias})
