"""The dense evaluation of the integer network in plain NumPy: the reference for the heads of all engines."""

from __future__ import annotations

import numpy as np

from ..core.arithmetic import UNIT
from ..network.chain import Network


def encode_exactly(network: Network, image: np.ndarray) -> np.ndarray:
    """Normalizes an image as the encoder's integers mean it, rounded to 1/64.

    Args:
        network: Its input table is used.
        image: uint8 [height, width, channels].

    Returns:
        float64 [height, width, channels].
    """
    return np.asarray(network.input_table[image, np.arange(image.shape[2])] / UNIT)


def dense_head(network: Network, value: np.ndarray) -> np.ndarray:
    """Runs one input through the network, without events, clipping or thresholds.

    Each layer is ``y = relu(correlate(x, weight / 2**exponent) + bias / 64)``; the last one is linear.

    Args:
        network: The network.
        value: float64 [height, width, channels], normalized.

    Returns:
        float64 [rows, cols, channels].
    """
    for layer in network.layers:
        value = _correlate(value, layer.real_weight, layer.stride, layer.padding, layer.groups)
        if layer.bias is not None:
            value = np.maximum(value + layer.bias / UNIT, 0.0)
    return value


def _correlate(value: np.ndarray, weight: np.ndarray, stride: int, padding: int, groups: int) -> np.ndarray:
    """value: float64 [y, x, in]; weight: float64 [out, in / groups, k, k]. Returns float64 [oy, ox, out]."""
    size: int = weight.shape[2]
    padded = np.pad(value, ((padding, padding), (padding, padding), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(0, 1))  # type: ignore[call-overload]
    parts = np.split(windows[::stride, ::stride], groups, axis=2), np.split(weight, groups)
    return np.concatenate([np.tensordot(seen, kernel, axes=((2, 3, 4), (1, 2, 3))) for seen, kernel in zip(*parts)], 2)


def rms(one: np.ndarray, other: np.ndarray) -> float:
    """Returns the root of the mean squared difference of two arrays of one shape."""
    return float(np.sqrt(np.mean(np.square(one - other))))
