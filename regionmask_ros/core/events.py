"""The encoder's events as a dense map, and the constants of its layout.

Kernels that work on blocks of pixels read the map directly; the others list its events.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from ..jit.cache import kernel
from ..jit.memory import aligned
from ..jit.simd import count_bits
from .arithmetic import SPIKE_EXP

WORD = 16
"""Pixels whose bits share a word."""

FRAME = 8
"""Zero pixels on each side of the image, so that windows across the border need no special case."""

BLOCK = 64
"""Bytes of messages that are multiplied at a time."""


def stored_channels(channels: int) -> int:
    """Returns the channels of a dense map with padding: a block holds whole pixels, or a pixel holds whole blocks."""
    if channels > BLOCK:
        return -(-channels // BLOCK) * BLOCK
    return max(4, 1 << (channels - 1).bit_length())


class ChangeMap:
    """The changes of one frame in encoder units (2**6): the message of an event is 16 times its change.

    Args:
        rows: Rows of the image.
        cols: Columns of the image, a multiple of 16.
        channels: Channels of the image.

    Attributes:
        value: int8 [lines, pitch, stored], flat: the changes, with a frame of zero pixels.
        fired: uint16 [lines, words], flat. Bit i of word ``1 + x // 16`` is set when pixel ``x + i`` has an event. A
            line begins with one empty word and ends with four.
        spikes: uint64 [rows, cols * stored / 64], flat, without frame: one bit for each value, set when it is not 0.
        events: Number of events.
        lines: Lines of ``value`` and ``fired``.
        pitch: Pixels of a line of ``value``.
        words: Words of a line of ``fired``.
        stored: Channels with padding, see ``stored_channels``.
    """

    def __init__(self, rows: int, cols: int, channels: int) -> None:
        self.rows, self.cols, self.channels, self.stored = rows, cols, channels, stored_channels(channels)
        self.lines, self.pitch, self.words = rows + 2 * FRAME, cols + 2 * FRAME, 1 + cols // WORD + 4
        # Kernels may read blocks beyond the last line.
        self.value = aligned((self.lines + 1) * self.pitch * self.stored + 4 * BLOCK, np.int8)
        self.fired = np.zeros(self.lines * self.words, np.uint16)
        self.spikes = np.zeros(rows * cols * self.stored // BLOCK, np.uint64)
        self.events = 0

    def clear(self) -> None:
        """Removes all events."""
        self.value[:], self.fired[:], self.spikes[:], self.events = 0, 0, 0, 0

    def list_changes(self) -> tuple[np.ndarray, np.ndarray]:
        """Lists all events.

        Returns:
            index: int32 [n], positions in (y, x, channel), flat, in image order.
            message: int32 [n] at 2**10.
        """
        index, message = np.empty(self.events, np.int32), np.empty(self.events, np.int32)
        shape = self.rows, self.cols, self.channels, self.stored, self.words
        list_events(self.value, self.fired, shape, index, message)
        return index, message

    def reached(self, reach_y: np.ndarray, masks: np.ndarray) -> int:
        """Counts the outputs that all events reach together.

        Args:
            reach_y: int32 [rows], output rows that a pixel of each row reaches.
            masks: ``reach_masks`` of ``reach_x``, the same for columns.

        Returns:
            Sum over all events of ``reach_y[y] * reach_x[x]``.
        """
        return sum_reach(self.spikes, self.rows, reach_y, masks)


class Events:
    """The events of one frame, a view of the encoder's buffers: valid until its next step.

    Args:
        changes: The events as a dense map.

    Attributes:
        shape: (height, width, channels) of the network's input.
    """

    def __init__(self, changes: ChangeMap) -> None:
        self.changes = changes
        self.shape = changes.rows, changes.cols, changes.channels
        self._count = changes.events

    def __len__(self) -> int:
        return self._count

    @cached_property
    def _listed(self) -> tuple[np.ndarray, np.ndarray]:
        return self.changes.list_changes()

    @property
    def index(self) -> np.ndarray:
        """int32 [n], strictly ascending positions in the input, flat in image order (y, x, channel)."""
        return self._listed[0]

    @property
    def message(self) -> np.ndarray:
        """int32 [n], the changes at 2**10."""
        return self._listed[1]


@kernel
def list_events(value: np.ndarray, fired: np.ndarray, shape: tuple[int, int, int, int, int], index: np.ndarray,
                message: np.ndarray) -> None:
    """Fills ``index`` and ``message``, see ``ChangeMap.list_changes``. shape: (rows, cols, channels, stored, words)."""
    rows, cols, channels, stored, words = shape
    pitch = cols + 2 * FRAME
    n = 0
    for y in range(rows):
        for word in range(cols // WORD):
            bits = fired[(y + FRAME) * words + 1 + word]
            if bits == 0:
                continue
            for i in range(WORD):
                if bits >> i & 1 == 0:
                    continue
                x = word * WORD + i
                at = ((y + FRAME) * pitch + FRAME + x) * stored
                for c in range(channels):
                    if value[at + c] != 0:
                        index[n] = (y * cols + x) * channels + c
                        message[n] = np.int32(value[at + c]) << SPIKE_EXP
                        n += 1


def reach_masks(reach: np.ndarray, stored: int) -> np.ndarray:
    """Returns bit masks with which ``ChangeMap.reached`` counts by population count.

    Args:
        reach: int32 [pixels], output columns that each pixel of a line reaches.
        stored: Channels with padding.

    Returns:
        uint64 [pixels * stored / 64, largest reach]: mask k has the bits of all values whose pixel reaches more than k
        outputs. The bits that are set over all masks add up to the outputs reached.
    """
    each = np.repeat(reach, stored)
    more = each > np.arange(max(1, each.max()))[:, None]
    masks = np.packbits(more, axis=1, bitorder="little").view(np.uint64)
    return np.ascontiguousarray(masks.T)


@kernel
def sum_reach(spikes: np.ndarray, rows: int, reach_y: np.ndarray, masks: np.ndarray) -> int:
    """See ``ChangeMap.reached``."""
    blocks, levels = masks.shape
    total = 0
    for y in range(rows):
        line = 0
        for block in range(blocks):
            bits = spikes[y * blocks + block]
            if bits != 0:
                for level in range(levels):
                    line += count_bits(bits & masks[block, level])
        total += line * reach_y[y]
    return total
