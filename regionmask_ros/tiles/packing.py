"""Weights and epilogues of a network in the form that a kernel set wants; all cameras of a network share them."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast
from weakref import WeakKeyDictionary

import numpy as np

from ..network.graph import Node
from .layout import ALIGNMENT, SLACK, align
from .network import TileNetwork
from .operators.convolution import Convolution
from .structures import EpilogueRecord

CHANNEL_PAD = 16
"""Arrays over channels hold a multiple of this (kChannelPad of native/kernels.h)."""

_packed: WeakKeyDictionary[TileNetwork, dict[tuple[int, str], PackedWeights]] = WeakKeyDictionary()


def pad_channels(channels: int) -> int:
    """Rounds up to what kernels write at once."""
    return -(-channels // CHANNEL_PAD) * CHANNEL_PAD


def aligned_bytes(size: int) -> np.ndarray:
    """Zeros, uint8 [size], that begin at a cache line, with room behind them that kernels may read."""
    memory = np.zeros(size + ALIGNMENT + SLACK, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start:start + size]


@dataclass(frozen=True)
class PackedWeights:
    """Packed weights of a convolution.

    Attributes:
        memory: uint8, those of all groups.
        group_bytes: Of one group.
    """

    memory: np.ndarray
    group_bytes: int


def is_depthwise(operator: Convolution, parameters: Mapping[str, np.ndarray]) -> bool:
    """Whether every channel is convolved by itself, into one channel of bytes: there is a kernel for that."""
    weight = parameters["weight"]
    return not operator.is_head and operator.groups > 1 and weight.shape[3] == 1 and len(weight) == operator.groups


def pack_weights(library: ctypes.CDLL, kernels: int, network: TileNetwork, node: Node) -> PackedWeights:
    """Packs the weights of a convolution, once a kernel set.

    Args:
        library: The compiled kernels.
        kernels: Address of the kernel set that computes the node.
        network: The network.
        node: The convolution.

    Returns:
        The weights.
    """
    packed = _packed.setdefault(network, {})
    if (kernels, node.name) not in packed:
        assert isinstance(node.operator, Convolution)
        packed[kernels, node.name] = _pack(library, kernels, node, node.operator)
    return packed[kernels, node.name]


def _pack(library: ctypes.CDLL, kernels: int, node: Node, operator: Convolution) -> PackedWeights:
    weight = np.ascontiguousarray(node.parameters["weight"])
    offset = np.ascontiguousarray(node.parameters["offset"])
    channels, rows, cols, inputs = weight.shape
    if is_depthwise(operator, node.parameters):
        groups, sizes = 1, (channels, rows, cols)
    else:
        groups, sizes = operator.groups, (channels // operator.groups, 0, math.prod((rows, cols, inputs)))
    size = align(library.rm_tiles_packed_bytes(kernels, *sizes))
    memory = aligned_bytes(size * groups)
    for group in range(groups):
        first = group * channels // groups
        library.rm_tiles_pack(kernels, weight[first:].ctypes.data, offset[first:].ctypes.data, *sizes,
                              memory.ctypes.data + group * size)
    return PackedWeights(memory, size)


class Constants:
    """Arrays that records point to, kept alive as long as this."""

    def __init__(self) -> None:
        self._kept: list[np.ndarray] = []

    def address(self, values: np.ndarray) -> int:
        """The address of an array."""
        kept = np.ascontiguousarray(values)
        self._kept.append(kept)
        return int(kept.ctypes.data)

    def floats(self, values: np.ndarray) -> int:
        """The address of a copy, float32, with a vector of zeros behind it."""
        # A group of channels may begin in the middle of a vector, therefore one vector more.
        padded = aligned_bytes(4 * (pad_channels(len(values)) + CHANNEL_PAD)).view(np.float32)
        padded[:len(values)] = values
        return self.address(padded)

    def epilogue(self, node: Node) -> EpilogueRecord:
        """The epilogue of a node with an activation."""
        activation = cast(Any, node.operator).activation
        arrays = [self.floats(node.parameters[name]) if name in node.parameters else 0
                  for name in ("multiplier", "bias", "scale", "zero")]
        return EpilogueRecord(*arrays, activation.kind.value, activation.alpha, activation.beta)
