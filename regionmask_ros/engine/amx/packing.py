"""Weights and maps of messages as the tile kernels want them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ...core.events import BLOCK, FRAME, WORD, ChangeMap, stored_channels
from ...jit.memory import aligned
from ..layer import Convolution

_SPAN = 3 * WORD
"""Pixels that the four words of a window hold beside the empty ones."""


def can_pack(convolutions: Sequence[Convolution]) -> bool:
    """Whether all weights fit two parts of 8 signed bits each."""
    return all(-1 << 15 <= spec.weight.min() and spec.weight.max() < (1 << 15) - 128 for spec in convolutions)


@dataclass(frozen=True)
class PackedConvolution:
    """weight: int8 [pass, ky, group, block of taps, tile or part, 64 / 4, 16, 4], flat. bias: int32 [padded out] at
    2**16.

    tiles: of 16 outputs, made at a time; passes: so many times make all. parts: see ``tile_ir.add_products``.
    per_block: taps that share a block of 64 inputs; groups: blocks that share a tap.
    """

    spec: Convolution
    weight: np.ndarray
    bias: np.ndarray
    tiles: int
    parts: int
    passes: int
    per_block: int
    groups: int

    @property
    def in_bytes(self) -> int:
        return stored_channels(self.spec.in_channels)

    @property
    def depth(self) -> int:
        """Inputs of a block: fewer than 64 when one line of the window has fewer."""
        return min(BLOCK, self.spec.size * self.in_bytes)

    @property
    def near(self) -> bool:
        """Whether the windows of 16 outputs lie within four words of 16 pixels, the first of which begins at most 16
        pixels before them.
        """
        spec = self.spec
        return spec.padding <= WORD and (WORD - 1) * spec.stride + spec.size <= _SPAN + spec.padding

    @property
    def padded(self) -> int:
        return self.tiles * self.passes * WORD

    @property
    def window_blocks(self) -> int:
        return self.spec.size * -(-self.spec.size // self.per_block) * self.groups


def pack(convolutions: Sequence[Convolution]) -> tuple[PackedConvolution, ...]:
    """Weights as the kernels want them, once for all cameras."""
    return tuple(_pack(spec) for spec in convolutions)


def _pack(spec: Convolution) -> PackedConvolution:
    narrow = np.abs(spec.weight.astype(np.int32)).max() <= 127
    tiles, parts = (1, 1) if spec.channels <= WORD and narrow else (2, 1) if narrow else (1, 2)
    passes = -(-spec.channels // (tiles * WORD))
    stored, size = stored_channels(spec.in_channels), spec.size
    per_block, groups = max(1, BLOCK // stored), max(1, stored // BLOCK)
    blocks = -(-size // per_block)
    # [out, ky, tap, in]; taps and inputs are then one line of bytes, cut into blocks.
    padded = np.zeros((passes * tiles * WORD, size, blocks * per_block, stored), np.int16)
    padded[:spec.channels, :, :size, :spec.in_channels] = spec.weight.transpose(0, 2, 3, 1)
    lines = padded.reshape(passes, tiles, WORD, size, blocks, groups, BLOCK // 4, 4)
    order = lines.transpose(0, 3, 5, 4, 1, 6, 2, 7)
    if parts == 2:
        low = order.astype(np.int8)
        order = np.concatenate([low, (order - low) >> 8], axis=4)
    weight = aligned(order.size, np.int8)
    weight[:] = order.ravel()
    bias = np.zeros(passes * tiles * WORD, np.int32)
    if not spec.is_head:
        bias[:spec.channels] = spec.bias
    return PackedConvolution(spec, weight, bias, tiles, parts, passes, per_block, groups)


class MapView(NamedTuple):
    """What kernels need of a map: see ``SpikeMap``. frame: silent pixels on each side; lines, pitch (pixels), bytes (of
    a pixel), words (of a line), groups: lengths of its axes.
    """

    low: np.ndarray
    high: np.ndarray
    frame: int
    pitch: int
    bytes: int
    fired: np.ndarray
    lines: int
    words: int
    groups: int


class SpikeMap:
    """Messages of one layer's outputs.

    low: uint8 and high: int8 [line, pixel, channel], flat: the messages' bytes. fired: uint16 [group of 64 channels,
    line, word], flat: bit i of word 1 + x // 16 belongs to pixel x + i; a line begins with an empty word.
    """

    def __init__(self, rows: int, cols: int, reader: PackedConvolution) -> None:
        """reader: the layer that reads the map; tiles of it reach some pixels beyond the last one."""
        spec = reader.spec
        stored, frame = stored_channels(spec.in_channels), spec.padding
        pitch, lines = cols + 2 * frame, rows + 2 * frame
        size = (lines * pitch + WORD * spec.stride + spec.size + WORD) * stored
        words, groups = 1 + -(-cols // WORD) + spec.stride + 4, max(1, stored // BLOCK)
        self.low, self.high = aligned(size, np.uint8), aligned(size, np.int8)
        self.fired = np.zeros(groups * lines * words, np.uint16)
        self.view = MapView(self.low, self.high, frame, pitch, stored, self.fired, lines, words, groups)

    def clear(self) -> None:
        for array in (self.low, self.high, self.fired):
            array[:] = 0


def view_of_changes(changes: ChangeMap) -> MapView:
    """The encoder's map, whose only plane is that of the high bytes."""
    return MapView(changes.value.view(np.uint8), changes.value, FRAME, changes.pitch, changes.stored, changes.fired,
                   changes.lines, changes.words, 1)
