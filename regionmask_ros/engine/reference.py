"""The reference implementation: the integers of the kernels in plain NumPy, slowly.

Tests compare the kernels with it on random networks, and it with the outputs of Lava's own models. Arrays are in image
order (y, x, channel); weights are (out, in, ky, kx) and act by correlation.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.arithmetic import ACCUMULATOR_BITS, MESSAGE_MAX, MESSAGE_MIN, RULES, SPIKE_EXP, unit_exp, wrap


def correlate(message: np.ndarray, weight: np.ndarray, stride: int, padding: int, groups: int = 1) -> np.ndarray:
    """Computes the synapse sums of one layer.

    ``sums[y, x, o] = sum over ky, kx, i of message[y * stride + ky - padding, x * stride + kx - padding, first + i]
    * weight[o, i, ky, kx]``, with the first channel of the output's group, ``first = o // (out / groups) * (in /
    groups)``. float64 holds every partial sum below 2**53 exactly.

    Args:
        message: Integers [y, x, in].
        weight: Integers [out, in / groups, ky, kx], square windows.
        stride: Step between windows, pixels.
        padding: Zeros on each side, pixels.
        groups: Parts of the channels, see ``network.chain.ConvSpec``.

    Returns:
        int64 [rows, cols, out].
    """
    size = weight.shape[2]
    padded = np.pad(message.astype(np.float64), ((padding, padding), (padding, padding), (0, 0)))
    axes: Any = (0, 1)  # NumPy's types know a single axis only
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=axes)[::stride, ::stride]
    rows, cols = windows.shape[:2]
    parts = windows.reshape(rows * cols, groups, -1).transpose(1, 0, 2)
    sums = parts @ weight.reshape(groups, len(weight) // groups, -1).transpose(0, 2, 1).astype(np.float64)
    exact: np.ndarray = np.rint(sums).astype(np.int64).transpose(1, 0, 2).reshape(rows, cols, -1)
    return exact


class ReferenceEncoder:
    """The delta encoder with its state. Source: Lava's ``DeltaEncoder``, with ``reference = act - residue``.

    Args:
        shape: Height, width and channels of the input.
        threshold: Smallest change that is sent, in encoder units (2**6).

    Attributes:
        reference: int64 [h, w, c] in encoder units: what the receiver knows of each value.
    """

    def __init__(self, shape: tuple[int, int, int], threshold: int) -> None:
        self.threshold = threshold
        self.reference = np.zeros(shape, np.int64)

    def step(self, value: np.ndarray, keep: np.ndarray | None = None) -> np.ndarray:
        """Encodes one frame.

        ``sent = clip(delta, -128, 127) if |delta| >= threshold else 0``, with ``delta = value - reference``.

        Args:
            value: Integers [h, w, c] in encoder units.
            keep: bool [h, w], True where the encoder may send; None for everywhere.

        Returns:
            Messages, int64 [h, w, c] at 2**10.
        """
        delta = value - self.reference
        if keep is not None:
            delta = np.where(keep[:, :, None], delta, 0)
        sent = np.clip(np.where(np.abs(delta) >= self.threshold, delta, 0), MESSAGE_MIN, MESSAGE_MAX)
        self.reference = self.reference + sent
        return sent << SPIKE_EXP


class ReferenceLayer:
    """One convolution with its neurons. Source: Lava's ``Conv`` and ``SigmaDelta``, a head's ``Sigma``.

    Args:
        spec: A ``network.chain.ConvSpec``; without bias it is a head.
        in_shape: Height, width and channels of the input.
        arithmetic: A name in ``RULES``.

    Attributes:
        sigma: int64 [rows, cols, channels] at 2**(10 + e), within int32; e is the layer's exponent.
        reference: int64 [rows, cols, channels] at 2**(10 + e).
    """

    def __init__(self, spec: Any, in_shape: tuple[int, int, int], arithmetic: str) -> None:
        self.spec, self.rule = spec, RULES[arithmetic]
        size = spec.weight.shape[2]
        rows, cols = ((n + 2 * spec.padding - size) // spec.stride + 1 for n in in_shape[:2])
        self.out_shape = (rows, cols, len(spec.weight))
        self.sigma = np.zeros(self.out_shape, np.int64)
        self.reference = np.zeros(self.out_shape, np.int64)

    def step(self, message: np.ndarray | None) -> np.ndarray:
        """Computes one time step.

        The sum wraps to 24 bits before it is added to sigma, which wraps to 32. Then, for all neurons but a head's:
        ``activation = max(sigma + bias, 0)``, ``delta = activation - reference``; a neuron fires when
        ``|delta| >= threshold`` and sends ``delta >> e``.

        Args:
            message: Integers [y, x, in] at 2**10; None when no message has arrived yet.

        Returns:
            Messages, int64 [rows, cols, channels] at 2**10; for a head its sigma at 2**(10 + e).
        """
        if message is not None:
            spec = self.spec
            total = correlate(message, spec.weight, spec.stride, spec.padding, spec.groups)
            self.sigma = wrap(self.sigma + wrap(total, ACCUMULATOR_BITS), 32)
        if self.spec.bias is None:
            return self.sigma
        shift, exponent = unit_exp(self.spec.exponent), self.spec.exponent
        activation = np.maximum(wrap(self.sigma + (self.spec.bias.astype(np.int64) << shift), 32), 0)
        delta = activation - self.reference
        threshold = self.spec.threshold << shift
        fires = np.abs(delta) >= threshold
        if self.rule.snap:
            fires |= (activation == 0) & (2 * self.reference >= threshold)
        sent = np.where(fires, delta, 0)
        acknowledged: np.ndarray = sent >> exponent
        self.reference = self.reference + (acknowledged << exponent if self.rule.carry else sent)
        return acknowledged


class ReferenceNetwork:
    """The whole network in its initial state.

    Args:
        network: Anything with ``layers``, ``ConvSpec`` each.
        input_wh: Width and height of the input.
        arithmetic: A name in ``RULES``.

    Attributes:
        messages: After ``step``: the messages of the encoder and of each layer except the head.
    """

    def __init__(self, network: Any, input_wh: tuple[int, int], arithmetic: str) -> None:
        shape = (input_wh[1], input_wh[0], network.layers[0].in_channels)
        self.layers: list[ReferenceLayer] = []
        for spec in network.layers:
            self.layers.append(ReferenceLayer(spec, shape, arithmetic))
            shape = self.layers[-1].out_shape
        self.messages: list[np.ndarray] = []
        self._warm_up()

    def _warm_up(self) -> None:
        """Runs the time steps before frame 0.

        Lava's layers all run from the first time step, while the first frame is still on its way: positive biases fire,
        and that activity travels ahead of the frame. Layer i (from 1) takes i + 1 steps before frame 0.
        """
        for frame in range(-(len(self.layers) + 1), 0):
            message = None
            for number, layer in enumerate(self.layers, start=1):
                message = layer.step(message) if frame >= -(number + 1) else None

    def step(self, message: np.ndarray) -> np.ndarray:
        """Computes one frame.

        Args:
            message: The encoder's messages, integers [h, w, c] at 2**10.

        Returns:
            The head's sigma, int64 [rows, cols, channels] at 2**(10 + e).
        """
        self.messages = [message]
        for layer in self.layers:
            message = layer.step(message)
            self.messages.append(message)
        return self.messages.pop()
