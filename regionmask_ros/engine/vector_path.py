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
from .change_map import FRAME, ChangeMap, reach_masks
from .memory import aligned
from .packing import Convolution, Lap, Layers, StepTotals, no_lap, stored_channels
from .vector_input import InputMap
from .vector_plan import MOST_SIZE, outputs_at_a_time, plan_lists, plan_map


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


def can_run(convolutions: Sequence[Convolution]) -> bool:
    """The bits of a line's windows must fit what is looked at of it."""
    return all(spec.size <= MOST_SIZE and spec.padding <= FRAME for spec in convolutions)


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

    @property
    def together(self) -> tuple[int, int]:
        """Vectors and outputs of a dense turn: as many sums as fit the registers."""
        import os
        if self.lanes == 16:
            c, p = map(int, os.environ.get("CP", "4,4").split(","))
        else:
            c, p = map(int, os.environ.get("CP8", "2,5").split(","))
        return (1, 2 * p) if self.vectors == 1 else (c, p)


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
    groups, pairs, size = wanted // vectors, in_channels // 2, spec.size
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


class _Lists:
    """Spikes of one layer's outputs, see ``vector_kernels``. padding: width of the frame of empty pixels."""

    def __init__(self, rows: int, cols: int, channels: int, padding: int) -> None:
        self.padding, self.pitch, self.slots = padding, cols + 2 * padding, channels // 2
        self.pixels = (rows + 2 * padding) * self.pitch
        self.count = np.zeros(self.pixels, np.int32)
        self.index, self.pair, self.word = (aligned(self.pixels * self.slots, np.int32) for _ in range(3))

    def clear(self) -> None:
        self.count[:], self.word[:] = 0, 0


class _Layer:
    """sigma, reference: int32, flat, channels padded. extra: made when a message first exceeds 16 bits."""

    def __init__(self, packed: PackedConvolution, in_rows: int, in_cols: int, after: PackedConvolution | None) -> None:
        self.packed, self.in_cols = packed, in_cols
        self.rows, self.cols = packed.spec.output_size(in_rows, in_cols)
        neurons = self.rows * self.cols * packed.padded
        self.sigma = aligned(neurons, np.int32)
        self.reference = aligned(0 if packed.spec.is_head else neurons, np.int32)
        self.lists = _Lists(self.rows, self.cols, packed.padded if after else 0, after.spec.padding if after else 0)
        reader = after.spec if after else None
        self.reach = [reader.reach(n) if reader else np.zeros(0, np.int32) for n in (self.rows, self.cols)]
        self.extra = np.zeros(0, np.int32)

    @property
    def real_neurons(self) -> int:
        return self.rows * self.cols * self.packed.spec.channels


class VectorLayers(Layers):
    """State of all layers for one camera, and their steps."""

    def __init__(self, packed: tuple[PackedConvolution, ...], input_wh: tuple[int, int], rule: Rule) -> None:
        self._rule, self.layers = rule, []
        rows, cols = input_wh[1], input_wh[0]
        first = packed[0].spec
        self._input = InputMap(rows, cols, first.in_channels)
        self._input_reach = first.reach(rows), first.reach(cols)
        self._input_masks = reach_masks(self._input_reach[1], self._input.stored)
        for convolution, after in zip(packed, [*packed[1:], None]):
            self.layers.append(_Layer(convolution, rows, cols, after))
            rows, cols = self.layers[-1].rows, self.layers[-1].cols
        most = max(self._input.value.size, *(layer.real_neurons for layer in self.layers))
        # Worst case; memory that is never touched is never taken.
        self._wide_index, self._wide_rest = np.empty(most, np.int32), np.empty(most, np.int32)
        self._scratch = _Scratch(self.layers)

    def step(self, index: np.ndarray, message: np.ndarray, lap: Lap = no_lap) -> StepTotals:
        self._input.clear()
        wide, reached = self._input.put(index, message, *self._input_reach, self._wide_index, self._wide_rest)
        return self._through_all(reached, wide, lap)

    def step_changes(self, changes: ChangeMap, lap: Lap = no_lap) -> StepTotals:
        self._input.set_changes(changes)
        return self._through_all(changes.reached(self._input_reach[0], self._input_masks), 0, lap)

    def _through_all(self, reached: int, wide: int, lap: Lap) -> StepTotals:
        lap(-1)
        layer_events, synops = [], []
        for number, layer in enumerate(self.layers):
            synops.append(reached * layer.packed.spec.channels)
            if wide:
                self._add_wide(layer, wide)
            events, reached, wide = self._from_map(layer, wide) if number == 0 else self._from_lists(number, wide)
            layer_events.append(events)
            lap(number)
        return StepTotals(tuple(layer_events[:-1]), tuple(synops))

    def _from_map(self, layer: _Layer, wide: int) -> tuple[int, int, int]:
        """The first layer. wide: messages in the wide buffers that its input lacks; returned are those it leaves."""
        source, spec, scratch = self._input, layer.packed.spec, self._scratch
        due = plan_map(wide > 0, source.fired, source.words, FRAME, spec.size, spec.stride, spec.padding,
                       outputs_at_a_time(spec.size, spec.stride), layer.rows, layer.cols, scratch.dense)
        none = scratch.nothing
        return self._run(layer, scratch.dense, due, due, (FRAME - spec.padding, source.pitch, none, none, none,
                                                          source.word), wide)

    def _from_lists(self, number: int, wide: int) -> tuple[int, int, int]:
        """As ``_from_map``, for the other layers."""
        layer, source, scratch = self.layers[number], self.layers[number - 1].lists, self._scratch
        packed, spec = layer.packed, layer.packed.spec
        sparse, dense, entries = plan_lists(
            wide > 0, source.count, source.pitch, spec.size, spec.stride, layer.rows, layer.cols, CROSS(packed),
            scratch.column, scratch.sparse, scratch.dense)
        scratch.dense[dense:dense + sparse] = scratch.sparse[:sparse]
        return self._run(layer, scratch.dense, dense, dense + sparse, (
            0, source.pitch, source.count, source.index, source.pair, source.word), wide)

    def _run(self, layer: _Layer, place, dense: int, due: int, source: tuple, wide: int) -> tuple[int, int, int]:
        packed, spec, lists, scratch = layer.packed, layer.packed.spec, layer.lists, self._scratch
        vector_kernels.silence_kernel(packed.lanes)(lists.count, lists.pixels, lists.slots, lists.word)
        kernel = vector_kernels.layer_kernel(packed.lanes, packed.vectors, *packed.together, *self._rule.flags)
        return kernel(
            place, dense, due, packed.groups, spec.is_head, packed.weight, packed.pairs, spec.size, spec.stride, *source,
            layer.cols, spec.channels, wide > 0, layer.extra, packed.bias, spec.threshold,
            self._rule.release(spec.threshold), layer.sigma, layer.reference, *layer.reach,
            lists.padding, lists.pitch, lists.slots, lists.count, lists.index, lists.pair, lists.word,
            self._wide_index, self._wide_rest, scratch.begin, scratch.pixel, scratch.tap, scratch.total)

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
        self._input.clear()
        for layer in self.layers:
            layer.extra[:] = 0
            layer.lists.clear()

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


def CROSS(packed):
    import os
    return int(float(os.environ.get("CROSS", "0.4")) * packed.spec.size ** 2 * packed.pairs) + 1


class _Scratch:
    """Memory that no layer keeps anything in."""

    def __init__(self, layers: Sequence[_Layer]) -> None:
        outputs = max(layer.rows * layer.cols for layer in layers)
        self.sparse, self.dense = (np.empty(outputs, np.int32) for _ in range(2))
        self.nothing = np.zeros(0, np.int32)
        self.column = np.zeros(max(layer.lists.pitch for layer in layers), np.int32)
        taps = max(layer.packed.spec.size for layer in layers) ** 2
        self.pixel, self.tap = np.zeros(taps, np.int32), np.zeros(taps, np.int32)
        self.begin = np.zeros(max(layer.packed.together[1] for layer in layers), np.int64)
        sums = max(layer.packed.together[1] * layer.packed.vectors * layer.packed.lanes for layer in layers)
        self.total = aligned(sums, np.int32)
