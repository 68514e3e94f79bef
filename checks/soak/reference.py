"""The reference implementation of the engine, computed only where events arrive: quick enough for 100,000 frames.

Every event adds its weights to the outputs that it reaches. A neuron that no event reaches keeps its sigma. It has sent
what it had to send when it was last reached, or before the first frame, so that it cannot fire. The arithmetic is that
of ``regionmask_ros.engine.reference``, from which the initial state comes. No code of the engine's kernels is used.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from regionmask_ros.core.arithmetic import ACCUMULATOR_BITS, unit_exp
from regionmask_ros.engine.reference import ReferenceLayer, ReferenceNetwork


@numba.njit
def add_events(total: np.ndarray, reached: np.ndarray, events: np.ndarray, weight: np.ndarray, stride: int,
               padding: int) -> None:
    """Adds events to the sums of the outputs that they reach.

    Args:
        total: int32 [rows, cols, out], the sums; they wrap at 32 bits.
        reached: bool [rows, cols]; set where an event arrives.
        events: int64 [events, 4]: y, x, channel and message (2**10) of each.
        weight: int32 [in, ky, kx, out].
        stride: Step between windows, pixels.
        padding: Zeros on each side, pixels.
    """
    rows, cols, outputs = total.shape
    size = weight.shape[1]
    for event in range(len(events)):
        channel, value = events[event, 2], np.int32(events[event, 3])
        for ky in range(size):
            y = events[event, 0] + padding - ky
            if y < 0 or y % stride or y // stride >= rows:
                continue
            for kx in range(size):
                x = events[event, 1] + padding - kx
                if x < 0 or x % stride or x // stride >= cols:
                    continue
                reached[y // stride, x // stride] = True
                sums, weights = total[y // stride, x // stride], weight[channel, ky, kx]
                for output in range(outputs):
                    sums[output] += np.int32(weights[output] * value)


@numba.njit
def fire(sums: tuple[np.ndarray, np.ndarray], state: tuple[np.ndarray, np.ndarray], bias: np.ndarray, threshold: int,
         rule: tuple[bool, bool, int], sent: np.ndarray) -> int:
    """Updates the neurons that events have reached, as ``ReferenceLayer.step`` does all of them.

    Args:
        sums: total and reached, see ``add_events``; set to 0 and False.
        state: Sigma and reference, int64 [rows, cols, out]; changed.
        bias: int64 [out] at 2**(10 + exponent); empty for a head, which does not fire.
        threshold: At 2**(10 + exponent).
        rule: Carry and snap, see ``core.arithmetic.Rule``, and the exponent of the layer.
        sent: int64 [neurons, 4], filled with y, x, channel and message of each event.

    Returns:
        Number of events.
    """
    (total, reached), (sigma, reference), (carry, snap, exponent) = sums, state, rule
    rows, cols, outputs = total.shape
    count = 0
    for y in range(rows):
        for x in range(cols):
            if not reached[y, x]:
                continue
            reached[y, x] = False
            for c in range(outputs):
                # Sums wrap to 24 bits, so it does not matter that they have wrapped to 32 before.
                sigma[y, x, c] = wrap_one(sigma[y, x, c] + wrap_one(np.int64(total[y, x, c]), ACCUMULATOR_BITS), 32)
                total[y, x, c] = 0
                if not len(bias):
                    continue
                activation = max(wrap_one(sigma[y, x, c] + bias[c], 32), 0)
                delta = activation - reference[y, x, c]
                if abs(delta) >= threshold or (snap and activation == 0 and 2 * reference[y, x, c] >= threshold):
                    acknowledged = delta >> exponent
                    reference[y, x, c] += acknowledged << exponent if carry else delta
                    if acknowledged:
                        sent[count, 0], sent[count, 1], sent[count, 2], sent[count, 3] = y, x, c, acknowledged
                        count += 1
    return count


@numba.njit
def wrap_one(value: int, bits: int) -> int:
    """``core.arithmetic.wrap`` for one value."""
    half = 1 << (bits - 1)
    return ((value + half) & ((1 << bits) - 1)) - half


class SparseLayer:
    """A layer of the reference implementation, where events arrive.

    Args:
        layer: The layer in its initial state.

    Attributes:
        state: Sigma and reference, int64 [rows, cols, channels].
    """

    def __init__(self, layer: ReferenceLayer) -> None:
        self.state = layer.sigma, layer.reference
        self._initial = layer.sigma.copy(), layer.reference.copy()
        self._spec, self._rule = layer.spec, (layer.rule.carry, layer.rule.snap, layer.spec.exponent)
        self._weight = np.ascontiguousarray(layer.spec.weight.transpose(1, 2, 3, 0), np.int32)
        bias = np.zeros(0) if layer.spec.bias is None else layer.spec.bias
        self._bias = bias.astype(np.int64) << unit_exp(layer.spec.exponent)
        self._sums = np.zeros(layer.out_shape, np.int32), np.zeros(layer.out_shape[:2], bool)
        self._sent = np.zeros((np.prod(layer.out_shape), 4), np.int64)

    def reset(self) -> None:
        """Restores the initial state."""
        for state, initial in zip(self.state, self._initial):
            state[:] = initial

    def step(self, events: np.ndarray) -> np.ndarray:
        """Computes one time step, see ``ReferenceLayer.step``.

        Args:
            events: int64 [events, 4]: y, x, channel and message (2**10) of each.

        Returns:
            The layer's own events in the same form, valid until the next call; none for a head.
        """
        add_events(*self._sums, events, self._weight, self._spec.stride, self._spec.padding)
        threshold = self._spec.threshold << unit_exp(self._spec.exponent)
        count = fire(self._sums, self.state, self._bias, threshold, self._rule, self._sent)
        return self._sent[:count]


class SparseReference:
    """The whole network in its initial state.

    Args:
        network: Anything with ``layers``, ``ConvSpec`` each.
        input_wh: Width and height of the input.
        arithmetic: A name in ``RULES``.
    """

    def __init__(self, network: Any, input_wh: tuple[int, int], arithmetic: str) -> None:
        self._layers = [SparseLayer(layer) for layer in ReferenceNetwork(network, input_wh, arithmetic).layers]
        self._shape = (input_wh[1], input_wh[0], network.layers[0].weight.shape[1])

    def reset(self) -> None:
        """Restores the initial state."""
        for layer in self._layers:
            layer.reset()

    def step(self, index: np.ndarray, message: np.ndarray) -> None:
        """Computes one frame.

        Args:
            index: int32 [n], positions of events in the input (y, x, channel), flat.
            message: int32 [n] at 2**10.
        """
        events = np.stack([*np.unravel_index(index, self._shape), message.astype(np.int64)], axis=1)
        for layer in self._layers:
            events = layer.step(events)

    def state(self, number: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Sigma and reference of a layer, int64 [rows, cols, channels]; a head has no reference."""
        sigma, reference = self._layers[number].state
        return sigma, None if number == len(self._layers) - 1 else reference
