"""Where every tensor of a camera lies in one block of memory.

A tensor is [rows, cols, channels] with a border as wide as the padding of the nodes that read it, so that no kernel
tests for the edge of the image. Its rows, without the border, begin at cache lines: so do most tiles. A concatenation
is written in place: its inputs lie in it, unless two want the same one. Selected channels that are neighbors are a
view. Heads of one size lie side by side, one size after the other, as their tail wants them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

import numpy as np

from ..network.graph import Node, Shape
from .network import TileNetwork, is_head
from .operators.convolution import Convolution
from .operators.routing import ChannelSelect, Concat

ALIGNMENT = 64
"""Bytes; of a cache line."""

SLACK = 64
"""Bytes behind the last tensor that kernels may read (kReadSlack of native/kernels.h)."""


@dataclass(frozen=True)
class Place:
    """Where a tensor lies.

    Attributes:
        offset: Of pixel (0, 0) in the memory, in bytes.
        row_pitch: Bytes between rows.
        pixel_pitch: Bytes between pixels.
        shape: Of the tensor.
        is_float: Whether it is float32 instead of uint8.
    """

    offset: int
    row_pitch: int
    pixel_pitch: int
    shape: Shape
    is_float: bool = False

    def view(self, memory: np.ndarray) -> np.ndarray:
        """The tensor in a memory uint8 [bytes], as [rows, cols, channels]."""
        dtype = np.dtype(np.float32 if self.is_float else np.uint8)
        strides = (self.row_pitch, self.pixel_pitch, dtype.itemsize)
        return np.ndarray(self.shape, dtype, memory.data, self.offset, strides)


@dataclass(frozen=True)
class Border:
    """A tensor with the padding around it, and what the padding is filled with.

    Attributes:
        place: Of both.
        zero: uint8 [channels].
    """

    place: Place
    zero: np.ndarray


@dataclass(frozen=True)
class Layout:
    """Where everything lies.

    Attributes:
        places: Of every tensor by name.
        borders: Of every tensor that lies in no other.
        owners: The tensor in which one lies, by name, and its first channel there; of those that lie in another.
        rows: All heads as rows: [pixels, channels]; None if the sizes have different channels.
        size: Bytes.
    """

    places: dict[str, Place]
    borders: tuple[Border, ...]
    owners: dict[str, tuple[str, int]]
    rows: Place | None
    size: int


def align(size: int) -> int:
    """Rounds bytes up to whole cache lines."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def contiguous(channels: tuple[int, ...]) -> bool:
    """Whether channels are neighbors in order."""
    return channels == tuple(range(channels[0], channels[0] + len(channels)))


def lay_out(network: TileNetwork, shapes: dict[str, Shape]) -> Layout:
    """Chooses the places of all tensors.

    Args:
        network: The network.
        shapes: Of its tensors.

    Returns:
        The layout.
    """
    owners = _find_owners(network, shapes)
    pads = _find_borders(network, shapes, owners)
    places: dict[str, Place] = {}
    borders = []
    size = 0
    for name, (rows, cols, channels) in shapes.items():
        if name in owners or name not in network.quantizations:
            continue
        top, left, below, right = pads.get(name, (0, 0, 0, 0))
        pitch = align((cols + left + right) * channels)
        size += -left * channels % ALIGNMENT
        whole = Place(size, pitch, channels, (rows + top + below, cols + left + right, channels))
        borders.append(Border(whole, network.quantizations[name].zero))
        places[name] = Place(size + top * pitch + left * channels, pitch, channels, (rows, cols, channels))
        size = align(size + whole.shape[0] * pitch)
    heads = [node.name for node in network.graph.nodes if is_head(node.operator)]
    heads.sort(key=lambda name: network.graph.outputs.index(name) if name in network.graph.outputs else -1)
    head_places, end = _lay_out_heads(heads, shapes, size)
    for name in owners:
        root, channel = find_root(owners, name)
        whole = places[root]
        places[name] = Place(whole.offset + channel, whole.row_pitch, whole.pixel_pitch, shapes[name])
    pitches = {place.pixel_pitch for place in head_places.values()}
    rows_place = None
    if len(pitches) == 1:
        (pitch,) = pitches
        rows_place = Place(size, pitch, pitch, ((end - size) // pitch, 1, pitch // 4), is_float=True)
    return Layout(places | head_places, tuple(borders), owners, rows_place, align(end) + SLACK)


def find_root(owners: dict[str, tuple[str, int]], name: str) -> tuple[str, int]:
    """Finds the tensor that lies in no other, and the first channel there, for a tensor."""
    channel = 0
    while name in owners:
        name, first = owners[name]
        channel += first
    return name, channel


def _find_owners(network: TileNetwork, shapes: dict[str, Shape]) -> dict[str, tuple[str, int]]:
    owners: dict[str, tuple[str, int]] = {}
    for node in network.graph.nodes:
        if isinstance(node.operator, ChannelSelect) and contiguous(node.operator.channels):
            owners[node.name] = (node.inputs[0], node.operator.channels[0])
    for node in reversed(network.graph.nodes):
        if isinstance(node.operator, Concat):
            channel = 0
            for name in node.inputs:
                if name not in owners and name != network.graph.input:
                    owners[name] = (node.name, channel)
                channel += shapes[name][2]
    return owners


def _find_borders(network: TileNetwork, shapes: dict[str, Shape],
                  owners: dict[str, tuple[str, int]]) -> dict[str, tuple[int, int, int, int]]:
    pads: dict[str, tuple[int, int, int, int]] = {}
    for node in network.graph.nodes:
        if isinstance(node.operator, Convolution):
            root, _ = find_root(owners, node.inputs[0])
            needed = _padding_read(node, node.operator, shapes)
            pads[root] = tuple(map(max, pads.get(root, needed), needed))  # type: ignore[assignment]
    return pads


def _padding_read(node: Node, operator: Convolution, shapes: dict[str, Shape]) -> tuple[int, int, int, int]:
    """Pixels above, left, below and right of the input that are really read."""
    before = operator.window.pads[:2]
    after = [max(0, operator.reads(axis, 0, shapes[node.name][axis] - 1)[1] + 1 - shapes[node.inputs[0]][axis])
             for axis in (0, 1)]
    return (*before, *after)  # type: ignore[return-value]


def _lay_out_heads(heads: list[str], shapes: dict[str, Shape], size: int) -> tuple[dict[str, Place], int]:
    places = {}
    for (rows, cols), names in groupby(heads, lambda name: shapes[name][:2]):
        group = list(names)
        pitch = 4 * sum(shapes[name][2] for name in group)
        offset = size
        for name in group:
            places[name] = Place(offset, cols * pitch, pitch, shapes[name], is_float=True)
            offset += 4 * shapes[name][2]
        size += rows * cols * pitch
    return places, size
