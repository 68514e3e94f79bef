"""The readable twin of the kernels: the same integers in plain NumPy, slowly.

Tests hold kernels and twin equal on random networks, and the twin equal to Lava's own outputs. Arrays are in image
order (y, x, channel); weights are (out, in, ky, kx) and act by correlation.
"""

from __future__ import annotations

import numpy as np

from ..core.arithmetic import ACCUMULATOR_BITS, MESSAGE_MAX, MESSAGE_MIN, RULES, SPIKE_EXP, STATE_EXP, UNIT_EXP, wrap


def correlate(message: np.ndarray, weight: np.ndarray, stride: int, padding: int) -> np.ndarray:
    """Exact sums int64 [oy, ox, out] of int messages [y, x, in]; float64 holds every partial sum below 2**53."""
    size = weight.shape[2]
    padded = np.pad(message.astype(np.float64), ((padding, padding), (padding, padding), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(0, 1))[::stride, ::stride]
    rows, cols = windows.shape[:2]
    sums = windows.reshape(rows * cols, -1) @ weight.reshape(len(weight), -1).T.astype(np.float64)
    return np.rint(sums).astype(np.int64).reshape(rows, cols, -1)


class ReferenceEncoder:
    """State: reference int64 [h, w, c] in encoder units. ``threshold`` in encoder units."""

    def __init__(self, shape: tuple[int, int, int], threshold: int) -> None:
        self.threshold = threshold
        self.reference = np.zeros(shape, np.int64)

    def step(self, value: np.ndarray, keep: np.ndarray | None = None) -> np.ndarray:
        """value: int [h, w, c]; keep: bool [h, w], True = attended. Returns messages int64 [h, w, c] at 2**10."""
        change = value - self.reference
        if keep is not None:
            change = np.where(keep[:, :, None], change, 0)
        sent = np.clip(np.where(np.abs(change) >= self.threshold, change, 0), MESSAGE_MIN, MESSAGE_MAX)
        self.reference = self.reference + sent
        return sent << SPIKE_EXP


class ReferenceLayer:
    """One convolution with its neurons. ``spec`` is a ``ConvSpec``; one without bias is the head."""

    def __init__(self, spec, in_shape: tuple[int, int, int], arithmetic: str) -> None:
        self.spec, self.rule = spec, RULES[arithmetic]
        size = spec.weight.shape[2]
        rows, cols = ((n + 2 * spec.padding - size) // spec.stride + 1 for n in in_shape[:2])
        self.out_shape = (rows, cols, len(spec.weight))
        self.sigma = np.zeros(self.out_shape, np.int64)
        self.reference = np.zeros(self.out_shape, np.int64)

    def step(self, message: np.ndarray | None) -> np.ndarray:
        """Messages in (None: nothing has arrived yet), messages out at 2**10; the head returns its sigma at 2**16."""
        if message is not None:
            total = correlate(message, self.spec.weight, self.spec.stride, self.spec.padding)
            self.sigma = wrap(self.sigma + wrap(total, ACCUMULATOR_BITS), 32)
        if self.spec.bias is None:
            return self.sigma
        active = np.maximum(wrap(self.sigma + (self.spec.bias.astype(np.int64) << UNIT_EXP), 32), 0)
        delta = active - self.reference
        threshold = self.spec.threshold << UNIT_EXP
        due = np.abs(delta) >= threshold
        if self.rule.snap:
            due |= (active == 0) & (2 * self.reference >= threshold)
        sent = np.where(due, delta, 0)
        told = sent >> STATE_EXP
        self.reference = self.reference + (told << STATE_EXP if self.rule.carry else sent)
        return told


class ReferenceNetwork:
    """The whole network, warmed up. After ``step``, ``messages`` holds those of the encoder and of each layer."""

    def __init__(self, network, input_wh: tuple[int, int], arithmetic: str) -> None:
        shape = (input_wh[1], input_wh[0], network.layers[0].weight.shape[1])
        self.layers = []
        for spec in network.layers:
            self.layers.append(ReferenceLayer(spec, shape, arithmetic))
            shape = self.layers[-1].out_shape
        self.messages: list[np.ndarray] = []
        self._warm_up()

    def _warm_up(self) -> None:
        """Lava's layers all run from the first time step, while the first frame is still on its way to them.

        Layer i (from 1) takes i + 1 steps before frame 0: positive biases fire, and that activity travels ahead.
        """
        for frame in range(-(len(self.layers) + 1), 0):
            message = None
            for number, layer in enumerate(self.layers, start=1):
                message = layer.step(message) if frame >= -(number + 1) else None

    def step(self, message: np.ndarray) -> np.ndarray:
        """Encoder messages int [h, w, c] of one frame in, the head's sigma int64 [rows, cols, channels] out."""
        self.messages = [message]
        for layer in self.layers:
            message = layer.step(message)
            self.messages.append(message)
        return self.messages.pop()
