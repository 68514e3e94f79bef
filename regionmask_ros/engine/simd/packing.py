"""Weights for the vector kernels, and which processors run them.

The encoder's events as a dense map of 16-bit messages, for the first layer's kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from llvmlite import ir
from numba.core import config, types
from numba.core.codegen import get_host_cpu_features
from numba.extending import intrinsic

from ...core.arithmetic import SPIKE_EXP
from ...core.events import BLOCK, FRAME, WORD, ChangeMap, stored_channels
from ...jit.cache import is_numba_supported, kernel
from ...jit.memory import aligned
from ...jit.simd import I8, I16, WIDTHS, constant, load, pointer, store
from ..layer import MAX_MESSAGE, Convolution
from .kernels import MAX_SIZE


@dataclass(frozen=True)
class Processor:
    """Vectors that a family of processors has.

    most: sums that the dot product may hold in registers, so that weights and messages fit beside. needed: LLVM's names
    of the features. fused: features any of which lets LLVM multiply and add in one instruction (VNNI's vpdpwssd).
    """

    lanes: int
    most: int
    needed: tuple[str, ...]
    fused: tuple[str, ...] = ()

    @property
    def is_supported(self) -> bool:
        """Whether this processor has the instructions and Numba will use them."""
        if config.CPU_NAME or config.CPU_FEATURES or config.DISABLE_JIT or not is_numba_supported():
            return False
        return all(_has(name) for name in self.needed)

    @property
    def has_vnni(self) -> bool:
        """Whether its products are added up by VNNI."""
        return any(_has(name) for name in self.fused)


def _has(feature: str) -> bool:
    return f"+{feature}" in get_host_cpu_features().split(",")


AVX512 = Processor(16, 16, ("avx512f", "avx512bw", "avx512vl"), ("avx512vnni",))
AVX2 = Processor(8, 8, ("avx2",), ("avxvnni", "avx512vnni"))
DOTPROD = Processor(4, 8, ("dotprod",))
"""ARM: sdot, four products of bytes for each int32."""


def can_pack(convolutions: Sequence[Convolution], processor: Processor) -> bool:
    """The bits of a line's windows must fit what is looked at of it, and weights must fit bytes where these are
    multiplied.
    """
    bytes_only = WIDTHS[processor.lanes].multiply_add is None
    return all(spec.size <= MAX_SIZE and spec.padding <= FRAME and (_is_narrow(spec) or not bytes_only)
               for spec in convolutions)


def _is_narrow(spec: Convolution) -> bool:
    return spec.weight.min() >= -128 and spec.weight.max() <= 127


def word_type(lanes: int) -> type:
    """NumPy's integer of a word of messages."""
    return {2: np.int32, 4: np.int64}[WIDTHS[lanes].channels]


@dataclass(frozen=True, eq=False)
class PackedConvolution:
    """weight: int8 or int16, [group, ky, kx, word of inputs, out, input of the word], flat; inputs padded as the layer
    before stores its outputs, outputs padded to whole vectors. slots: words of a pixel's inputs.

    bias: int32 [padded out] at 2**16. lanes, vectors, groups: see ``vector_kernels.simd_layer_kernel``.
    """

    spec: Convolution
    lanes: int
    weight: np.ndarray
    bias: np.ndarray
    vectors: int
    groups: int
    slots: int

    @property
    def stored(self) -> int:
        """Input channels with their padding."""
        return self.slots * WIDTHS[self.lanes].channels

    @property
    def padded(self) -> int:
        return self.vectors * self.groups * self.lanes

    @property
    def together(self) -> tuple[int, int]:
        """Vectors and outputs of a dense turn: as many sums as fit the registers beside weights and a message."""
        most, widest = (16, 4) if self.lanes == AVX512.lanes else (8, 2)
        columns = min(widest, self.vectors)
        return columns, most // columns


def pack(convolutions: tuple[Convolution, ...], processor: Processor) -> tuple[PackedConvolution, ...]:
    """Weights as the kernels want them, once for all cameras."""
    packed, stored = [], stored_channels(convolutions[0].in_channels)
    for spec in convolutions:
        packed.append(_pack(spec, processor, stored))
        stored = packed[-1].padded
    return tuple(packed)


def _pack(spec: Convolution, processor: Processor, in_channels: int) -> PackedConvolution:
    lanes = processor.lanes
    wanted = -(-spec.channels // lanes)
    vectors = max(v for v in (1, 2, 4, 8, 16) if v <= processor.most and wanted % v == 0)
    word = WIDTHS[lanes].channels
    groups, slots, size = wanted // vectors, in_channels // word, spec.size
    padded = np.zeros((wanted * lanes, slots * word, size, size), np.int16)
    padded[:spec.channels, :spec.in_channels] = spec.weight
    order = padded.reshape(groups, vectors * lanes, slots, word, size, size).transpose(0, 4, 5, 2, 1, 3)
    weight = aligned(order.size, np.int8 if _is_narrow(spec) else np.int16)
    weight[:] = order.ravel()
    bias = np.zeros(wanted * lanes, np.int32)
    if not spec.is_head:
        bias[:spec.channels] = spec.bias
    return PackedConvolution(spec, lanes, weight, bias, vectors, groups, slots)


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

    def put(self, index, message, reach_y, reach_x, overflow_index, overflow_rest) -> tuple[int, int]:
        """Adds events to an empty map, see ``spread``."""
        return spread(index, message, len(index), self.channels, self.cols, self.pitch, self.stored, self.value,
                      self.fired, self.words, self.top, reach_y, reach_x, overflow_index, overflow_rest)

    def clear(self) -> None:
        self.value[:], self.fired[:] = 0, 0


@kernel
def spread(index, message, spikes, channels, width, pitch, stored, value, fired, words, top, reach_y, reach_x,
           overflow_index, overflow_rest):
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
        nearest = min(max(message[e], -MAX_MESSAGE), top)
        value[((y + FRAME) * pitch + x + FRAME) * stored + index[e] - position * channels] = nearest
        fired[(y + FRAME) * words + 1 + x // WORD] |= np.uint16(1 << x % WORD)
        reached += reach_y[y] * reach_x[x]
        if nearest != message[e]:
            overflow_index[wide] = index[e]
            overflow_rest[wide] = message[e] - nearest
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
