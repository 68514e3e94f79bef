"""What the encoder sends, as a dense map. Engines that work on blocks of pixels take it as it is."""

from __future__ import annotations

import numpy as np

from ..engine.arithmetic import SPIKE_EXP
from ..engine.layer import BLOCK, stored_channels
from ..jit.cache import kernel
from ..jit.memory import aligned
from ..jit.simd import count

WORD = 16
"""Pixels whose bits share a word."""

FRAME = 8
"""Silent pixels on each side of the picture: windows that leave it need no care."""


class ChangeMap:
    """One frame's changes, in encoder units (2**6): an event's message is 16 times its change.

    value: int8 [lines, pixels, stored channels], flat, framed. fired: uint16 [lines, words], flat: bit i of word
    1 + x // 16 tells whether pixel x + i sends anything; a line begins with an empty word and ends with four.
    lines, pitch, words, stored: lengths of these axes. spikes: uint64 [rows, 64 stored channels], flat, without a
    frame: a bit for each value of the map that is not 0. events: messages in all.
    """

    def __init__(self, rows: int, cols: int, channels: int) -> None:
        """cols: a multiple of 16."""
        self.rows, self.cols, self.channels, self.stored = rows, cols, channels, stored_channels(channels)
        self.lines, self.pitch, self.words = rows + 2 * FRAME, cols + 2 * FRAME, 1 + cols // WORD + 4
        # Blocks may be read beyond the last line.
        self.value = aligned((self.lines + 1) * self.pitch * self.stored + 4 * BLOCK, np.int8)
        self.fired = np.zeros(self.lines * self.words, np.uint16)
        self.spikes = np.zeros(rows * cols * self.stored // BLOCK, np.uint64)
        self.events = 0

    def clear(self) -> None:
        self.value[:], self.fired[:], self.spikes[:], self.events = 0, 0, 0, 0

    def list_changes(self) -> tuple[np.ndarray, np.ndarray]:
        """(index, message) of all events: int32 [n], positions (y, x, channel) in image order; messages at 2**10."""
        index, message = np.empty(self.events, np.int32), np.empty(self.events, np.int32)
        place = self.rows, self.cols, self.channels, self.stored, self.words
        list_events(self.value, self.fired, *place, index, message)
        return index, message

    def reached(self, reach_y: np.ndarray, masks: np.ndarray) -> int:
        """Sum over all events of reach_y[y] * reach_x[x], int32 [rows] and [cols].

        masks: ``reach_masks`` of reach_x.
        """
        return sum_reach(self.spikes, self.rows, reach_y, masks)


@kernel
def list_events(value, fired, rows, cols, channels, stored, words, index, message):
    """Fills index and message, see ``ChangeMap.list_changes``."""
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
    """uint64 [blocks of 64 bytes, most]: bits of a line's bytes whose pixel reaches more than 0, 1, 2, .. outputs.

    reach: int32 [pixels]. Bits that are set, over all masks, then are outputs reached.
    """
    each = np.repeat(reach, stored)
    more = each > np.arange(max(1, each.max()))[:, None]
    masks = np.packbits(more, axis=1, bitorder="little").view(np.uint64)
    return np.ascontiguousarray(masks.T)


@kernel
def sum_reach(spikes, rows, reach_y, masks):
    """See ``ChangeMap.reached``."""
    blocks, levels = masks.shape
    total = 0
    for y in range(rows):
        line = 0
        for block in range(blocks):
            there = spikes[y * blocks + block]
            if there != 0:
                for level in range(levels):
                    line += count(there & masks[block, level])
        total += line * reach_y[y]
    return total
