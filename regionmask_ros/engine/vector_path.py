"""The layers on processors with vectors: lists of spikes, gathered by their outputs.

With AVX-512 (BW and VL) about three times as fast as the portable path on real video, with AVX2 about twice; the same
integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

import numpy as np
from numba.core import config
from numba.core.codegen import get_host_cpu_features

from . import kernels, vector_kernels
from .arithmetic import Rule
from .memory import aligned
from .packing import Convolution, Lap, Layers, StepTotals, no_lap


@dataclass(frozen=True)
class Processor:
    """Vectors that a family of processors has.

    most: sums that the dot product may hold in registers, so that weights and messages fit beside. needed: LLVM's names
    of the features.
    """

    lanes: int
    most: int
    needed: tuple[str, ...]

    @property
    def is_here(self) -> bool:
        """Whether this processor has the instructions and Numba will use them."""
        if config.CPU_NAME or config.CPU_FEATURES or config.DISABLE_JIT:
            return False
        features = get_host_cpu_features().split(",")
        return all(f"+{name}" in features for name in self.needed)


AVX512 = Processor(16, 16, ("avx512f", "avx512bw", "avx512vl"))
AVX2 = Processor(8, 8, ("avx2",))


@dataclass(frozen=True)
class PackedConvolution:
    """weight: int8 or int16, [group, ky, kx, pair of inputs, out, 2], flat, outputs padded to whole vectors.

    bias: int32 [padded out] at 2**16. lanes, vectors, groups: see ``vector_kernels.layer_kernel``. plain: int16
    [ky, kx, in, out], flat, for the portable kernel that adds what did not fit the lists.
    """

    spec: Convolution
    lanes: int
    weight: np.ndarray
    bias: np.ndarray
    vectors: int
    groups: int
    pairs: int
    plain: np.ndarray

    @property
    def padded(self) -> int:
        return self.vectors * self.groups * self.lanes


def pack(convolutions: tuple[Convolution, ...], processor: Processor) -> tuple[PackedConvolution, ...]:
    """Weights as the kernels want them, once for all cameras."""
    return tuple(_pack(spec, processor) for spec in convolutions)


def _pack(spec: Convolution, processor: Processor) -> PackedConvolution:
    lanes = processor.lanes
    wanted = -(-spec.channels // lanes)
    vectors = max(v for v in (1, 2, 4, 8, 16) if v <= processor.most and wanted % v == 0)
    groups, pairs, size = wanted // vectors, -(-spec.in_channels // 2), spec.size
    padded = np.zeros((wanted * lanes, 2 * pairs, size, size), np.int16)
    padded[:spec.channels, :spec.in_channels] = spec.weight
    narrow = padded.min() >= -128 and padded.max() <= 127
    order = padded.reshape(groups, vectors * lanes, pairs, 2, size, size).transpose(0, 4, 5, 2, 1, 3)
    weight = aligned(order.size, np.int8 if narrow else np.int16)
    weight[:] = order.ravel()
    bias = np.zeros(wanted * lanes, np.int32)
    if not spec.is_head:
        bias[:spec.channels] = spec.bias
    plain = np.ascontiguousarray(spec.weight.transpose(2, 3, 1, 0)).ravel()
    return PackedConvolution(spec, lanes, weight, bias, vectors, groups, pairs, plain)


AT_A_TIME = 8
"""Sums in registers in the first layer: output pixels times vectors."""


class _Lists:
    """Spikes of one layer's outputs, see ``vector_kernels``. padding: width of the frame of empty pixels."""

    def __init__(self, rows: int, cols: int, channels: int, padding: int) -> None:
        self.padding, self.pitch, self.slots = padding, cols + 2 * padding, channels // 2
        pixels = (rows + 2 * padding) * self.pitch
        self.count, self.events = np.zeros(pixels, np.int32), np.zeros(pixels, np.int32)
        self.index, self.pair = (aligned(pixels * self.slots, np.int32) for _ in range(2))


class _Input:
    """The encoder's events as a dense map. value: int16 [pixel, 2 * pairs] (word: the same as int32), framed."""

    def __init__(self, rows: int, cols: int, first: PackedConvolution, overhang: int) -> None:
        self.padding, self.pitch = first.spec.padding, cols + 2 * first.spec.padding
        pixels = (rows + 2 * self.padding) * self.pitch + overhang
        self.value, self.events = aligned(pixels * 2 * first.pairs, np.int16), np.zeros(pixels, np.uint16)
        self.word = self.value.view(np.int32)


class _Layer:
    """sigma, reference: int32, flat, channels padded. extra: made when a message first exceeds 16 bits."""

    def __init__(self, packed: PackedConvolution, in_rows: int, in_cols: int, next_padding: int) -> None:
        self.packed, self.in_cols = packed, in_cols
        self.rows, self.cols = packed.spec.output_size(in_rows, in_cols)
        neurons = self.rows * self.cols * packed.padded
        self.sigma = aligned(neurons, np.int32)
        self.reference = aligned(0 if packed.spec.is_head else neurons, np.int32)
        self.lists = _Lists(self.rows, self.cols, 0 if packed.spec.is_head else packed.padded, next_padding)
        self.extra = np.zeros(0, np.int32)

    @property
    def real_neurons(self) -> int:
        return self.rows * self.cols * self.packed.spec.channels


class VectorLayers(Layers):
    """State of all layers for one camera, and their steps."""

    def __init__(self, packed: tuple[PackedConvolution, ...], input_wh: tuple[int, int], rule: Rule) -> None:
        self._rule, self.layers = rule, []
        rows, cols = input_wh[1], input_wh[0]
        self._pixels = max(1, AT_A_TIME // packed[0].vectors)
        self._input = _Input(rows, cols, packed[0], self._pixels * packed[0].spec.stride)
        for convolution, after in zip(packed, [*packed[1:], None]):
            self.layers.append(_Layer(convolution, rows, cols, after.spec.padding if after else 0))
            rows, cols = self.layers[-1].rows, self.layers[-1].cols
        most = max(self._input.value.size, *(layer.real_neurons for layer in self.layers))
        # Worst case; memory that is never touched is never taken.
        self._wide_index, self._wide_rest = np.empty(most, np.int32), np.empty(most, np.int32)
        taps = max(convolution.spec.size for convolution in packed) ** 2
        self._pixel, self._tap = np.zeros(taps, np.int32), np.zeros(taps, np.int32)
        self._column = np.zeros(self._input.pitch, np.int32)
        self._total = aligned(max(AVX512.lanes * AVX512.most, AVX2.lanes * AVX2.most), np.int32)

    def step(self, index: np.ndarray, message: np.ndarray, lap: Lap = no_lap) -> StepTotals:
        source, first = self._input, self.layers[0]
        place = (len(index), first.packed.spec.in_channels, first.in_cols, source.padding, source.pitch,
                 first.packed.pairs, source.value, source.events)
        wide = vector_kernels.spread(index, message, *place, self._wide_index, self._wide_rest)
        lap(-1)
        layer_events, synops = [], []
        for number in range(len(self.layers)):
            events, reached, wide = self._run(number, wide)
            layer_events.append(events)
            synops.append(reached * self.layers[number].packed.spec.channels)
            lap(number)
        vector_kernels.sweep(index, *place)
        return StepTotals(tuple(layer_events[:-1]), tuple(synops))

    def _run(self, number: int, wide: int) -> tuple[int, int, int]:
        """One layer's kernel. wide: messages in the wide buffers that its input lacks; returned are those it leaves."""
        layer = self.layers[number]
        packed, spec, lists = layer.packed, layer.packed.spec, layer.lists
        if wide:
            self._add_wide(layer, wide)
        shape = (packed.groups, spec.is_head, packed.weight, packed.pairs, spec.size,
                 spec.stride)
        neurons = (layer.rows, layer.cols, spec.channels, wide > 0, layer.extra, packed.bias, spec.threshold,
                   self._rule.release(spec.threshold), layer.sigma, layer.reference)
        output = (lists.padding, lists.pitch, lists.slots, lists.count, lists.events, lists.index, lists.pair,
                  self._wide_index, self._wide_rest)
        if number == 0:
            source = self._input
            kernel = vector_kernels.first_layer_kernel(packed.lanes, packed.vectors, *self._rule.flags, self._pixels)
            return kernel(*shape, source.pitch, source.word, source.events, *neurons, *output, self._column,
                          self._total)
        source = self.layers[number - 1].lists
        kernel = vector_kernels.layer_kernel(packed.lanes, packed.vectors, *self._rule.flags)
        return kernel(*shape, source.pitch, source.slots, source.count, source.events, source.index, source.pair,
                      *neurons, *output, self._pixel, self._tap, self._total)

    def _add_wide(self, layer: _Layer, wide: int) -> None:
        """Sums of what did not fit the input's lists, for the kernel to add."""
        spec = layer.packed.spec
        if not len(layer.extra):
            layer.extra = np.zeros(layer.real_neurons, np.int32)
        kernels.accumulate(
            self._wide_index, self._wide_rest, wide, layer.in_cols, spec.in_channels, layer.packed.plain, spec.size,
            spec.stride, spec.padding, layer.rows, layer.cols, spec.channels, layer.extra,
            np.zeros(layer.rows * layer.cols, np.bool_),
        )

    def clear(self) -> None:
        self._input.value[:] = 0
        self._input.events[:] = 0
        for layer in self.layers:
            layer.extra[:] = 0

    def read(self, number: int) -> tuple[np.ndarray, np.ndarray | None]:
        layer = self.layers[number]
        shape, real = (layer.rows, layer.cols, layer.packed.padded), layer.packed.spec.channels
        reference = None if layer.packed.spec.is_head else layer.reference.reshape(shape)[:, :, :real]
        return layer.sigma.reshape(shape)[:, :, :real], reference

    def state(self) -> list[np.ndarray]:
        return [array for layer in self.layers for array in (layer.sigma, layer.reference)]

    def load(self, states: Sequence[tuple[np.ndarray, np.ndarray | None]]) -> None:
        for layer, (sigma, reference) in zip(self.layers, states):
            shape, real = (layer.rows, layer.cols, layer.packed.padded), layer.packed.spec.channels
            layer.sigma.reshape(shape)[:, :, :real] = sigma
            if reference is not None:
                layer.reference.reshape(shape)[:, :, :real] = reference
