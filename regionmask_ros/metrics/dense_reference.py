"""The dense evaluation of the integer network in plain NumPy: the reference for the heads of all engines."""

from __future__ import annotations

from typing import cast

import numpy as np

from ..core.arithmetic import UNIT
from ..engine.branched.operators import MaxPool, Wiring
from ..network.branched import BranchedNetwork
from ..network.chain import ConvSpec, Network


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
        value = _convolve(layer, value)
    return value


def dense_heads(network: BranchedNetwork, value: np.ndarray) -> tuple[np.ndarray, ...]:
    """As ``dense_head``, for a branched network.

    Args:
        network: The network.
        value: float64 [height, width, channels], normalized.

    Returns:
        float64 [rows, cols, channels] of each head, without the biases that are added where boxes are decoded.
    """
    values = {network.graph.input: value}
    for node in network.nodes:
        inputs, spec = [values[name] for name in node.inputs], node.operator
        if isinstance(spec, ConvSpec):
            values[node.name] = _convolve(spec, inputs[0])
        elif isinstance(spec, MaxPool):
            windows = _windows(inputs[0], spec.size, spec.padding, -np.inf)
            values[node.name] = windows[::spec.stride, ::spec.stride].max(axis=(3, 4))
        else:
            values[node.name] = cast(Wiring, spec).move(inputs)
    return tuple(values[name] for name in network.graph.outputs)


def _convolve(layer: ConvSpec, value: np.ndarray) -> np.ndarray:
    value = _correlate(value, layer.real_weight, layer.stride, layer.padding, layer.groups)
    return value if layer.bias is None else np.maximum(value + layer.bias / UNIT, 0.0)


def _correlate(value: np.ndarray, weight: np.ndarray, stride: int, padding: int, groups: int) -> np.ndarray:
    """value: float64 [y, x, in]; weight: float64 [out, in / groups, k, k]. Returns float64 [oy, ox, out]."""
    windows = _windows(value, weight.shape[2], padding, 0.0)
    parts = np.split(windows[::stride, ::stride], groups, axis=2), np.split(weight, groups)
    return np.concatenate([np.tensordot(seen, kernel, axes=((2, 3, 4), (1, 2, 3))) for seen, kernel in zip(*parts)], 2)


def _windows(value: np.ndarray, size: int, padding: int, border: float) -> np.ndarray:
    """All windows, [y, x, channels, size, size], with that value around the image."""
    padded = np.pad(value, ((padding, padding), (padding, padding), (0, 0)), constant_values=border)
    windows: np.ndarray = np.lib.stride_tricks.sliding_window_view(
        padded, (size, size), axis=(0, 1))  # type: ignore[call-overload]
    return windows


def rms(one: np.ndarray, other: np.ndarray) -> float:
    """Returns the root of the mean squared difference of two arrays of one shape."""
    return float(np.sqrt(np.mean(np.square(one - other))))
