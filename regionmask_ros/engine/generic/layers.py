"""The layers on any processor: events as sorted lists, scattered to the outputs that they reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...core.arithmetic import Rule
from ..layer import Convolution, Layers, ProfileHook, StepTotals, no_profile_hook
from . import kernels


@dataclass(frozen=True)
class PackedConvolution:
    """weight: int16 [ky, kx, in, out], flat. bias: int32 [out] at 2**16, None for a head."""

    spec: Convolution
    weight: np.ndarray
    bias: np.ndarray | None


def pack(convolutions: tuple[Convolution, ...]) -> tuple[PackedConvolution, ...]:
    """Weights as the kernels want them."""
    return tuple(
        PackedConvolution(spec, spec.tap_major_weights, spec.bias)
        for spec in convolutions
    )


class _Layer:
    """sigma and reference: int32, flat; touched: bool [rows * cols]."""

    def __init__(self, packed: PackedConvolution, in_rows: int, in_cols: int) -> None:
        spec = packed.spec
        self.packed, self.in_cols = packed, in_cols
        self.rows, self.cols = spec.output_size(in_rows, in_cols)
        self.neurons = self.rows * self.cols * spec.channels
        self.sigma = np.zeros(self.neurons, np.int32)
        self.reference = np.zeros(0 if spec.is_head else self.neurons, np.int32)
        self.touched = np.zeros(self.rows * self.cols, np.bool_)


class PortableLayers(Layers):
    """State of all layers for one camera, and their steps."""

    def __init__(self, packed: tuple[PackedConvolution, ...], input_wh: tuple[int, int], rule: Rule) -> None:
        self._rule, self.layers = rule, []
        rows, cols = input_wh[1], input_wh[0]
        for convolution in packed:
            self.layers.append(_Layer(convolution, rows, cols))
            rows, cols = self.layers[-1].rows, self.layers[-1].cols
        largest = max(layer.neurons for layer in self.layers)
        # One scratch accumulator serves all layers; events go from one pair of buffers to the other and back.
        self._total = np.zeros(largest, np.int32)
        self._sent = np.zeros(max(convolution.spec.channels for convolution in packed), np.int32)
        self._buffers = [(np.empty(largest, np.int32), np.empty(largest, np.int32)) for _ in range(2)]

    def step(self, index: np.ndarray, message: np.ndarray, profile_hook: ProfileHook = no_profile_hook) -> StepTotals:
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
        """One step of the layers from number ``first`` on, all of whose neurons work; nothing arrives from outside."""
        index, message = self._buffers[1 - first % 2]
        events = 0
        for number in range(first, len(self.layers)):
            self._accumulate(self.layers[number], index, message, events)
            index, message = self._buffers[number % 2]
            events = self._fire(self.layers[number], True, index, message)

    def _accumulate(self, layer: _Layer, index: np.ndarray, message: np.ndarray, events: int) -> int:
        spec = layer.packed.spec
        return kernels.accumulate(
            index, message, events, layer.in_cols, spec.in_channels, layer.packed.weight, spec.size, spec.stride,
            spec.padding, layer.rows, layer.cols, spec.channels, self._total[:layer.neurons], layer.touched,
        )

    def _fire(self, layer: _Layer, everywhere: bool, index: np.ndarray, message: np.ndarray) -> int:
        spec, total = layer.packed.spec, self._total[:layer.neurons]
        if spec.is_head:
            kernels.integrate(total, layer.touched, spec.channels, layer.sigma)
            return 0
        return kernels.fire(
            total, layer.touched, everywhere, spec.channels, layer.packed.bias, spec.threshold,
            self._rule.release(spec.threshold), self._rule.carry, layer.sigma, layer.reference, self._sent,
            index, message,
        )

    def clear(self) -> None:
        self._total[:] = 0
        for layer in self.layers:
            layer.touched[:] = False

    def read(self, number: int) -> tuple[np.ndarray, np.ndarray | None]:
        layer = self.layers[number]
        shape = (layer.rows, layer.cols, layer.packed.spec.channels)
        return layer.sigma.reshape(shape), None if layer.packed.spec.is_head else layer.reference.reshape(shape)

    def state(self) -> list[np.ndarray]:
        return [array for layer in self.layers for array in (layer.sigma, layer.reference)]

    def load(self, states: Sequence[tuple[np.ndarray, np.ndarray | None]]) -> None:
        for layer, (sigma, reference) in zip(self.layers, states):
            layer.sigma[:] = sigma.ravel()
            if reference is not None:
                layer.reference[:] = reference.ravel()
