"""The layers on processors with vectors: lists of spikes, gathered by their outputs; whole windows where many fired.

With AVX-512 (BW and VL) about three times as fast as the portable path on real video, with AVX2 about twice; the same
integers.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from ...core.arithmetic import Rule
from ...core.events import FRAME, ChangeMap, reach_masks
from ...jit.simd import WIDTHS
from ..layer import Layers, ProfileHook, StepTotals, no_profile_hook
from .crossover import measure_crossover
from .kernels import outputs_per_step, plan_lists, plan_map
from .layer import Layer, Scratch, Source
from .packing import InputMap, PackedConvolution, word_type

_NOTHING = np.zeros(0, np.int32)


class SimdLayers(Layers):
    """State of all layers for one camera, and their steps."""

    def __init__(self, packed: tuple[PackedConvolution, ...], input_wh: tuple[int, int], rule: Rule) -> None:
        self._rule, self.layers = rule, []
        rows, cols = input_wh[1], input_wh[0]
        first, lanes = packed[0].spec, packed[0].lanes
        self._input = InputMap(rows, cols, first.in_channels, word_type(lanes), WIDTHS[lanes].top)
        self._reach = first.reach(rows), first.reach(cols)
        self._in_cols = []
        for convolution, after in zip(packed, [*packed[1:], None]):
            self._in_cols.append(cols)
            rows, cols = convolution.spec.output_size(rows, cols)
            self.layers.append(Layer(convolution, rows, cols, after))
        self._scratch = Scratch(self.layers, self._input.value.size)
        for before, layer in zip(self.layers[-2::-1], self.layers[:0:-1]):
            layer.crossover = measure_crossover(layer.packed, rule)
            before.list_changes = not layer.crossover.always_dense

    def step(self, index: np.ndarray, message: np.ndarray, profile_hook: ProfileHook = no_profile_hook) -> StepTotals:
        self._input.clear()
        wide, reached = self._input.put(index, message, *self._reach, self._scratch.overflow_index, self._scratch.overflow_rest)
        return self._through_all(reached, wide, profile_hook)

    def step_changes(self, changes: ChangeMap, profile_hook: ProfileHook = no_profile_hook) -> StepTotals:
        self._input.set_changes(changes)
        reached = changes.reached(self._reach[0], self._masks) if self.counting else 0
        return self._through_all(reached, 0, profile_hook)

    @cached_property
    def _masks(self) -> np.ndarray:
        """Change maps only have whole words of pixels; lists may come in any size."""
        return reach_masks(self._reach[1], self._input.stored)

    def _through_all(self, reached: int, wide: int, profile_hook: ProfileHook) -> StepTotals:
        profile_hook(-1)
        layer_events, synops = [], []
        for number, layer in enumerate(self.layers):
            synops.append(reached * layer.packed.spec.channels)
            events, reached, wide = self._run(number, wide)
            layer_events.append(events)
            profile_hook(number)
        return StepTotals(tuple(layer_events[:-1]), tuple(synops))

    def _run(self, number: int, wide: int) -> tuple[int, int, int]:
        """One layer. wide: messages in the wide buffers that its input lacks; last returned: those it leaves."""
        layer, scratch = self.layers[number], self._scratch
        if wide:
            self._add_overflow(number, wide)
        dense, due, source = self._plan_first(layer, wide) if number == 0 else self._plan(number, wide)
        result = layer.run(scratch.dense, dense, due, source, self._rule, wide, scratch)
        if dense and source.word is scratch.word:
            self.layers[number - 1].lists.sweep(scratch.word)
        return result

    def _add_overflow(self, number: int, wide: int) -> None:
        self.layers[number].add_overflow(wide, self._in_cols[number], self._scratch)

    def _plan_first(self, layer: Layer, wide: int) -> tuple[int, int, Source]:
        """(dense outputs, all outputs, input) of the layer that the encoder feeds: few channels, so all are dense."""
        source, spec = self._input, layer.packed.spec
        due = plan_map(wide > 0, source.fired, source.words, FRAME, spec.size, spec.stride, spec.padding,
                       outputs_per_step(spec.size, spec.stride), layer.rows, layer.cols, self._scratch.dense)
        return due, due, Source(FRAME - spec.padding, source.pitch, _NOTHING, _NOTHING, _NOTHING, source.word)

    def _plan(self, number: int, wide: int) -> tuple[int, int, Source]:
        """As ``_plan_first``, for the other layers."""
        layer, before, scratch = self.layers[number], self.layers[number - 1], self._scratch
        spec, lists = layer.packed.spec, before.lists
        sparse, dense, entries = plan_lists(
            wide > 0, lists.count, lists.pitch, spec.size, spec.stride, layer.rows, layer.cols, layer.crossover.spikes,
            scratch.column, scratch.sparse, scratch.dense)
        due = sparse + dense
        scratch.dense[dense:due] = scratch.sparse[:sparse]
        if not before.list_changes:
            return due, due, lists.source(lists.word)
        if not layer.crossover.is_worthwhile(dense, entries, lists.pixels, lambda: int(lists.count.sum())):
            dense = 0
        if dense:
            lists.spread(scratch.word)
        return dense, due, lists.source(scratch.word)

    def clear(self) -> None:
        self._input.clear()
        self._scratch.word[:] = 0
        for layer in self.layers:
            layer.clear()

    def read(self, number: int) -> tuple[np.ndarray, np.ndarray | None]:
        layer = self.layers[number]
        real = layer.packed.spec.channels
        reference = None if layer.packed.spec.is_head else layer.reference.reshape(layer.shape)[:, :, :real]
        return layer.sigma.reshape(layer.shape)[:, :, :real], reference

    def state(self) -> list[np.ndarray]:
        return [array for layer in self.layers for array in (layer.sigma, layer.reference)]

    def load(self, states: Sequence[tuple[np.ndarray, np.ndarray | None]]) -> None:
        for layer, (sigma, reference) in zip(self.layers, states):
            real = layer.packed.spec.channels
            layer.sigma.reshape(layer.shape)[:, :, :real] = sigma
            if reference is not None:
                layer.reference.reshape(layer.shape)[:, :, :real] = reference
