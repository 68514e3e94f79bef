"""The layers on processors with matrix tiles (Intel AMX): dense maps of messages, multiplied where something fired.

The fastest path where it is to be had; the same integers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from ...core.arithmetic import Rule
from ...core.events import FRAME, WORD, ChangeMap, reach_masks
from ...jit.memory import aligned
from ..layer import Layers, ProfileHook, StepTotals, no_profile_hook
from ..overflow import sum_overflow
from ..simd.packing import Processor
from . import kernels as tile_kernels
from .neurons import ROWS, configuration, permitted
from .packing import MapView, PackedConvolution, SpikeMap, view_of_changes

AMX = Processor(16, 2, ("amx-int8", "amx-tile", "avx512f", "avx512bw", "avx512vl", "bmi2"))

_CHUNK_BYTES = 1 << 18
"""Inputs that are worked on at a time: they and the weights of one pass shall stay in the second-level cache."""


def is_supported() -> bool:
    """Whether this processor has tiles, Numba will use them and the system lets us."""
    return AMX.is_supported and permitted()


class _Scratch:
    """What the layers of one camera use in turn. wide_index, wide_rest: int32, messages that the maps lack."""

    def __init__(self, layers: Sequence[_Layer], inputs: int) -> None:
        """inputs: values of the input."""
        # Worst case; memory that is never touched is never taken.
        most = max(inputs, *(layer.rows * layer.cols * layer.packed.spec.channels for layer in layers))
        self.overflow_index, self.overflow_rest = np.empty(most, np.int32), np.empty(most, np.int32)
        places = max(layer.rows * layer.blocks for layer in layers) + 1
        blocks = max(layer.rows * layer.blocks * layer.packed.window_blocks for layer in layers)
        self.place, self.first, self.due = (np.empty(places, kind) for kind in (np.int32, np.int32, np.uint64))
        offset, number = np.empty(blocks, np.int32), np.empty(blocks, np.int32)
        self.work = self.place, self.due, self.first, offset, number
        self.total = aligned(tile_kernels.TOTALS, np.int32)


class _Kernels(NamedTuple):
    """plan(everywhere) -> places; silence(places), None for a head; run(places, use_extra, extra) -> counts."""

    plan: Callable[[bool], int]
    silence: Callable[[int], None] | None
    run: Callable[[int, bool, np.ndarray], tuple[int, int, int]]


class _Layer:
    """One layer's state and its kernels, bound to all that stays the same from frame to frame.

    state: [pass, place, pixel], flat: each element holds the sigmas of a pass and what is left of their differences
    (see ``tile_fire``). extra: made when a message first exceeds 16 bits.
    """

    def __init__(self, packed: PackedConvolution, in_rows: int, in_cols: int, after: PackedConvolution | None,
                 rule: Rule) -> None:
        spec = packed.spec
        self.packed, self.in_cols, self.rule = packed, in_cols, rule
        self.rows, self.cols = spec.output_size(in_rows, in_cols)
        self.blocks = -(-self.cols // WORD)
        neurons = self.rows * self.blocks * WORD * packed.padded
        # |activation - reference| is below the threshold, or below what ``carry`` keeps, after every step.
        self.rest_bits = 16 if spec.threshold < 1 << 15 else 32
        fields = [("sigma", np.int32, packed.tiles * WORD)]
        if not spec.is_head:
            fields.append(("rest", f"i{self.rest_bits // 8}", packed.tiles * WORD))
        self.state = aligned(neurons // (packed.tiles * WORD), np.dtype(fields))
        self.spikes = None if after is None else SpikeMap(self.rows, self.cols, after)
        self._reach = tuple((after.spec if after else spec).reach(length) for length in (self.rows, self.cols))
        self.extra = np.zeros(0, np.int32)

    def bind(self, source: MapView, planes: int, scratch: _Scratch) -> _Kernels:
        """The layer's kernels for one map to read: ``planes`` of messages."""
        packed, spec = self.packed, self.packed.spec
        target = source if self.spikes is None else self.spikes.view
        plan = partial(
            tile_kernels.plan_kernel(spec.size, packed.per_block, int(packed.near)), spec.stride, spec.padding,
            source.groups, source.frame, source.pitch, source.bytes, source.fired, source.lines, source.words,
            self.rows, self.cols, *scratch.work)
        silence = partial(tile_kernels.silence, *target, self.rows, self.cols, scratch.place, scratch.due)
        line_bytes = 2 * source.pitch * source.bytes * spec.stride
        chunk = max(1, _CHUNK_BYTES // line_bytes) * self.blocks
        kernel = tile_kernels.amx_layer_kernel(packed.tiles, planes, packed.parts, self.rest_bits, *self.rule.flags)
        run = partial(
            kernel, configuration(min(self.cols, ROWS), packed.depth), spec.is_head, chunk, packed.weight,
            packed.passes, packed.window_blocks, spec.stride, spec.padding,
            source.low, source.high, source.frame, source.pitch, source.bytes, *scratch.work,
            self.rows, self.cols, spec.channels, packed.bias, spec.threshold, self.rule.release(spec.threshold),
            self.state.view(np.uint8), target.low, target.high, target.frame, target.pitch, target.bytes,
            target.fired, target.lines, target.words, *self._reach,
            scratch.overflow_index, scratch.overflow_rest, scratch.total)
        return _Kernels(plan, None if spec.is_head else silence, run)

    def to_image_order(self, values: np.ndarray) -> np.ndarray:
        """int32 [line, pixel, channel], without padding, of a field of ``state``."""
        packed, width = self.packed, self.blocks * WORD
        if not packed.spec.is_head:
            values = values.reshape(packed.passes, self.rows, width, -1).transpose(1, 2, 0, 3)
        image = values.reshape(self.rows, width, packed.padded)[:, :self.cols, :packed.spec.channels]
        return image.astype(np.int32, copy=False)

    def to_kernel_order(self, image: np.ndarray) -> np.ndarray:
        """The opposite: a field of ``state`` from an int array [line, pixel, channel]."""
        packed, width = self.packed, self.blocks * WORD
        padded = np.zeros((self.rows, width, packed.padded), image.dtype)
        padded[:, :self.cols, :packed.spec.channels] = image
        if not packed.spec.is_head:
            padded = padded.reshape(self.rows, width, packed.passes, -1).transpose(2, 0, 1, 3)
        return padded.reshape(len(self.state), -1)


class AmxLayers(Layers):
    """State of all layers for one camera, and their steps."""

    def __init__(self, packed: tuple[PackedConvolution, ...], input_wh: tuple[int, int], rule: Rule) -> None:
        self.layers: list[_Layer] = []
        cols, rows = self._input_wh = input_wh
        self._input_reach = tuple(packed[0].spec.reach(length) for length in (rows, cols))
        for convolution, after in zip(packed, [*packed[1:], None]):
            self.layers.append(_Layer(convolution, rows, cols, after, rule))
            rows, cols = self.layers[-1].rows, self.layers[-1].cols
        self._scratch = _Scratch(self.layers, input_wh[0] * input_wh[1] * packed[0].spec.in_channels)
        self._behind = [
            layer.bind(before.spikes.view, 2, self._scratch) for before, layer in zip(self.layers, self.layers[1:])]
        self._input: SpikeMap | None = None
        self._changes: ChangeMap | None = None

    def step(self, index: np.ndarray, message: np.ndarray, profile_hook: ProfileHook = no_profile_hook) -> StepTotals:
        first, scratch = self.layers[0], self._scratch
        if self._input is None:
            self._input = SpikeMap(self._input_wh[1], self._input_wh[0], first.packed)
            self._from_list = first.bind(self._input.view, 2, scratch)
        self._input.clear()
        place = len(index), first.packed.spec.in_channels, self._input_wh[0], *self._input.view
        wide, reached = tile_kernels.spread(
            index, message, *place, *self._input_reach, scratch.overflow_index, scratch.overflow_rest)
        profile_hook(-1)
        return self._through_all(self._from_list, reached, wide, profile_hook)

    def step_changes(self, changes: ChangeMap, profile_hook: ProfileHook = no_profile_hook) -> StepTotals:
        first = self.layers[0]
        if first.packed.groups > 1 or first.packed.spec.padding > FRAME or not first.packed.near:
            return self.step(*changes.list_changes(), profile_hook)
        if changes is not self._changes:
            self._changes, self._from_changes = changes, first.bind(view_of_changes(changes), 1, self._scratch)
            self._input_masks = reach_masks(self._input_reach[1], changes.stored)
        reached = changes.reached(self._input_reach[0], self._input_masks) if self.counting else 0
        profile_hook(-1)
        return self._through_all(self._from_changes, reached, 0, profile_hook)

    def _through_all(self, first: _Kernels, reached: int, wide: int, profile_hook: ProfileHook) -> StepTotals:
        layer_events, synops = [], []
        for number, (layer, kernels_) in enumerate(zip(self.layers, (first, *self._behind))):
            synops.append(reached * layer.packed.spec.channels)
            events, reached, wide = self._run(layer, kernels_, wide)
            layer_events.append(events)
            profile_hook(number)
        return StepTotals(tuple(layer_events[:-1]), tuple(synops))

    def _run(self, layer: _Layer, kernels_: _Kernels, wide: int) -> tuple[int, int, int]:
        """One layer. wide: messages in the wide buffers that its input lacks. Returns what its kernel returns."""
        if wide:
            self._add_overflow(layer, wide)
        places = kernels_.plan(wide > 0)
        if kernels_.silence is not None:
            kernels_.silence(places)
        return kernels_.run(places, wide > 0, layer.extra)

    def _add_overflow(self, layer: _Layer, wide: int) -> None:
        """Sums of what did not fit the input's map, for the kernel to add."""
        layer.extra = sum_overflow(layer.packed.spec, layer.extra, self._scratch.overflow_index, self._scratch.overflow_rest, wide,
                               layer.in_cols, layer.rows, layer.cols)

    def clear(self) -> None:
        for layer in self.layers:
            layer.extra[:] = 0
            if layer.spikes is not None:
                layer.spikes.clear()

    def read(self, number: int) -> tuple[np.ndarray, np.ndarray | None]:
        layer = self.layers[number]
        sigma = layer.to_image_order(layer.state["sigma"])
        if layer.packed.spec.is_head:
            return sigma, None
        return sigma, np.maximum(sigma + layer.packed.spec.bias, 0) - layer.to_image_order(layer.state["rest"])

    def load(self, states: Sequence[tuple[np.ndarray, np.ndarray | None]]) -> None:
        for layer, (sigma, reference) in zip(self.layers, states):
            layer.state["sigma"] = layer.to_kernel_order(sigma)
            if reference is not None:
                rest = np.maximum(sigma + layer.packed.spec.bias, 0) - reference
                layer.state["rest"] = layer.to_kernel_order(rest)

    def state(self) -> list[np.ndarray]:
        return [layer.state for layer in self.layers]
