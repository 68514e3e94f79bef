"""Weights and maps of messages in the order that matrix tiles need, and the groups of arguments of their kernels.

Python builds a group by name and hands it to a kernel as a plain tuple (see ``jit.cache.kernel``). The kernel takes it
apart in the order of the fields. Functions that emit instructions build it again, of the fields' operands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ...core.events import BLOCK, FRAME, WORD, ChangeMap, stored_channels
from ...jit.memory import aligned
from ..layer import CheckedConv

_SPAN = 3 * WORD
"""Pixels that the four words of a window hold beside the empty ones."""


def can_pack(convs: Sequence[CheckedConv]) -> bool:
    """Returns whether all weights fit two parts of 8 signed bits each, and no layer has groups."""
    return all(conv.groups == 1 and -1 << 15 <= conv.weight.min() and conv.weight.max() < (1 << 15) - 128
               for conv in convs)


@dataclass(frozen=True)
class AmxWeights:
    """The weights of one layer in the kernels' order, shared by all cameras.

    Attributes:
        conv: The layer.
        weight: int8 [pass, ky, group, block of taps, tile or part, 64 / 4, 16, 4], flat.
        bias: int32 [padded outputs] at 2**(10 + exponent).
        tiles: Tiles of 16 outputs that are computed at a time.
        parts: Parts of 8 bits that a weight has, see ``neurons.add_products``.
        passes: Passes that compute all outputs.
        per_block: Taps that share a block of 64 inputs.
        groups: Blocks that share a tap.
    """

    conv: CheckedConv
    weight: np.ndarray
    bias: np.ndarray
    tiles: int
    parts: int
    passes: int
    per_block: int
    groups: int

    @property
    def depth(self) -> int:
        """Inputs of a block: fewer than 64 when one line of the window has fewer."""
        return min(BLOCK, self.conv.size * stored_channels(self.conv.in_channels))

    @property
    def near(self) -> bool:
        """Whether the windows of 16 outputs lie within four words of 16 pixels.

        The first of them begins at most 16 pixels before the windows.
        """
        conv = self.conv
        return conv.padding <= WORD and (WORD - 1) * conv.stride + conv.size <= _SPAN + conv.padding

    @property
    def padded(self) -> int:
        """Output channels with their padding."""
        return self.tiles * self.passes * WORD

    @property
    def window_blocks(self) -> int:
        """Blocks of a window."""
        return self.conv.size * -(-self.conv.size // self.per_block) * self.groups


def pack(convs: Sequence[CheckedConv]) -> tuple[AmxWeights, ...]:
    """Returns the weights of all layers in the kernels' order."""
    return tuple(_pack(conv) for conv in convs)


def _pack(conv: CheckedConv) -> AmxWeights:
    narrow = np.abs(conv.weight.astype(np.int32)).max() <= 127
    tiles, parts = (1, 1) if conv.out_channels <= WORD and narrow else (2, 1) if narrow else (1, 2)
    passes = -(-conv.out_channels // (tiles * WORD))
    stored, size = stored_channels(conv.in_channels), conv.size
    per_block, groups = max(1, BLOCK // stored), max(1, stored // BLOCK)
    blocks = -(-size // per_block)
    # [out, ky, tap, in]; taps and inputs are then one line of bytes, cut into blocks.
    padded = np.zeros((passes * tiles * WORD, size, blocks * per_block, stored), np.int16)
    padded[:conv.out_channels, :, :size, :conv.in_channels] = conv.weight.transpose(0, 2, 3, 1)
    lines = padded.reshape(passes, tiles, WORD, size, blocks, groups, BLOCK // 4, 4)
    order = lines.transpose(0, 3, 5, 4, 1, 6, 2, 7)
    if parts == 2:
        low = order.astype(np.int8)
        order = np.concatenate([low, (order - low) >> 8], axis=4)
    weight = aligned(order.size, np.int8)
    weight[:] = order.ravel()
    return AmxWeights(conv, weight, conv.padded_bias(passes * tiles * WORD), tiles, parts, passes, per_block, groups)


class Weights(NamedTuple):
    """The layer's weights and window.

    Attributes:
        weight: int8, see ``AmxWeights``; so are ``passes`` and ``window_blocks``.
        passes: Passes that compute all outputs.
        window_blocks: Blocks of a window.
        stride: Step between windows, pixels.
        padding: Zeros on each side, pixels.
    """

    weight: Any
    passes: Any
    window_blocks: Any
    stride: Any
    padding: Any


class MapView(NamedTuple):
    """A map of messages, see ``EventMap``.

    Attributes:
        low: uint8 [lines, pitch, bytes], flat: low bytes of the messages.
        high: int8, likewise: high bytes.
        frame: Zero pixels on each side.
        pitch: Pixels of a line.
        bytes: Bytes of a pixel in each plane.
        fired: uint16 [groups, lines, words], flat.
        lines: Lines.
        words: Words of a line of ``fired``.
        groups: Groups of 64 channels.
    """

    low: Any
    high: Any
    frame: Any
    pitch: Any
    bytes: Any
    fired: Any
    lines: Any
    words: Any
    groups: Any


class NeuronState(NamedTuple):
    """The layer's neurons; all values at 2**(10 + exponent).

    Attributes:
        bias: int32 [padded channels].
        threshold: Smallest change that fires.
        release: Reference from which an inactive neuron fires, see ``core.arithmetic.Rule``.
        exponent: A message is a change shifted right by it.
        state: uint8, flat: [pass, place, pixel, fields], see ``neurons.fire_pixel``; of a head [place, pixel, channel].
    """

    bias: Any
    threshold: Any
    release: Any
    exponent: Any
    state: Any


class Plan(NamedTuple):
    """The work of a layer: places of 16 neighboring outputs, and the blocks of inputs that fired for each.

    Attributes:
        place: int32, ``y * ceil(cols / 16) + x // 16`` of each place.
        pending_bits: uint64, bits of the outputs of each place that have work.
        first: int32, first entry of each place in ``offset`` and ``number``.
        offset: int32, bytes from the window's beginning to each block.
        number: int32, number of the weights of each block.
    """

    place: Any
    pending_bits: Any
    first: Any
    offset: Any
    number: Any


class EventMap:
    """Messages of one layer's outputs, of which 16 pixels and 64 channels at a time have a word of 16 bits.

    Args:
        rows: Rows of the output.
        cols: Columns of the output.
        reader: The layer that reads the map; its tiles reach some pixels beyond the last one.

    Attributes:
        view: The arrays. Bit i of word ``1 + x // 16`` in ``fired`` belongs to pixel ``x + i``; a line begins with an
            empty word.
    """

    def __init__(self, rows: int, cols: int, reader: AmxWeights) -> None:
        conv = reader.conv
        stored, frame = stored_channels(conv.in_channels), conv.padding
        pitch, lines = cols + 2 * frame, rows + 2 * frame
        size = (lines * pitch + WORD * conv.stride + conv.size + WORD) * stored
        words, groups = 1 + -(-cols // WORD) + conv.stride + 4, max(1, stored // BLOCK)
        self.view = MapView(aligned(size, np.uint8), aligned(size, np.int8), frame, pitch, stored,
                            np.zeros(groups * lines * words, np.uint16), lines, words, groups)

    def clear(self) -> None:
        """Removes all events."""
        for array in (self.view.low, self.view.high, self.view.fired):
            array[:] = 0


def view_of_changes(changes: ChangeMap) -> MapView:
    """Returns the encoder's map as one of messages, with the high bytes as its only plane."""
    return MapView(changes.value.view(np.uint8), changes.value, FRAME, changes.pitch, changes.stored, changes.fired,
                   changes.lines, changes.words, 1)
