"""The layers on any processor: events as sorted lists, scattered to the outputs that they reach."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...core.arithmetic import Rule
from ..layer import CheckedConv, LayerStack, LayerState, ProfileHook, StepTotals, no_profile_hook
from . import kernels


class GenericLayer:
    """The state of one layer.

    Args:
        conv: The layer.
        in_rows: Rows of its input.
        in_cols: Columns of its input.
        rule: When its neurons send.

    Attributes:
        sigma: int32 [neurons], image order.
        reference: int32 [neurons]; empty for a head.
        touched: bool [rows * cols], outputs that an event has reached.
    """

    def __init__(self, conv: CheckedConv, in_rows: int, in_cols: int, rule: Rule) -> None:
        self.conv, self.source = conv, (in_cols, conv.in_channels)
        self.rows, self.cols = conv.output_size(in_rows, in_cols)
        self.shape = self.rows, self.cols, conv.out_channels
        self.neurons = self.rows * self.cols * conv.out_channels
        self.window = conv.size, conv.stride, conv.padding
        self.rule = conv.threshold, rule.release(conv.threshold), rule.carry
        self.sigma = np.zeros(self.neurons, np.int32)
        self.reference = np.zeros(0 if conv.is_head else self.neurons, np.int32)
        self.touched = np.zeros(self.rows * self.cols, np.bool_)


class GenericStack(LayerStack):
    """All layers of one camera.

    Args:
        convs: The layers.
        input_wh: Width and height of the input.
        rule: When neurons send.
    """

    def __init__(self, convs: tuple[CheckedConv, ...], input_wh: tuple[int, int], rule: Rule) -> None:
        self.layers: list[GenericLayer] = []
        cols, rows = input_wh
        for conv in convs:
            self.layers.append(GenericLayer(conv, rows, cols, rule))
            rows, cols = self.layers[-1].rows, self.layers[-1].cols
        largest = max(layer.neurons for layer in self.layers)
        # One array of sums serves all layers; events go from one pair of buffers to the other and back.
        self._total = np.zeros(largest, np.int32)
        self._sent = np.zeros(max(conv.out_channels for conv in convs), np.int32)
        self._buffers = [(np.empty(largest, np.int32), np.empty(largest, np.int32)) for _ in range(2)]

    def step(self, index: np.ndarray, message: np.ndarray, profile_hook: ProfileHook = no_profile_hook) -> StepTotals:
        """See ``LayerStack.step``."""
        profile_hook(-1)
        events, synops, layer_events = len(index), [], []
        for number, layer in enumerate(self.layers):
            synops.append(self._accumulate(layer, index, message, events))
            index, message = self._buffers[number % 2]
            events = self._fire(layer, False, index, message)
            layer_events.append(events)
            profile_hook(number)
        return StepTotals(tuple(layer_events[:-1]), tuple(synops))

    def run_ahead(self, first: int) -> None:
        """Takes one step without input in the layers from number ``first`` on; all neurons are updated."""
        index, message = self._buffers[1 - first % 2]
        events = 0
        for number in range(first, len(self.layers)):
            self._accumulate(self.layers[number], index, message, events)
            index, message = self._buffers[number % 2]
            events = self._fire(self.layers[number], True, index, message)

    def _accumulate(self, layer: GenericLayer, index: np.ndarray, message: np.ndarray, events: int) -> int:
        return kernels.accumulate((index, message, events), layer.source, layer.conv.tap_major_weights, layer.window,
                                  layer.shape, self._total[:layer.neurons], layer.touched)

    def _fire(self, layer: GenericLayer, everywhere: bool, index: np.ndarray, message: np.ndarray) -> int:
        total = self._total[:layer.neurons]
        if layer.conv.bias is None:
            kernels.integrate(total, layer.touched, layer.conv.out_channels, layer.sigma)
            return 0
        return kernels.fire(total, layer.touched, everywhere, layer.conv.bias, layer.rule,
                            (layer.sigma, layer.reference), self._sent, index, message)

    def clear(self) -> None:
        """See ``LayerStack.clear``."""
        self._total[:] = 0
        for layer in self.layers:
            layer.touched[:] = False

    def read(self, number: int) -> LayerState:
        """See ``LayerStack.read``."""
        layer = self.layers[number]
        return layer.sigma.reshape(layer.shape), None if layer.conv.is_head else layer.reference.reshape(layer.shape)

    def state(self) -> list[np.ndarray]:
        """See ``LayerStack.state``."""
        return [array for layer in self.layers for array in (layer.sigma, layer.reference)]

    def load(self, states: Sequence[LayerState]) -> None:
        """See ``LayerStack.load``."""
        for layer, (sigma, reference) in zip(self.layers, states):
            layer.sigma[:] = sigma.ravel()
            if reference is not None:
                layer.reference[:] = reference.ravel()
