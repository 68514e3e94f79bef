"""Processors with vectors, and what their kernels take: weights in their order, and the encoder's events as input.

Python builds a group of arguments by name and hands it to a kernel as a plain tuple (see ``jit.cache.kernel``). The
kernel takes it apart in the order of the fields. Functions that emit instructions build it again, of the fields'
operands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba.core import config, types
from numba.core.codegen import get_host_cpu_features
from numba.extending import intrinsic

from ...core.arithmetic import SPIKE_EXP
from ...core.events import BLOCK, FRAME, WORD, ChangeMap, stored_channels
from ...jit.cache import is_numba_supported, kernel
from ...jit.memory import aligned
from ...jit.simd import I8, I16, WIDTHS, Intrinsic, constant, load, pointer, store
from ..layer import MAX_MESSAGE, CheckedConv

MAX_SIZE = 32
"""Largest side of a window: its bits must fit the 64 that ``kernels.plan_map`` reads at a time."""


class Weights(NamedTuple):
    """The layer's weights.

    Attributes:
        weight: int8 or int16, flat, see ``packing.SimdWeights``.
        groups: Groups of output channels that are computed one after another.
        tap_rows: Rows of weights of a tap, which is the number of words of an input pixel.
        size: Side of the window, pixels.
        stride: Step between windows, pixels.
    """

    weight: Any
    groups: Any
    tap_rows: Any
    size: Any
    stride: Any


class Source(NamedTuple):
    """What the layer reads: lists of words, one for each input pixel, or a map of the same words.

    Attributes:
        lead: Lines and pixels of the frame that are not padding.
        pitch: Pixels of a line.
        count: int32 [pixels], length of each list.
        index: int32 [pixels, tap_rows], flat: number of each word in its pixel.
        pair: Words [pixels, tap_rows], flat: messages of each list.
        word: Words [pixels, tap_rows], flat: the map, each word in its place, 0 where nothing fired.
    """

    lead: Any
    pitch: Any
    count: Any
    index: Any
    pair: Any
    word: Any


class Target(NamedTuple):
    """What the layer writes.

    Attributes:
        is_list: Whether events go to lists; otherwise they go to the map.
        padding: Lines and pixels of frame.
        pitch: Pixels of a line.
        slots: Words of a pixel.
        count: int32 [pixels], length of each list, or words of the map that are not 0.
        index: As in ``Source``.
        pair: As in ``Source``.
        word: As in ``Source``.
    """

    is_list: Any
    padding: Any
    pitch: Any
    slots: Any
    count: Any
    index: Any
    pair: Any
    word: Any


class NeuronState(NamedTuple):
    """The layer's neurons; all values at 2**(10 + exponent), channels padded to whole vectors.

    Attributes:
        bias: int32 [channels].
        threshold: Smallest change that fires.
        release: Reference from which an inactive neuron fires, see ``core.arithmetic.Rule``.
        exponent: A message is a change shifted right by it.
        sigma: int32 [rows, cols, channels], flat.
        reference: int32 [rows, cols, channels], flat; empty for a head.
    """

    bias: Any
    threshold: Any
    release: Any
    exponent: Any
    sigma: Any
    reference: Any


class Work(NamedTuple):
    """Memory that no layer keeps anything in.

    Attributes:
        begin: int64 [outputs at a time], where their windows begin.
        pixel: int32 [size * size], pixels of a window that have events.
        tap: int32 [size * size], their places in the window.
        total: int32 [outputs at a time, vectors, lanes], flat: sums, then messages.
    """

    begin: Any
    pixel: Any
    tap: Any
    total: Any


@dataclass(frozen=True)
class Processor:
    """The vectors of a family of processors.

    Attributes:
        lanes: int32 values of a vector.
        max_sums: Sums that a dot product keeps in registers, so that weights and messages fit beside them.
        needed: LLVM's names of the features that the kernels need.
        fused: Features any of which lets LLVM multiply and add in one instruction (VNNI's vpdpwssd).
    """

    lanes: int
    max_sums: int
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
        """Whether VNNI adds up its products."""
        return any(_has(name) for name in self.fused)


def _has(feature: str) -> bool:
    return f"+{feature}" in get_host_cpu_features().split(",")


AVX512 = Processor(16, 16, ("avx512f", "avx512bw", "avx512vl"), ("avx512vnni",))
AVX2 = Processor(8, 8, ("avx2",), ("avxvnni", "avx512vnni"))
DOTPROD = Processor(4, 8, ("dotprod",))
"""ARM's sdot: four products of bytes for each int32."""


def can_pack(convs: Sequence[CheckedConv], processor: Processor) -> bool:
    """Returns whether windows fit the bits that ``plan_map`` reads, and weights the bytes that are multiplied.

    Convolutions in groups are not packed: their vectors would hold zeros of the other groups.
    """
    bytes_only = WIDTHS[processor.lanes].multiply_add is None
    return all(conv.size <= MAX_SIZE and conv.padding <= FRAME and conv.groups == 1
               and (_fits_bytes(conv) or not bytes_only) for conv in convs)


def _fits_bytes(conv: CheckedConv) -> bool:
    return bool(conv.weight.min() >= -128 and conv.weight.max() <= 127)


def word_type(lanes: int) -> type[np.signedinteger[Any]]:
    """Returns NumPy's integer type of a word of messages."""
    return np.int32 if WIDTHS[lanes].channels == 2 else np.int64


@dataclass(frozen=True, eq=False)
class SimdWeights:
    """The weights of one layer in the kernels' order, shared by all cameras.

    Attributes:
        conv: The layer.
        lanes: int32 values of a vector.
        weight: int8 or int16, [group, ky, kx, word of inputs, output, input of the word], flat. Inputs are padded as
            the layer before stores its outputs, outputs to whole vectors.
        bias: int32 [padded outputs] at 2**(10 + exponent).
        vectors: Vectors of a group, see ``kernels.simd_layer_kernel``.
        groups: Groups of outputs.
        slots: Words of an input pixel.
    """

    conv: CheckedConv
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
        """Output channels with their padding."""
        return self.vectors * self.groups * self.lanes

    @property
    def together(self) -> tuple[int, int]:
        """Vectors and dense outputs at a time: as many sums as fit the registers beside weights and a message."""
        most, widest = (16, 4) if self.lanes == AVX512.lanes else (8, 2)
        columns = min(widest, self.vectors)
        return columns, most // columns


def pack(convs: Sequence[CheckedConv], processor: Processor) -> tuple[SimdWeights, ...]:
    """Returns the weights of all layers in the kernels' order."""
    packed: list[SimdWeights] = []
    stored = stored_channels(convs[0].in_channels)
    for conv in convs:
        packed.append(_pack(conv, processor, stored))
        stored = packed[-1].padded
    return tuple(packed)


def _pack(conv: CheckedConv, processor: Processor, in_channels: int) -> SimdWeights:
    lanes = processor.lanes
    wanted = -(-conv.out_channels // lanes)
    vectors = max(v for v in (1, 2, 4, 8, 16) if v <= processor.max_sums and wanted % v == 0)
    word = WIDTHS[lanes].channels
    groups, slots, size = wanted // vectors, in_channels // word, conv.size
    padded = np.zeros((wanted * lanes, slots * word, size, size), np.int16)
    padded[:conv.out_channels, :conv.in_channels] = conv.weight
    order = padded.reshape(groups, vectors * lanes, slots, word, size, size).transpose(0, 4, 5, 2, 1, 3)
    weight = aligned(order.size, np.int8 if _fits_bytes(conv) else np.int16)
    weight[:] = order.ravel()
    return SimdWeights(conv, lanes, weight, conv.padded_bias(wanted * lanes), vectors, groups, slots)


class InputMap:
    """The input of the first layer: a dense map of 16-bit messages.

    Args:
        rows: Rows of the image.
        cols: Columns of the image.
        channels: Channels of the image.
        lanes: int32 values of a vector.

    Attributes:
        value: int16 [lines, pitch, stored], flat, with a frame of zero pixels: messages at 2**10.
        word: The same memory as words.
        fired: As in ``core.events.ChangeMap``; so are ``words`` and ``stored``.
    """

    def __init__(self, rows: int, cols: int, channels: int, lanes: int) -> None:
        self.rows, self.cols, self.channels, self.stored = rows, cols, channels, stored_channels(channels)
        self.pitch, self.words = cols + 2 * FRAME, 1 + -(-cols // WORD) + 4
        lines = rows + 2 * FRAME
        self.value = aligned((lines + 1) * self.pitch * self.stored, np.int16)
        self.fired = np.zeros(lines * self.words + 4, np.uint16)
        self.word = self.value.view(word_type(lanes))
        self._shape = channels, cols, self.pitch, self.stored, self.words, WIDTHS[lanes].top

    def set_changes(self, changes: ChangeMap) -> None:
        """Replaces the content by a frame of the encoder's changes."""
        shape = changes.rows + 2 * FRAME, self.words, self.pitch, self.stored
        widen(changes.value, changes.fired, shape, self.value, self.fired)

    def set_events(self, index: np.ndarray, message: np.ndarray, reach: tuple[np.ndarray, np.ndarray],
                   overflow: tuple[np.ndarray, np.ndarray]) -> tuple[int, int]:
        """Replaces the content by a list of events; arguments and result as for ``write_events``."""
        self.clear()
        return write_events(index, message, self._shape, self.value, self.fired, reach, overflow)

    def clear(self) -> None:
        """Removes all events."""
        self.value[:], self.fired[:] = 0, 0


@kernel
def write_events(index: np.ndarray, message: np.ndarray, shape: tuple[int, int, int, int, int, int],
                 value: np.ndarray, fired: np.ndarray, reach: tuple[np.ndarray, np.ndarray],
                 overflow: tuple[np.ndarray, np.ndarray]) -> tuple[int, int]:
    """Writes events into their map, which is empty.

    Args:
        index: int32 [n], positions in (y, x, channel), flat.
        message: int32 [n] at 2**10.
        shape: (channels, columns, pitch, stored, words, top): see ``InputMap``; ``top`` is the largest message that a
            word can hold.
        value: See ``InputMap``.
        fired: See ``InputMap``.
        reach: int32 [rows], [columns]: rows and columns of outputs that a pixel reaches.
        overflow: (index, rest), int32: gets the parts of messages that words cannot hold.

    Returns:
        Entries of ``overflow``; outputs that the events reach, each event counted.
    """
    channels, width, pitch, stored, words, top = shape
    reach_y, reach_x = reach
    overflow_index, overflow_rest = overflow
    overflows = 0
    reached = 0
    for e in range(len(index)):
        position = index[e] // channels
        y = position // width
        x = position - y * width
        nearest = min(max(message[e], -MAX_MESSAGE), top)
        value[((y + FRAME) * pitch + x + FRAME) * stored + index[e] - position * channels] = nearest
        fired[(y + FRAME) * words + 1 + x // WORD] |= np.uint16(1 << x % WORD)
        reached += reach_y[y] * reach_x[x]
        if nearest != message[e]:
            overflow_index[overflows] = index[e]
            overflow_rest[overflows] = message[e] - nearest
            overflows += 1
    return overflows, reached


@kernel
def widen(changes: np.ndarray, change_bits: np.ndarray, shape: tuple[int, int, int, int], value: np.ndarray,
          fired: np.ndarray) -> None:
    """Converts changes of 8 bits to messages of 16, 16 pixels at a time; pixels without events become 0.

    Args:
        changes: ``ChangeMap.value``.
        change_bits: ``ChangeMap.fired``.
        shape: (lines, words, pitch, stored) of both maps.
        value: ``InputMap.value``.
        fired: ``InputMap.fired``.
    """
    lines, words, pitch, stored = shape
    for line in range(FRAME, lines - FRAME):
        for word in range(words - 5):
            at = line * words + 1 + word
            if change_bits[at] != 0 or fired[at] != 0:
                first = (line * pitch + FRAME + word * WORD) * stored
                for block in range(0, WORD * stored, BLOCK):
                    widen_block(changes, value, first + block)
                fired[at] = change_bits[at]


@intrinsic
def widen_block(typing_context: Any, changes: Any, value: Any, first: Any) -> Intrinsic:
    """``value[first:first + 64] = changes[first:first + 64] << 4``: from the encoder's unit to a message's."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        changes_, value_, first_ = arguments
        narrow, wide = (ir.VectorType(kind, BLOCK) for kind in (I8, I16))
        source = pointer(context, builder, signature.args[0], changes_, first_, I8)
        message = builder.shl(builder.sext(load(builder, source, narrow, 0, 1), wide), constant(wide, SPIKE_EXP))
        store(builder, message, pointer(context, builder, signature.args[1], value_, first_, I16), 0, 2)
        return context.get_dummy_value()

    return types.void(changes, value, types.intp), generate
