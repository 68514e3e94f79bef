"""The layers on processors with vectors: lists of events, gathered by output, or whole windows where many fired.

With AVX-512 (BW and VL) about three times as fast as the generic kernels on real video, with AVX2 about twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from ...core.arithmetic import Rule
from ...core.events import FRAME, ChangeMap, reach_masks
from ..layer import LayerStack, LayerState, ProfileHook, StepTotals, no_profile_hook
from .crossover import Crossover, measure_crossover
from .kernels import outputs_per_step, plan_lists, plan_map
from .layer import Scratch, SimdLayer
from .packing import InputMap, SimdWeights, Source, word_type


class SimdStack(LayerStack):
    """All layers of one camera.

    Args:
        packed: The weights of the layers.
        input_wh: Width and height of the input.
        rule: When neurons send.
    """

    def __init__(self, packed: tuple[SimdWeights, ...], input_wh: tuple[int, int], rule: Rule) -> None:
        self.layers: list[SimdLayer] = []
        cols, rows = input_wh
        first, lanes = packed[0].conv, packed[0].lanes
        self._input = InputMap(rows, cols, first.in_channels, lanes)
        self._reach = first.reach(rows), first.reach(cols)
        self._in_cols: list[int] = []
        for weights, after in zip(packed, [*packed[1:], None]):
            self._in_cols.append(cols)
            rows, cols = weights.conv.output_size(rows, cols)
            self.layers.append(SimdLayer(weights, rows, cols, after, rule))
        self._scratch = Scratch(self.layers, self._input.value.size)
        nothing = np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, word_type(lanes))
        self._sources: dict[int, tuple[object, ...]] = {
            0: tuple(Source(FRAME - first.padding, self._input.pitch, *nothing, self._input.word))}
        self.crossovers: dict[int, Crossover] = {}
        for number in range(len(packed) - 1, 0, -1):
            self.set_crossover(number, measure_crossover(packed[number], rule))

    def set_crossover(self, number: int, crossover: Crossover) -> None:
        """Sets when layer ``number``, any but the first, computes outputs densely."""
        before = self.layers[number - 1]
        self.crossovers[number], before.is_list = crossover, not crossover.always_dense
        self._sources[number] = tuple(before.lists.source(self._scratch.word if before.is_list else before.lists.word))

    def step(self, index: np.ndarray, message: np.ndarray, profile_hook: ProfileHook = no_profile_hook) -> StepTotals:
        """See ``LayerStack.step``."""
        overflows, reached = self._input.set_events(index, message, self._reach, self._scratch.overflow)
        return self._run_all(reached, overflows, profile_hook)

    def step_changes(self, changes: ChangeMap, profile_hook: ProfileHook = no_profile_hook) -> StepTotals:
        """See ``LayerStack.step_changes``."""
        self._input.set_changes(changes)
        reached = changes.reached(self._reach[0], self._masks) if self.counting else 0
        return self._run_all(reached, 0, profile_hook)

    @cached_property
    def _masks(self) -> np.ndarray:
        """See ``reach_masks``. Made at the first map: only maps have whole words of pixels, lists come in any size."""
        return reach_masks(self._reach[1], self._input.stored)

    def _run_all(self, reached: int, overflows: int, profile_hook: ProfileHook) -> StepTotals:
        profile_hook(-1)
        layer_events, synops = [], []
        for number, layer in enumerate(self.layers):
            synops.append(reached * layer.packed.conv.out_channels)
            events, reached, overflows = self._run(number, overflows)
            layer_events.append(events)
            profile_hook(number)
        return StepTotals(tuple(layer_events[:-1]), tuple(synops))

    def _run(self, number: int, overflows: int) -> tuple[int, int, int]:
        """Runs one layer. overflows: entries of the overflow buffers that its input left. Returns as its kernel."""
        layer, scratch = self.layers[number], self._scratch
        if overflows:
            self._add_overflow(number, overflows)
        plan = self._plan if number else self._plan_first
        dense, count = plan(number, overflows > 0)
        # The lists that the dense outputs need as a map, if any.
        lists = self.layers[number - 1].lists if dense and number and self.layers[number - 1].is_list else None
        if lists is not None:
            lists.write_map(scratch.word)
        result = layer.run(scratch.dense, dense, count, self._sources[number], overflows > 0, scratch)
        if lists is not None:
            lists.clear_map(scratch.word)
        return result

    def _add_overflow(self, number: int, overflows: int) -> None:
        self.layers[number].add_overflow(overflows, self._in_cols[number], self._scratch)

    def _plan_first(self, number: int, everywhere: bool) -> tuple[int, int]:
        """As ``_plan``, for the layer that the encoder feeds: it has few input channels, so all outputs are dense."""
        layer, source = self.layers[number], self._input
        conv = layer.packed.conv
        count = plan_map(everywhere, source.fired, source.words, FRAME, (conv.size, conv.stride, conv.padding),
                         outputs_per_step(conv.size, conv.stride), layer.rows, layer.cols, self._scratch.dense)
        return count, count

    def _plan(self, number: int, everywhere: bool) -> tuple[int, int]:
        """Fills ``scratch.dense`` with a layer's outputs, dense ones first; returns the number of these and of all."""
        layer, before, scratch = self.layers[number], self.layers[number - 1], self._scratch
        conv, lists, crossover = layer.packed.conv, before.lists, self.crossovers[number]
        sparse, dense, entries = plan_lists(
            everywhere, lists.count, lists.pitch, (conv.size, conv.stride), (layer.rows, layer.cols),
            crossover.entries, scratch.column, scratch.sparse, scratch.dense)
        count = sparse + dense
        scratch.dense[dense:count] = scratch.sparse[:sparse]
        if not before.is_list:
            return count, count
        if not crossover.is_worthwhile(dense, entries, lists.pixels, lambda: int(lists.count.sum())):
            dense = 0
        return dense, count

    def clear(self) -> None:
        """See ``LayerStack.clear``."""
        self._input.clear()
        self._scratch.word[:] = 0
        for layer in self.layers:
            layer.clear()

    def read(self, number: int) -> LayerState:
        """See ``LayerStack.read``."""
        layer = self.layers[number]
        channels = layer.packed.conv.out_channels
        reference = None if layer.packed.conv.is_head else layer.reference.reshape(layer.shape)[:, :, :channels]
        return layer.sigma.reshape(layer.shape)[:, :, :channels], reference

    def state(self) -> list[np.ndarray]:
        """See ``LayerStack.state``."""
        return [array for layer in self.layers for array in (layer.sigma, layer.reference)]

    def load(self, states: Sequence[LayerState]) -> None:
        """See ``LayerStack.load``."""
        for layer, (sigma, reference) in zip(self.layers, states):
            channels = layer.packed.conv.out_channels
            layer.sigma.reshape(layer.shape)[:, :, :channels] = sigma
            if reference is not None:
                layer.reference.reshape(layer.shape)[:, :, :channels] = reference
