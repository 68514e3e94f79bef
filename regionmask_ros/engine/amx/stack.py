"""The layers on processors with matrix tiles: dense maps of messages, multiplied where something fired.

The fastest kernel set where it is available.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from ...core.arithmetic import Rule
from ...core.events import FRAME, WORD, ChangeMap, reach_masks
from ...jit.memory import aligned
from ..generic import sum_overflow
from ..layer import LayerStack, LayerState, ProfileHook, StepTotals, no_profile_hook
from ..simd.packing import Processor
from .kernels import TOTALS, amx_layer_kernel, clear_map, plan_kernel, write_events
from .neurons import ROWS, configuration, permitted
from .packing import AmxWeights, EventMap, MapView, NeuronState, Plan, Weights, view_of_changes

AMX = Processor(16, 2, ("amx-int8", "amx-tile", "avx512f", "avx512bw", "avx512vl", "bmi2"))

_CHUNK_BYTES = 1 << 18
"""Bytes of inputs that are computed at a time: with the weights of one pass they fit the second-level cache."""


def is_supported() -> bool:
    """Returns whether this processor has tiles, Numba will use them and the system permits it."""
    return AMX.is_supported and permitted()


class _Scratch:
    """Memory that no layer keeps anything in, shared by the layers of a camera. inputs: values of the input."""

    def __init__(self, layers: Sequence[AmxLayer], inputs: int) -> None:
        # The worst case; memory that is never touched is never taken.
        most = max(inputs, *(layer.rows * layer.cols * layer.packed.conv.out_channels for layer in layers))
        self.overflow = np.empty(most, np.int32), np.empty(most, np.int32)
        places = max(layer.rows * layer.blocks for layer in layers) + 1
        blocks = max(layer.rows * layer.blocks * layer.packed.window_blocks for layer in layers)
        self.plan = Plan(np.empty(places, np.int32), np.empty(places, np.uint64), np.empty(places, np.int32),
                         np.empty(blocks, np.int32), np.empty(blocks, np.int32))
        self.total = aligned(TOTALS, np.int32)


class _Kernels(NamedTuple):
    """The kernels of one layer, bound to all that stays the same from frame to frame.

    Attributes:
        plan: From ``everywhere`` to the number of places.
        clear: Clears the output's map, from the number of places; None for a head.
        run: From the number of places and ``overflow_sums`` to the counts.
    """

    plan: Callable[[bool], int]
    clear: Callable[[int], None] | None
    run: Callable[[int, tuple[bool, np.ndarray]], tuple[int, int, int]]


class AmxLayer:
    """The state of one layer.

    Args:
        packed: Its weights.
        in_rows: Rows of its input.
        in_cols: Columns of its input.
        after: The layer that reads its output; None for the head.
        rule: When its neurons send.

    Attributes:
        state: [pass, place, pixel], flat: sigmas of a pass, and their residuals (see ``neurons.fire_pixel``).
        events: Its output; None for a head.
        overflow_sums: See ``overflow``; empty until a message first exceeds 16 bits.
    """

    def __init__(self, packed: AmxWeights, in_rows: int, in_cols: int, after: AmxWeights | None, rule: Rule) -> None:
        conv = packed.conv
        self.packed, self.in_cols, self.rule = packed, in_cols, rule
        self.rows, self.cols = conv.output_size(in_rows, in_cols)
        self.blocks = -(-self.cols // WORD)
        neurons = self.rows * self.blocks * WORD * packed.padded
        # |activation - reference| is below the threshold, or below what ``carry`` keeps, after every step.
        self.residual_bits = 16 if conv.threshold < 1 << 15 else 32
        lanes = packed.tiles * WORD
        fields: list[tuple[str, str, int]] = [("sigma", "i4", lanes)]
        if not conv.is_head:
            fields.append(("residual", f"i{self.residual_bits // 8}", lanes))
        self.state = aligned(neurons // lanes, np.dtype(fields))
        self.events = None if after is None else EventMap(self.rows, self.cols, after)
        self._reach = tuple((after.conv if after else conv).reach(length) for length in (self.rows, self.cols))
        self.overflow_sums = np.zeros(0, np.int32)

    def bind(self, source: MapView, planes: int, scratch: _Scratch) -> _Kernels:
        """Binds the layer's kernels to the map that they read.

        Args:
            source: The map.
            planes: Planes of its messages.
            scratch: Shared memory.

        Returns:
            The kernels.
        """
        packed, conv = self.packed, self.packed.conv
        view, work = tuple(source), tuple(scratch.plan)
        target = view if self.events is None else tuple(self.events.view)
        plan = partial(plan_kernel(conv.size, packed.per_block, int(packed.near)), conv.stride, conv.padding, view,
                       (self.rows, self.cols), work)
        clear = partial(clear_map, target, (self.rows, self.cols), scratch.plan.place, scratch.plan.pending_bits)
        line_bytes = 2 * source.pitch * source.bytes * conv.stride
        chunk = max(1, _CHUNK_BYTES // line_bytes) * self.blocks
        run = partial(
            amx_layer_kernel(packed.tiles, planes, packed.parts, self.residual_bits, *self.rule.flags),
            configuration(min(self.cols, ROWS), packed.depth),
            tuple(Weights(packed.weight, packed.passes, packed.window_blocks, conv.stride, conv.padding)), view, target,
            tuple(NeuronState(packed.bias, conv.threshold, self.rule.release(conv.threshold), conv.exponent,
                              self.state.view(np.uint8))),
            (self.rows, self.cols, conv.out_channels, conv.is_head, chunk), self._reach, work,
            (scratch.total, scratch.overflow))
        return _Kernels(plan, None if conv.is_head else clear, run)

    def to_image_order(self, values: np.ndarray) -> np.ndarray:
        """Returns a field of ``state`` as int32 [rows, cols, channels], without padding."""
        packed, width = self.packed, self.blocks * WORD
        if not packed.conv.is_head:
            values = values.reshape(packed.passes, self.rows, width, -1).transpose(1, 2, 0, 3)
        image = values.reshape(self.rows, width, packed.padded)[:, :self.cols, :packed.conv.out_channels]
        return image.astype(np.int32, copy=False)

    def to_kernel_order(self, image: np.ndarray) -> np.ndarray:
        """Returns a field of ``state`` from integers [rows, cols, channels]."""
        packed, width = self.packed, self.blocks * WORD
        padded = np.zeros((self.rows, width, packed.padded), image.dtype)
        padded[:, :self.cols, :packed.conv.out_channels] = image
        if not packed.conv.is_head:
            padded = padded.reshape(self.rows, width, packed.passes, -1).transpose(2, 0, 1, 3)
        return padded.reshape(len(self.state), -1)


class AmxStack(LayerStack):
    """All layers of one camera.

    Args:
        packed: The weights of the layers.
        input_wh: Width and height of the input.
        rule: When neurons send.
    """

    def __init__(self, packed: tuple[AmxWeights, ...], input_wh: tuple[int, int], rule: Rule) -> None:
        self.layers: list[AmxLayer] = []
        cols, rows = self._input_wh = input_wh
        first = packed[0].conv
        self._input_reach = first.reach(rows), first.reach(cols)
        for weights, after in zip(packed, [*packed[1:], None]):
            self.layers.append(AmxLayer(weights, rows, cols, after, rule))
            rows, cols = self.layers[-1].rows, self.layers[-1].cols
        self._scratch = _Scratch(self.layers, input_wh[0] * input_wh[1] * first.in_channels)
        self._behind = [layer.bind(before.events.view, 2, self._scratch)
                        for before, layer in zip(self.layers, self.layers[1:]) if before.events is not None]
        # The input as lists of events, and as the encoder's map: made when first used.
        self._lists: tuple[EventMap, _Kernels] | None = None
        self._changes: tuple[ChangeMap, _Kernels, np.ndarray] | None = None

    def step(self, index: np.ndarray, message: np.ndarray, profile_hook: ProfileHook = no_profile_hook) -> StepTotals:
        """See ``LayerStack.step``."""
        first, (cols, rows) = self.layers[0], self._input_wh
        if self._lists is None:
            events = EventMap(rows, cols, first.packed)
            self._lists = events, first.bind(events.view, 2, self._scratch)
        events, kernels = self._lists
        events.clear()
        overflows, reached = write_events(index, message, (first.packed.conv.in_channels, cols), tuple(events.view),
                                          self._input_reach, self._scratch.overflow)
        profile_hook(-1)
        return self._run_all(kernels, reached, overflows, profile_hook)

    def step_changes(self, changes: ChangeMap, profile_hook: ProfileHook = no_profile_hook) -> StepTotals:
        """See ``LayerStack.step_changes``."""
        first = self.layers[0]
        if first.packed.groups > 1 or first.packed.conv.padding > FRAME or not first.packed.near:
            return self.step(*changes.list_changes(), profile_hook)
        if self._changes is None or changes is not self._changes[0]:
            kernels = first.bind(view_of_changes(changes), 1, self._scratch)
            self._changes = changes, kernels, reach_masks(self._input_reach[1], changes.stored)
        _, kernels, masks = self._changes
        reached = changes.reached(self._input_reach[0], masks) if self.counting else 0
        profile_hook(-1)
        return self._run_all(kernels, reached, 0, profile_hook)

    def _run_all(self, first: _Kernels, reached: int, overflows: int, profile_hook: ProfileHook) -> StepTotals:
        layer_events, synops = [], []
        for number, (layer, kernels) in enumerate(zip(self.layers, (first, *self._behind))):
            synops.append(reached * layer.packed.conv.out_channels)
            events, reached, overflows = self._run(layer, kernels, overflows)
            layer_events.append(events)
            profile_hook(number)
        return StepTotals(tuple(layer_events[:-1]), tuple(synops))

    def _run(self, layer: AmxLayer, kernels: _Kernels, overflows: int) -> tuple[int, int, int]:
        """Runs one layer. overflows: entries of the overflow buffers that its input left. Returns as its kernel."""
        if overflows:
            self._add_overflow(layer, overflows)
        places = kernels.plan(overflows > 0)
        if kernels.clear is not None:
            kernels.clear(places)
        return kernels.run(places, (overflows > 0, layer.overflow_sums))

    def _add_overflow(self, layer: AmxLayer, overflows: int) -> None:
        """Sums the overflow buffers for the kernel to add."""
        layer.overflow_sums = sum_overflow(layer.packed.conv, layer.overflow_sums, self._scratch.overflow, overflows,
                                           layer.in_cols, (layer.rows, layer.cols))

    def clear(self) -> None:
        """See ``LayerStack.clear``."""
        for layer in self.layers:
            layer.overflow_sums[:] = 0
            if layer.events is not None:
                layer.events.clear()

    def read(self, number: int) -> LayerState:
        """See ``LayerStack.read``."""
        layer = self.layers[number]
        sigma, bias = layer.to_image_order(layer.state["sigma"]), layer.packed.conv.bias
        if bias is None:
            return sigma, None
        return sigma, np.maximum(sigma + bias, 0) - layer.to_image_order(layer.state["residual"])

    def load(self, states: Sequence[LayerState]) -> None:
        """See ``LayerStack.load``."""
        for layer, (sigma, reference) in zip(self.layers, states):
            layer.state["sigma"] = layer.to_kernel_order(sigma)
            if reference is not None:
                residual = np.maximum(sigma + layer.packed.conv.bias, 0) - reference
                layer.state["residual"] = layer.to_kernel_order(residual)

    def state(self) -> list[np.ndarray]:
        """See ``LayerStack.state``."""
        return [layer.state for layer in self.layers]
