"""What a frame cost: the counts of the engine, with what a pixel of every node costs."""

from __future__ import annotations

import math

import numpy as np

from ..core.result import NodeCosts, TileCounts
from ..network.graph import Node, Shape
from .frame import COUNTS
from .network import TileNetwork, is_head
from .operators.quantized import operator_of


class WorkMeter:
    """Turns counts of the engine into exact counts of operations and bytes.

    Args:
        network: The network.
        input_wh: Width and height of its input.
    """

    def __init__(self, network: TileNetwork, input_wh: tuple[int, int]) -> None:
        shapes, macs = network.graph.shapes(input_wh), network.graph.macs(input_wh)
        nodes = network.graph.nodes
        self._costs = NodeCosts(
            np.array([macs[node.name] // math.prod(shapes[node.name][:2]) for node in nodes], np.int64),
            np.array([_bytes_read(node, shapes) for node in nodes], np.int64),
            np.array([shapes[node.name][2] * (4 if is_head(node.operator) else 1) for node in nodes], np.int64),
            sum(macs.values()))

    def measure(self, counts: np.ndarray) -> TileCounts:
        """Takes the counts of a frame.

        Args:
            counts: Of ``StepOutput``.

        Returns:
            What the frame cost.
        """
        tiles, pixels, _, replaced = counts[1:].reshape(-1, len(COUNTS)).T.copy()
        return TileCounts(tiles, pixels, replaced, self._costs)

    def idle(self) -> TileCounts:
        """What a frame costs in which nothing is sent."""
        nothing = np.zeros(len(self._costs.macs), np.int64)
        return TileCounts(nothing, nothing, nothing, self._costs)


def _bytes_read(node: Node, shapes: dict[str, Shape]) -> int:
    """Bytes that an output pixel reads, where its window lies inside of the image."""
    operator = operator_of(node)
    sides = [operator.reads(axis, 8, 8) for axis in (0, 1)]
    window = math.prod(last - first + 1 for first, last in sides)
    return window * sum(shapes[name][2] for name in node.inputs)
