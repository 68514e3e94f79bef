"""Computes a float graph in NumPy, for calibration and as the truth in tests."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from ..network.graph import Graph
from .operators.quantized import operator_of


def evaluate_graph(graph: Graph, image: np.ndarray, kept: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """Computes the tensors of a float graph.

    Args:
        graph: The graph, with float parameters.
        image: float32 [rows, cols, channels], real values, that is, after the preprocessing.
        kept: Names of the tensors to return; None: all. Others are freed when nothing reads them any more.

    Returns:
        The tensors by name, float32 [rows, cols, channels].
    """
    last_reader = {name: place for place, node in enumerate(graph.nodes) for name in node.inputs}
    wanted = None if kept is None else {*kept, *graph.outputs}
    found = {graph.input: np.asarray(image, np.float32)}
    for place, node in enumerate(graph.nodes):
        found[node.name] = operator_of(node).evaluate([found[name] for name in node.inputs], node.parameters)
        if wanted is not None:
            for name in {*node.inputs} - wanted:
                if last_reader[name] == place:
                    del found[name]
    return found
