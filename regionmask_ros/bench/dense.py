"""The dense evaluation of the integer network in plain NumPy: what every contestant's head is compared with."""

from __future__ import annotations

import numpy as np

from ..network.spec import Network

UNIT = 64.0


def encoded(network: Network, image: np.ndarray) -> np.ndarray:
    """float64 [height, width, channels]: a uint8 picture as the encoder's integers mean it, rounded to 1/64."""
    return network.input_table[image, np.arange(image.shape[2])] / UNIT


def dense_head(network: Network, value: np.ndarray) -> np.ndarray:
    """float64 [rows, cols, channels]: one input through the network, without events, clipping or thresholds.

    value: float64 [height, width, channels], normalised. ``y = relu(correlate(x, weight / 64) + bias / 64)`` for each
    layer; the last one is linear.
    """
    for layer in network.layers:
        value = _correlate(value, layer.weight / UNIT, layer.stride, layer.padding)
        if layer.bias is not None:
            value = np.maximum(value + layer.bias / UNIT, 0.0)
    return value


def _correlate(value: np.ndarray, weight: np.ndarray, stride: int, padding: int) -> np.ndarray:
    """value: float64 [y, x, in]; weight: float64 [out, in, k, k]. Returns float64 [oy, ox, out]."""
    size = weight.shape[2]
    padded = np.pad(value, ((padding, padding), (padding, padding), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(0, 1))[::stride, ::stride]
    return np.tensordot(windows, weight, axes=((2, 3, 4), (1, 2, 3)))


def rms(one: np.ndarray, other: np.ndarray) -> float:
    """Root of the mean squared difference."""
    return float(np.sqrt(np.mean(np.square(one - other))))
