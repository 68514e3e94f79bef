"""The plan of a network for one input size: what the C++ run loop reads, see native/plan.h."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..network.graph import Node
from .grid import REGION, Ranges, TileGrid, grids_of, regions_of, tiles_read
from .layout import align, contiguous, lay_out
from .network import TileNetwork, is_compared, is_head
from .operators.convolution import Convolution
from .operators.elementwise import Activate, Add, Multiply
from .operators.pooling import AveragePool, MaxPool
from .operators.quantized import operator_of
from .operators.resizing import Resize
from .operators.routing import ChannelSelect, Concat, SpaceToDepth
from .packing import Constants, is_depthwise, pack_weights, pad_channels
from .sections import Sections, sections_of
from .structures import (
    MAP_MARGIN,
    OPERATIONS,
    EdgeRecord,
    FlagsRecord,
    GridRecord,
    NodeRecord,
    PartRecord,
    PlanRecord,
    TensorRecord,
)

BLOCK_BYTES = 16384
"""Results that are computed at once where there is no panel: half of the first-level cache."""

SUMS_MARGIN = 128
"""Bytes behind the sums of a row of the image: it may end within 16 bytes, and kernels add zeros to 16 sums."""

NO_REGIONS = 2
"""Value of attended regions before the first frame: none that a mask has."""


class Plan:
    """The plan, shared by all cameras of this network and input size.

    Args:
        library: The compiled kernels.
        kernel_sets: Addresses of kernel sets; the first that supports a node computes it.
        network: The network.
        input_wh: Width and height of the images.

    Attributes:
        record: For the run loop.
        layout: Where the tensors lie.
        size: Bytes of a camera's memory.
        regions: Rows and columns of the mask.
        index: Number of every tensor by name.

    Raises:
        ValueError: The images do not fit the network.
    """

    def __init__(self, library: ctypes.CDLL, kernel_sets: Sequence[int], network: TileNetwork,
                 input_wh: tuple[int, int]) -> None:
        self._library, self._kernel_sets, self._network = library, kernel_sets, network
        graph = network.graph
        self.regions = (-(-input_wh[1] // REGION), -(-input_wh[0] // REGION))
        self._shapes = graph.shapes(input_wh)
        self._grids = grids_of(self._shapes, graph.strides())
        self._sections = sections_of(graph, self._grids)
        self.index = {name: place for place, name in enumerate(self._shapes)}
        self.layout = lay_out(network, self._shapes)
        self._constants = Constants()
        self._kept: list[Any] = []
        self._size = align(self.layout.size)
        self._block = {"addresses": 0, "panel": 0, "scratch": 0}
        self.record = self._make_record()
        self.size = self._size

    def _reserve(self, size: int) -> int:
        offset = self._size
        self._size += align(size)
        return offset

    def _divide(self, name: str) -> TileGrid | Sections:
        """What a tensor's map ``dirty`` has: sections of the image, tiles of other tensors."""
        return self._sections if name == self._network.graph.input else self._grids[name]

    def _reserve_map(self, grid: TileGrid | Sections) -> tuple[int, int]:
        """A tile map: the offset of its first tile and the bytes between rows."""
        pitch = grid.cols + MAP_MARGIN
        return self._reserve(grid.rows * pitch + 3 * MAP_MARGIN) + MAP_MARGIN, pitch

    def _array(self, kind: type[ctypes.Structure], records: Sequence[ctypes.Structure]) -> int:
        """The address of an array of records, kept alive with the plan."""
        array = (kind * max(1, len(records)))(*records)
        self._kept.append(array)
        return ctypes.addressof(array)

    def _ranges(self, ranges: Ranges) -> tuple[int, int]:
        return self._constants.address(ranges[0]), self._constants.address(ranges[1])

    def _choose_kernels(self, operation: int, k: int, name: str, channels: int) -> int:
        """The kernel set that computes a tensor, see ``KernelSet.supports`` in native/kernels.h."""
        pixels = self._grids[name].height * self._grids[name].width
        return next(kernels for kernels in self._kernel_sets
                    if self._library.rm_tiles_supports(kernels, operation, k, channels, pixels))

    def _make_record(self) -> PlanRecord:
        graph = self._network.graph
        known: dict[tuple[int, int, int], int] = {}
        grids: list[GridRecord] = []
        for grid in self._grids.values():
            # Tensors with as large tiles in input pixels share a grid, whatever their strides.
            if _size_of(grid) not in known:
                known[_size_of(grid)] = len(grids)
                (attended, pitch), (unattended, _) = self._reserve_map(grid), self._reserve_map(grid)
                grids.append(GridRecord(grid.rows, grid.cols, pitch, attended, unattended,
                                        *self._ranges(regions_of(grid, self.regions))))
        tensors = [self._make_tensor(name, known[_size_of(grid)]) for name, grid in self._grids.items()]
        nodes = [self._make_node(node) for node in graph.nodes]
        image_kernels = self._choose_kernels(OPERATIONS.index("copy"), 1, graph.input, graph.channels)
        map_bytes = max(tensor.rows * tensor.map_pitch for tensor in tensors) + 3 * MAP_MARGIN
        flags = self._reserve(len(tensors) * ctypes.sizeof(FlagsRecord))
        regions = self._reserve(self.regions[0] * self.regions[1])
        reached, merged = (self._reserve(map_bytes) + MAP_MARGIN for _ in range(2))
        _, width, channels = self._shapes[graph.input]
        sums = self._reserve(2 * width * channels + SUMS_MARGIN)
        block = [self._reserve(self._block[part]) for part in ("addresses", "panel", "scratch")]
        return PlanRecord(image_kernels, self._array(TensorRecord, tensors), self._array(NodeRecord, nodes), len(nodes),
                          self._array(GridRecord, grids), len(grids), *self.regions,
                          *self._ranges((self._sections.row_edges, self._sections.col_edges)), *self._sections.per_tile,
                          flags, regions, reached, merged, sums, *block)

    def _make_tensor(self, name: str, grid_index: int) -> TensorRecord:
        place, grid, divided = self.layout.places[name], self._grids[name], self._divide(name)
        maps = [self._reserve_map(divided) for _ in range(3)]
        channels = place.shape[2]
        return TensorRecord(place.offset, place.row_pitch, place.pixel_pitch, grid.height, grid.width, channels,
                            channels * (4 if place.is_float else 1), grid.side, divided.rows, divided.cols, maps[0][1],
                            *(offset for offset, _ in maps), grid_index)

    def _make_node(self, node: Node) -> NodeRecord:
        operator = operator_of(node)
        edges = []
        for name in node.inputs:
            ranges = tiles_read(operator, self._divide(name), self._grids[node.name])
            edges.append(EdgeRecord(self.index[name], *self._ranges(ranges), *_find_shifts(ranges, self._divide(name))))
        record = NodeRecord()
        record.is_compared = is_compared(operator)
        record.edges, record.edge_count = self._array(EdgeRecord, edges), len(edges)
        channels = self._shapes[node.name][2]
        record.scratch_pitch = pad_channels(channels)
        record.block_pixels = max(self._grids[node.name].side ** 2, BLOCK_BYTES // record.scratch_pitch)
        _FILLERS[type(operator)](self, node, record)
        if not record.kernels:
            record.kernels = self._choose_kernels(record.operation, 1, node.name, channels)
        value_bytes = 4 if is_head(operator) else 1
        self._grow("scratch", record.block_pixels * record.scratch_pitch * value_bytes + 64)
        return record

    def _grow(self, part: str, size: int) -> None:
        self._block[part] = max(self._block[part], size)

    def fill_convolution(self, node: Node, record: NodeRecord) -> None:
        """Of a convolution."""
        operator = node.operator
        assert isinstance(operator, Convolution)
        _fill_window(operator, record)
        record.epilogue = self._constants.epilogue(node)
        channels, rows, cols, inputs = node.parameters["weight"].shape
        is_product = not is_depthwise(operator, node.parameters)
        record.operation = OPERATIONS.index("product" if is_product else "depthwise")
        record.groups, record.group_inputs, record.group_outputs = operator.groups, inputs, channels // operator.groups
        record.k = rows * cols * inputs
        record.kernels = self._choose_kernels(record.operation, record.k, node.name,
                                              record.group_outputs if is_product else channels)
        packed = pack_weights(self._library, record.kernels, self._network, node)
        self._kept.append(packed)
        record.packed, record.group_bytes = packed.memory.ctypes.data, packed.group_bytes
        if not is_product:
            return
        source = self.layout.places[node.inputs[0]]
        record.scratch_pitch = pad_channels(channels - record.group_outputs + pad_channels(record.group_outputs))
        if inputs == source.pixel_pitch:
            offsets, record.run_length = [row * source.row_pitch for row in range(rows)], cols * inputs
        else:
            offsets = [row * source.row_pitch + col * source.pixel_pitch for row in range(rows) for col in range(cols)]
            record.run_length = inputs
        record.runs = len(offsets)
        record.run_offset = self._constants.address(np.array(offsets, np.int32))
        record.block_pixels = max(self._grids[node.name].side ** 2,
                                  self._library.rm_tiles_panel_pixels(record.kernels, record.k))
        self._grow("addresses", 8 * record.block_pixels)
        self._grow("panel", self._library.rm_tiles_panel_bytes(record.kernels, record.block_pixels, record.k))

    def fill_elementwise(self, node: Node, record: NodeRecord) -> None:
        """Of an operator that works pixel by pixel."""
        record.operation = OPERATIONS.index(type(node.operator).__name__.lower())
        record.epilogue = self._constants.epilogue(node)
        if "factors" in node.parameters:
            record.factor_a, record.factor_b = map(self._constants.floats, node.parameters["factors"])
        if "zeros" in node.parameters:
            record.zero_a, record.zero_b = map(self._constants.floats, node.parameters["zeros"])

    def fill_pool(self, node: Node, record: NodeRecord) -> None:
        """Of a pool."""
        operator = node.operator
        assert isinstance(operator, (MaxPool, AveragePool))
        _fill_window(operator, record)
        record.operation = OPERATIONS.index("max_pool" if isinstance(operator, MaxPool) else "average_pool")
        if isinstance(operator, AveragePool):
            record.padding = self._constants.address(node.parameters["padding"])
            record.counts_padding = operator.counts_padding

    def fill_resize(self, node: Node, record: NodeRecord) -> None:
        """Of an enlargement."""
        operator = node.operator
        assert isinstance(operator, Resize)
        record.operation = OPERATIONS.index("linear" if operator.is_linear else "nearest")
        record.stride = operator.factor

    def fill_concat(self, node: Node, record: NodeRecord) -> None:
        """Of a concatenation: what does not lie in place is copied."""
        parts = []
        channel = 0
        for edge, name in enumerate(node.inputs):
            channels = self._shapes[name][2]
            if self.layout.owners.get(name) != (node.name, channel):
                parts.append(PartRecord(edge, 0, channel, channels))
            channel += channels
        record.operation = OPERATIONS.index("copy")
        record.parts, record.part_count = self._array(PartRecord, parts), len(parts)

    def fill_select(self, node: Node, record: NodeRecord) -> None:
        """Of selected channels: neighbors are a view, others are gathered."""
        operator = node.operator
        assert isinstance(operator, ChannelSelect)
        if contiguous(operator.channels):
            record.operation = OPERATIONS.index("copy")
            return
        record.operation = OPERATIONS.index("gather")
        record.order = self._constants.address(np.array(operator.channels, np.int32))

    def fill_blocks(self, node: Node, record: NodeRecord) -> None:
        """Of space to depth."""
        operator = node.operator
        assert isinstance(operator, SpaceToDepth)
        record.operation = OPERATIONS.index("blocks")
        record.order = self._constants.address(np.array(operator.order, np.int32))


_FILLERS: dict[type, Callable[[Plan, Node, NodeRecord], None]] = {
    Convolution: Plan.fill_convolution, Add: Plan.fill_elementwise, Multiply: Plan.fill_elementwise,
    Activate: Plan.fill_elementwise, MaxPool: Plan.fill_pool, AveragePool: Plan.fill_pool, Resize: Plan.fill_resize,
    Concat: Plan.fill_concat, ChannelSelect: Plan.fill_select, SpaceToDepth: Plan.fill_blocks,
}


def _fill_window(operator: Convolution | MaxPool | AveragePool, record: NodeRecord) -> None:
    window = operator.window
    record.kernel_rows, record.kernel_cols = window.kernel
    record.stride, record.top, record.left = window.stride, *window.pads[:2]


def _size_of(grid: TileGrid) -> tuple[int, int, int]:
    return grid.rows, grid.cols, grid.side * grid.stride


def _find_shifts(ranges: Ranges, source: TileGrid | Sections) -> tuple[int, int, int, int]:
    """Finds how far a tile reads in each direction, if that is the same everywhere inside of the map.

    Args:
        ranges: What the tiles of the output read.
        source: Tiles or sections of the input.

    Returns:
        Tiles above, below, to the left and to the right; -1 each if the map has another size, or they differ.
    """
    shifts = []
    for read, limit in zip(ranges, (source.rows, source.cols)):
        tiles = np.arange(len(read))
        before, after = int((tiles - read[:, 0]).max()), int((read[:, 1] - 1 - tiles).max())
        first, end = np.maximum(tiles - before, 0), np.minimum(tiles + after + 1, limit)
        if len(read) != limit or not np.array_equal(read, np.stack([first, end], 1)) or not (
                0 <= before < MAP_MARGIN and 0 <= after < MAP_MARGIN):
            return -1, -1, -1, -1
        shifts += [before, after]
    return tuple(shifts)  # type: ignore[return-value]
