"""What a frame cost: multiply-accumulate operations and bytes of every node, from the counts of the engine."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..network.graph import Node, Shape
from .frame import COUNTS
from .network import TileNetwork, is_head
from .operators.quantized import operator_of


@dataclass(frozen=True, eq=False)
class Work:
    """What every node did, in the order of the graph.

    Attributes:
        tiles: int64 [nodes], tiles that were computed.
        macs: int64 [nodes], multiply-accumulate operations; those on the padding count.
        bytes: int64 [nodes], bytes that computed pixels read from held tensors and that were replaced there. A copy
            that the memory's layout saves counts, too.
    """

    tiles: np.ndarray
    macs: np.ndarray
    bytes: np.ndarray


class WorkMeter:
    """Turns counts into work.

    Args:
        network: The network.
        input_wh: Width and height of its input.
    """

    def __init__(self, network: TileNetwork, input_wh: tuple[int, int]) -> None:
        shapes, macs = network.graph.shapes(input_wh), network.graph.macs(input_wh)
        nodes = network.graph.nodes
        self._macs = np.array([macs[node.name] // math.prod(shapes[node.name][:2]) for node in nodes], np.int64)
        self._read = np.array([_bytes_read(node, shapes) for node in nodes], np.int64)
        self._written = np.array([shapes[node.name][2] * (4 if is_head(node.operator) else 1) for node in nodes],
                                 np.int64)

    def measure(self, counts: np.ndarray) -> Work:
        """Computes the work of a frame.

        Args:
            counts: Of ``StepOutput``.

        Returns:
            The work.
        """
        tiles, pixels, _, replaced = counts[1:].reshape(-1, len(COUNTS)).T
        return Work(tiles.copy(), pixels * self._macs, pixels * self._read + replaced * self._written)


def _bytes_read(node: Node, shapes: dict[str, Shape]) -> int:
    """Bytes that an output pixel reads, where its window lies inside of the image."""
    operator = operator_of(node)
    sides = [operator.reads(axis, 8, 8) for axis in (0, 1)]
    window = math.prod(last - first + 1 for first, last in sides)
    return window * sum(shapes[name][2] for name in node.inputs)
