"""Quantizes a float network with what was measured on pictures."""

from __future__ import annotations

from collections.abc import Mapping

from ...network.graph import Graph
from ..network import TileNetwork, is_head, quantize_graph
from ..operators.activations import IDENTITY
from ..operators.quantized import Quantization
from .ranges import Statistics, choose_margin, choose_quantization


def quantize_network(graph: Graph, pixels: Quantization, measured: Mapping[str, Statistics]) -> TileNetwork:
    """Quantizes a network; ``rounding.fit_weights`` makes it better.

    Args:
        graph: With float parameters.
        pixels: Quantization of the input.
        measured: Of every tensor, see ``ranges.measure_statistics``.

    Returns:
        The network, with every threshold 0.
    """
    strides = graph.strides()
    outputs = {node.name: choose_quantization(measured[node.name], getattr(node.operator, "activation", IDENTITY),
                                              choose_margin(strides[node.name]))
               for node in graph.nodes if not is_head(node.operator)}
    return quantize_graph(graph, pixels, outputs)
