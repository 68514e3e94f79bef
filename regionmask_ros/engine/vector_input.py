"""The encoder's events as a dense map of 16-bit messages, for the first layer's kernel."""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from .arithmetic import SPIKE_EXP
from .change_map import FRAME, WORD, ChangeMap
from .kernel_cache import kernel
from .memory import aligned
from .packing import BLOCK, LARGEST_MESSAGE, stored_channels
from .vector_ir import I8, I16, constant, load, pointer, store


class InputMap:
    """value: int16 [line, pixel, stored channel], flat, framed, messages at 2**10 (word: the same as words).

    fired, words, stored: as in ``ChangeMap``, whose silent frame it has, too.
    """

    def __init__(self, rows: int, cols: int, channels: int, word: type, top: int) -> None:
        """word: NumPy's type of a word. top: the largest message that it may hold."""
        self.top = top
        self.rows, self.cols, self.channels, self.stored = rows, cols, channels, stored_channels(channels)
        self.pitch, self.words = cols + 2 * FRAME, 1 + -(-cols // WORD) + 4
        lines = rows + 2 * FRAME
        self.value = aligned((lines + 1) * self.pitch * self.stored, np.int16)
        self.fired = np.zeros(lines * self.words + 4, np.uint16)
        self.word = self.value.view(word)

    def set_changes(self, changes: ChangeMap) -> None:
        """Takes a frame of the encoder's changes in place of what the map held."""
        widen(changes.value, changes.fired, changes.rows + 2 * FRAME, self.words, self.pitch, self.stored, self.value,
              self.fired)

    def put(self, index, message, reach_y, reach_x, wide_index, wide_rest) -> tuple[int, int]:
        """Adds events to an empty map, see ``spread``."""
        return spread(index, message, len(index), self.channels, self.cols, self.pitch, self.stored, self.value,
                      self.fired, self.words, self.top, reach_y, reach_x, wide_index, wide_rest)

    def clear(self) -> None:
        self.value[:], self.fired[:] = 0, 0


@kernel
def spread(index, message, spikes, channels, width, pitch, stored, value, fired, words, top, reach_y, reach_x,
           wide_index, wide_rest):
    """Events into their map.

    Returns (messages beyond what a word holds, whose rest goes to wide_index and wide_rest; outputs that the events
    reach, each event counted).
    """
    wide = 0
    reached = 0
    for e in range(spikes):
        position = index[e] // channels
        y = position // width
        x = position - y * width
        nearest = min(max(message[e], -LARGEST_MESSAGE), top)
        value[((y + FRAME) * pitch + x + FRAME) * stored + index[e] - position * channels] = nearest
        fired[(y + FRAME) * words + 1 + x // WORD] |= np.uint16(1 << x % WORD)
        reached += reach_y[y] * reach_x[x]
        if nearest != message[e]:
            wide_index[wide] = index[e]
            wide_rest[wide] = message[e] - nearest
            wide += 1
    return wide, reached


@kernel
def widen(changes, speaking, lines, words, pitch, stored, value, fired):
    """Changes of 8 bits become messages of 16, 16 pixels at a time; what fired before and is silent now becomes 0.

    changes, speaking: ``ChangeMap``'s value and fired. value, fired: ``InputMap``'s.
    """
    for line in range(FRAME, lines - FRAME):
        for word in range(words - 5):
            at = line * words + 1 + word
            if speaking[at] != 0 or fired[at] != 0:
                first = (line * pitch + FRAME + word * WORD) * stored
                for block in range(0, WORD * stored, BLOCK):
                    widen_block(changes, value, first + block)
                fired[at] = speaking[at]


@intrinsic
def widen_block(typing_context, changes, value, first):
    """value[first:first + 64] = changes[first:first + 64], from the encoder's unit to a message's."""

    def generate(context, builder, signature, arguments):
        changes_, value_, first_ = arguments
        narrow, wide = (ir.VectorType(kind, BLOCK) for kind in (I8, I16))
        source = pointer(context, builder, signature.args[0], changes_, first_, I8)
        message = builder.shl(builder.sext(load(builder, source, narrow, 0, 1), wide), constant(wide, SPIKE_EXP))
        store(builder, message, pointer(context, builder, signature.args[1], value_, first_, I16), 0, 2)
        return context.get_dummy_value()

    return types.void(changes, value, types.intp), generate
