"""Weights for the vector kernels, and which processors run them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

import numpy as np
from numba.core import config
from numba.core.codegen import get_host_cpu_features

from .change_map import FRAME
from .memory import aligned
from .oldest_numba import is_new_enough
from .packing import Convolution, stored_channels
from .vector_ir import WIDTHS
from .vector_plan import MOST_SIZE


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
    def is_here(self) -> bool:
        """Whether this processor has the instructions and Numba will use them."""
        if config.CPU_NAME or config.CPU_FEATURES or config.DISABLE_JIT or not is_new_enough():
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
    multiplied."""
    bytes_only = WIDTHS[processor.lanes].multiply_add is None
    return all(spec.size <= MOST_SIZE and spec.padding <= FRAME and (_is_narrow(spec) or not bytes_only)
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

    bias: int32 [padded out] at 2**16. lanes, vectors, groups: see ``vector_kernels.layer_kernel``.
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
