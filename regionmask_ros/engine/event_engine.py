"""The event engine: packed weights that cameras share, and the state of one camera."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np

from . import kernels
from .arithmetic import ARITHMETICS, CARRY, UNIT_EXP


@dataclass(frozen=True)
class PackedLayer:
    """One convolution as the kernels want it.

    weight: int16 [ky, kx, in, out], flat. bias (int32 [out]) and threshold: at 2**16; a head has neither.
    """

    weight: np.ndarray
    bias: np.ndarray | None
    threshold: int
    size: int
    stride: int
    padding: int
    in_channels: int
    channels: int


@dataclass(frozen=True)
class EngineResult:
    """head: int32 [rows, cols, channels], sigma at 2**16, a copy. Counts: see ``StepCounts``."""

    head: np.ndarray
    layer_events: tuple[int, ...]
    synops: tuple[int, ...]


class PackedNetwork:
    """Weights of a network for the engine. Read-only and safe to share between cameras and threads.

    It also remembers the warmed-up state of each input size and arithmetic, which every camera starts from.
    """

    def __init__(self, network) -> None:
        self.layers = tuple(_pack(spec) for spec in network.layers)
        self._warm: dict[tuple, list[tuple[np.ndarray, np.ndarray | None]]] = {}
        self._lock = threading.Lock()

    def warm_state(self, engine: EventEngine) -> list[tuple[np.ndarray, np.ndarray | None]]:
        """(sigma, reference) of each layer before the first frame, for an engine of that input size and arithmetic."""
        key = (engine.input_wh, engine.arithmetic)
        with self._lock:
            if key not in self._warm:
                engine._warm_up()
                self._warm[key] = [
                    (layer.sigma.copy(), None if layer.reference is None else layer.reference.copy())
                    for layer in engine._layers
                ]
            return self._warm[key]


def _pack(spec) -> PackedLayer:
    """Raises ValueError when a weight does not fit 16 bits or a bias 22, which the kernels' integers rely on."""
    out_channels, in_channels, size, _ = spec.weight.shape
    limit = np.iinfo(np.int16)
    if spec.weight.min() < limit.min or spec.weight.max() > limit.max:
        raise ValueError(f"{spec.name}: weights must fit 16 signed bits")
    if spec.bias is not None and max(np.abs(spec.bias).max(), spec.threshold) >= 1 << (31 - UNIT_EXP):
        raise ValueError(f"{spec.name}: biases and threshold must fit {32 - UNIT_EXP} signed bits")
    weight = np.ascontiguousarray(spec.weight.transpose(2, 3, 1, 0), np.int16).ravel()
    bias = None if spec.bias is None else np.ascontiguousarray(spec.bias, np.int32) << UNIT_EXP
    threshold = 0 if bias is None else spec.threshold << UNIT_EXP
    return PackedLayer(weight, bias, threshold, size, spec.stride, spec.padding, in_channels, out_channels)


class _LayerState:
    """sigma and reference: int32 [rows * cols * channels]; touched: bool [rows * cols]."""

    def __init__(self, packed: PackedLayer, in_rows: int, in_cols: int) -> None:
        self.packed, self.in_cols = packed, in_cols
        self.rows, self.cols = (
            (n + 2 * packed.padding - packed.size) // packed.stride + 1 for n in (in_rows, in_cols)
        )
        if self.rows < 1 or self.cols < 1:
            raise ValueError(f"an input of {in_cols}x{in_rows} is too small for a {packed.size}x{packed.size} kernel")
        self.neurons = self.rows * self.cols * packed.channels
        self.sigma = np.zeros(self.neurons, np.int32)
        self.reference = None if packed.bias is None else np.zeros(self.neurons, np.int32)
        self.touched = np.zeros(self.rows * self.cols, np.bool_)


class EventEngine:
    """The network's state for one camera. Not for use by two threads at a time.

    packed: shared weights. input_wh: width and height of the input. arithmetic: ``carry`` or ``lava``.
    Raises ValueError for an unknown arithmetic or an input that is too small.
    """

    def __init__(self, packed: PackedNetwork, input_wh: tuple[int, int], arithmetic: str = CARRY) -> None:
        if arithmetic not in ARITHMETICS:
            raise ValueError(f"arithmetic {arithmetic!r}: expected one of {', '.join(ARITHMETICS)}")
        self.packed, self.input_wh, self.arithmetic = packed, input_wh, arithmetic
        self._layers: list[_LayerState] = []
        rows, cols = input_wh[1], input_wh[0]
        for layer in packed.layers:
            self._layers.append(_LayerState(layer, rows, cols))
            rows, cols = self._layers[-1].rows, self._layers[-1].cols
        largest = max(layer.neurons for layer in self._layers)
        # One scratch accumulator serves all layers; events go from one pair of buffers to the other and back.
        self._total = np.zeros(largest, np.int32)
        self._sent = np.zeros(max(layer.channels for layer in packed.layers), np.int32)
        self._buffers = [(np.empty(largest, np.int32), np.empty(largest, np.int32)) for _ in range(2)]
        self.reset()

    def reset(self) -> None:
        """Back to the warmed-up state, as before the first frame."""
        for layer, (sigma, reference) in zip(self._layers, self.packed.warm_state(self)):
            layer.sigma[:] = sigma
            if reference is not None:
                layer.reference[:] = reference

    def step(self, index: np.ndarray, message: np.ndarray) -> EngineResult:
        """One frame: encoder events in, the head's state out.

        index: int32 [n], strictly ascending positions in the input (y, x, channel), flat. message: int32 [n] at 2**10.
        """
        events, synops, layer_events = len(index), [], []
        for number, layer in enumerate(self._layers):
            synops.append(self._accumulate(layer, index, message, events))
            if layer.reference is None:
                kernels.integrate(self._total[:layer.neurons], layer.touched, layer.packed.channels, layer.sigma)
            else:
                index, message = self._buffers[number % 2]
                events = self._fire(layer, False, index, message)
                layer_events.append(events)
        head = self._layers[-1]
        shape = (head.rows, head.cols, head.packed.channels)
        return EngineResult(head.sigma.reshape(shape).copy(), tuple(layer_events), tuple(synops))

    def _accumulate(self, layer: _LayerState, index: np.ndarray, message: np.ndarray, events: int) -> int:
        p = layer.packed
        return kernels.accumulate(
            index, message, events, layer.in_cols, p.in_channels, p.weight, p.size, p.stride, p.padding,
            layer.rows, layer.cols, p.channels, self._total[:layer.neurons], layer.touched,
        )

    def _fire(self, layer: _LayerState, everywhere: bool, index: np.ndarray, message: np.ndarray) -> int:
        p = layer.packed
        return kernels.fire(
            self._total[:layer.neurons], layer.touched, everywhere, p.channels, p.bias, p.threshold,
            self.arithmetic == CARRY, layer.sigma, layer.reference, self._sent, index, message,
        )

    def _warm_up(self) -> None:
        """Runs the layers ahead of frame 0, layer i (from 1) i + 1 times, as Lava's pipeline does (see the twin)."""
        for layer in self._layers:
            layer.sigma[:] = 0
            if layer.reference is not None:
                layer.reference[:] = 0
        count = len(self._layers)
        for frame in range(-(count + 1), 0):
            index, message = self._buffers[1]
            events = 0
            for number, layer in enumerate(self._layers):
                if frame < -(number + 2):
                    events = 0
                    continue
                self._accumulate(layer, index, message, events)
                if layer.reference is None:
                    kernels.integrate(self._total[:layer.neurons], layer.touched, layer.packed.channels, layer.sigma)
                else:
                    index, message = self._buffers[number % 2]
                    events = self._fire(layer, True, index, message)
