"""The layers on processors with matrix tiles (Intel AMX): dense maps of messages, multiplied where something fired.

The fastest path where it is to be had; the same integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Sequence

import numpy as np

from . import kernels, tile_kernels
from .arithmetic import Rule
from .change_map import FRAME, WORD, ChangeMap, reach_masks
from .memory import aligned
from .packing import Convolution, Layers, StepTotals, stored_channels
from .tile_ir import DEPTH, ROWS, configuration, permitted
from .tile_kernels import SPAN
from .vector_path import Processor

AMX = Processor(16, 2, ("amx-int8", "amx-tile", "avx512f", "avx512bw", "avx512vl", "bmi2"))


_CHUNK_BYTES = 1 << 18
"""Inputs that are worked on at a time: they and the weights of one pass shall stay in the second-level cache."""


def is_here() -> bool:
    """Whether this processor has tiles, Numba will use them and the system lets us."""
    return AMX.is_here and permitted()


def can_run(convolutions: Sequence[Convolution]) -> bool:
    """Tiles hold weights of 8 bits, and a word's windows must fit what is looked at of a line."""
    return all(
        np.abs(spec.weight.astype(np.int32)).max() <= 127 and spec.padding <= WORD
        and (WORD - 1) * spec.stride + spec.size <= SPAN + spec.padding
        for spec in convolutions
    )


@dataclass(frozen=True)
class PackedConvolution:
    """weight: int8 [pass, ky, group, block of taps, tile, 64 / 4, 16, 4], flat. bias: int32 [padded out] at 2**16.

    tiles: of 16 outputs, made at a time; passes: so many times make all. per_block: taps that share a block of 64
    inputs; groups: blocks that share a tap. plain: int16 [ky, kx, in, out], flat, for the portable kernel.
    """

    spec: Convolution
    weight: np.ndarray
    bias: np.ndarray
    tiles: int
    passes: int
    per_block: int
    groups: int
    plain: np.ndarray

    @property
    def in_bytes(self) -> int:
        return stored_channels(self.spec.in_channels)

    @property
    def depth(self) -> int:
        """Inputs of a block: fewer than 64 when one line of the window has fewer."""
        return min(DEPTH, self.spec.size * self.in_bytes)

    @property
    def padded(self) -> int:
        return self.tiles * self.passes * WORD

    @property
    def window_blocks(self) -> int:
        return self.spec.size * -(-self.spec.size // self.per_block) * self.groups


def pack(convolutions: Sequence[Convolution]) -> tuple[PackedConvolution, ...]:
    """Weights as the kernels want them, once for all cameras."""
    return tuple(_pack(spec) for spec in convolutions)


def _pack(spec: Convolution) -> PackedConvolution:
    tiles = 1 if spec.channels <= WORD else 2
    passes = -(-spec.channels // (tiles * WORD))
    stored, size = stored_channels(spec.in_channels), spec.size
    per_block, groups = max(1, DEPTH // stored), max(1, stored // DEPTH)
    blocks = -(-size // per_block)
    # [out, ky, tap, in]; taps and inputs are then one line of bytes, cut into blocks.
    padded = np.zeros((passes * tiles * WORD, size, blocks * per_block, stored), np.int8)
    padded[:spec.channels, :, :size, :spec.in_channels] = spec.weight.transpose(0, 2, 3, 1)
    lines = padded.reshape(passes, tiles, WORD, size, blocks, groups, DEPTH // 4, 4)
    order = lines.transpose(0, 3, 5, 4, 1, 6, 2, 7)
    weight = aligned(order.size, np.int8)
    weight[:] = order.ravel()
    bias = np.zeros(passes * tiles * WORD, np.int32)
    if not spec.is_head:
        bias[:spec.channels] = spec.bias
    plain = np.ascontiguousarray(spec.weight.transpose(2, 3, 1, 0)).ravel()
    return PackedConvolution(spec, weight, bias, tiles, passes, per_block, groups, plain)


class _Source(NamedTuple):
    """A map that a layer reads, with the names of ``SpikeMap``."""

    low: np.ndarray
    high: np.ndarray
    frame: int
    pitch: int
    bytes: int
    fired: np.ndarray
    lines: int
    words: int
    groups: int


class SpikeMap:
    """Messages of one layer's outputs, a frame of silent pixels around them.

    low: uint8 and high: int8 [line, pixel, channel], flat: the messages' bytes. fired: uint16 [group of 64 channels,
    line, word], flat: bit i of word 1 + x // 16 belongs to pixel x + i; a line begins with an empty word.
    """

    def __init__(self, rows: int, cols: int, channels: int, frame: int, overhang: int) -> None:
        """frame: pixels on each side. overhang: pixels that tiles of the next layer reach beyond the last one."""
        self.frame, self.bytes, self.groups = frame, stored_channels(channels), max(1, channels + 63 >> 6)
        self.pitch, self.lines = cols + 2 * frame, rows + 2 * frame
        size = (self.lines * self.pitch + overhang) * self.bytes
        self.low, self.high = aligned(size, np.uint8), aligned(size, np.int8)
        self.words = 1 + -(-cols // WORD) + 4
        self.fired = np.zeros(self.groups * self.lines * self.words, np.uint16)

    def clear(self) -> None:
        for array in (self.low, self.high, self.fired):
            array[:] = 0


class _Layer:
    """state: [pass, place, pixel], flat, each the sigmas of a pass and what is left of their differences. extra: made when a message first exceeds 16 bits."""

    def __init__(self, packed: PackedConvolution, in_rows: int, in_cols: int, after: PackedConvolution | None) -> None:
        spec = packed.spec
        self.packed, self.in_cols = packed, in_cols
        self.rows, self.cols = spec.output_size(in_rows, in_cols)
        self.blocks = -(-self.cols // WORD)
        neurons = self.rows * self.blocks * WORD * packed.padded
        # |activation - reference| is below the threshold, or below what ``carry`` keeps, after every step.
        self.rest_bits = 16 if spec.threshold < 1 << 15 else 32
        fields = [("sigma", np.int32, packed.tiles * WORD)]
        if not spec.is_head:
            fields.append(("rest", f"i{self.rest_bits // 8}", packed.tiles * WORD))
        self.state = aligned(neurons // (packed.tiles * WORD), np.dtype(fields))
        self.state_bytes = self.state.view(np.uint8)
        self.spikes = None if after is None else spike_map(self.rows, self.cols, after)
        self.reach_y, self.reach_x = (
            _reach(length, after.spec if after else spec) for length in (self.rows, self.cols))
        line_bytes = 2 * (in_cols + 2 * spec.padding) * packed.in_bytes * spec.stride
        self.chunk = max(1, _CHUNK_BYTES // line_bytes) * self.blocks
        self.settings = configuration(min(self.cols, ROWS), packed.depth)
        self.every = np.uint64(sum(1 << (at * spec.stride) for at in range(WORD)))
        self.shift = np.uint64(WORD - spec.padding)
        self.extra = np.zeros(0, np.int32)


    def in_image_order(self, values: np.ndarray) -> np.ndarray:
        """int32 [line, pixel, channel], without padding, of a field of ``state``."""
        packed, width = self.packed, self.blocks * WORD
        if not packed.spec.is_head:
            values = values.reshape(packed.passes, self.rows, width, -1).transpose(1, 2, 0, 3)
        return values.reshape(self.rows, width, packed.padded)[:, :self.cols, :packed.spec.channels].astype(np.int32)

    def in_kernel_order(self, image: np.ndarray) -> np.ndarray:
        """The opposite: a field of ``state`` from an int array [line, pixel, channel]."""
        packed, width = self.packed, self.blocks * WORD
        padded = np.zeros((self.rows, width, packed.padded), image.dtype)
        padded[:, :self.cols, :packed.spec.channels] = image
        if not packed.spec.is_head:
            padded = padded.reshape(self.rows, width, packed.passes, -1).transpose(2, 0, 1, 3)
        return padded.reshape(len(self.state), -1)


def spike_map(rows: int, cols: int, reader: PackedConvolution) -> SpikeMap:
    """A map of that many pixels for the layer that reads it."""
    spec = reader.spec
    return SpikeMap(rows, cols, spec.in_channels, spec.padding, WORD * spec.stride + spec.size + WORD)


def _reach(length: int, reader: Convolution) -> np.ndarray:
    """int32 [length]: outputs of ``reader`` along one side whose window holds a place."""
    count = (length + 2 * reader.padding - reader.size) // reader.stride + 1
    windows = np.arange(count)[:, None] * reader.stride - reader.padding + np.arange(reader.size)
    inside = windows[(windows >= 0) & (windows < length)]
    return np.bincount(inside, minlength=length).astype(np.int32)


class TileLayers(Layers):
    """State of all layers for one camera, and their steps."""

    def __init__(self, packed: tuple[PackedConvolution, ...], input_wh: tuple[int, int], rule: Rule) -> None:
        self._rule, self.layers = rule, []
        rows, cols = input_wh[1], input_wh[0]
        self._input_wh, self._input = input_wh, spike_map(rows, cols, packed[0])
        self._input_reach = tuple(_reach(length, packed[0].spec) for length in (rows, cols))
        self._input_masks = reach_masks(self._input_reach[1], stored_channels(packed[0].spec.in_channels))
        for convolution, after in zip(packed, [*packed[1:], None]):
            self.layers.append(_Layer(convolution, rows, cols, after))
            rows, cols = self.layers[-1].rows, self.layers[-1].cols
        most = max(layer.rows * layer.cols * layer.packed.spec.channels for layer in self.layers)
        most = max(most, input_wh[0] * input_wh[1] * packed[0].spec.in_channels)
        # Worst case; memory that is never touched is never taken.
        self._wide_index, self._wide_rest = np.empty(most, np.int32), np.empty(most, np.int32)
        places = max(layer.rows * layer.blocks for layer in self.layers) + 1
        blocks = max(layer.rows * layer.blocks * layer.packed.window_blocks for layer in self.layers)
        self._place, self._first, self._due = (np.empty(places, kind) for kind in (np.int32, np.int32, np.uint64))
        self._offset, self._number = np.empty(blocks, np.int32), np.empty(blocks, np.int32)
        self._total = aligned((2 * 2 * 2 + 1) * ROWS * WORD, np.int32)

    def step(self, index: np.ndarray, message: np.ndarray) -> StepTotals:
        source, first = self._input, self.layers[0].packed.spec
        place = (len(index), first.in_channels, self._input_wh[0], source.frame, source.pitch, source.bytes,
                 source.low, source.high, source.lines, source.words, source.fired)
        wide, reached = tile_kernels.spread(
            index, message, *place, *self._input_reach, self._wide_index, self._wide_rest)
        totals = self._through_all(reached, wide, planes=2)
        tile_kernels.sweep(index, *place)
        return totals

    def step_changes(self, changes: ChangeMap) -> StepTotals:
        first = self.layers[0].packed
        if first.groups > 1 or first.spec.padding > FRAME:
            return self.step(*changes.listed())
        self._changes = _Source(changes.value, changes.value, FRAME, changes.pitch, changes.stored, changes.fired,
                                changes.lines, changes.words, 1)
        return self._through_all(changes.reached(self._input_reach[0], self._input_masks), 0, planes=1)

    def _through_all(self, reached: int, wide: int, planes: int) -> StepTotals:
        layer_events, synops = [], []
        for number, layer in enumerate(self.layers):
            synops.append(reached * layer.packed.spec.channels)
            events, reached, wide = self._run(number, wide, planes if number == 0 else 2)
            layer_events.append(events)
        return StepTotals(tuple(layer_events[:-1]), tuple(synops))

    def _run(self, number: int, wide: int, planes: int) -> tuple[int, int, int]:
        """One layer's kernel. wide: messages in the wide buffers that its input lacks; returned are those it leaves."""
        layer = self.layers[number]
        packed, spec = layer.packed, layer.packed.spec
        if wide:
            self._add_wide(layer, wide)
        source = self.layers[number - 1].spikes if number else self._input if planes == 2 else self._changes
        work = self._place, self._due, self._first, self._offset, self._number
        places = tile_kernels.plan_kernel(spec.size, packed.per_block)(
            wide > 0, spec.stride, spec.padding, source.groups, source.frame, source.pitch, source.bytes, source.fired,
            source.lines, source.words, layer.every, layer.shift, layer.rows, layer.cols, *work)
        target = source if layer.spikes is None else layer.spikes
        if layer.spikes is not None:
            tile_kernels.silence(
                target.low, target.high, target.fired, target.frame, target.pitch, target.bytes, target.lines,
                target.words, target.groups, layer.rows, layer.cols, self._place, self._due, places)
        kernel = tile_kernels.tile_layer_kernel(packed.tiles, planes, layer.rest_bits, *self._rule.flags)
        return kernel(
            layer.settings, spec.is_head, places, layer.chunk, packed.weight, packed.passes, packed.window_blocks,
            spec.stride, spec.padding, source.low, source.high, source.frame, source.pitch, source.bytes, *work,
            layer.rows, layer.cols, spec.channels, wide > 0, layer.extra, packed.bias, spec.threshold,
            self._rule.release(spec.threshold), layer.state_bytes,
            target.low, target.high, target.frame, target.pitch, target.bytes, target.fired, target.lines, target.words,
            layer.reach_y, layer.reach_x, self._wide_index, self._wide_rest, self._total)

    def _add_wide(self, layer: _Layer, wide: int) -> None:
        """Sums of what did not fit the input's map, for the kernel to add."""
        spec = layer.packed.spec
        if not len(layer.extra):
            layer.extra = np.zeros(layer.rows * layer.cols * spec.channels, np.int32)
        kernels.accumulate(
            self._wide_index, self._wide_rest, wide, layer.in_cols, spec.in_channels, layer.packed.plain, spec.size,
            spec.stride, spec.padding, layer.rows, layer.cols, spec.channels, layer.extra,
            np.zeros(layer.rows * layer.cols, np.bool_),
        )

    def clear(self) -> None:
        self._input.clear()
        for layer in self.layers:
            layer.extra[:] = 0
            if layer.spikes is not None:
                layer.spikes.clear()

    def read(self, number: int) -> tuple[np.ndarray, np.ndarray | None]:
        layer = self.layers[number]
        sigma = layer.in_image_order(layer.state["sigma"])
        if layer.packed.spec.is_head:
            return sigma, None
        return sigma, np.maximum(sigma + layer.packed.spec.bias, 0) - layer.in_image_order(layer.state["rest"])

    def load(self, states: Sequence[tuple[np.ndarray, np.ndarray | None]]) -> None:
        for layer, (sigma, reference) in zip(self.layers, states):
            layer.state["sigma"] = layer.in_kernel_order(sigma)
            if reference is not None:
                rest = np.maximum(sigma + layer.packed.spec.bias, 0) - reference
                layer.state["rest"] = layer.in_kernel_order(rest)

    def state(self) -> list[np.ndarray]:
        return [layer.state for layer in self.layers]
