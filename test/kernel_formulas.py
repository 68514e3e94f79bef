"""What the kernels of the tile engine must compute, as formulas in NumPy."""

from __future__ import annotations

import numpy as np

from regionmask_ros.tiles.exponential import exponential

ACTIVATIONS = range(8)


def activate(y: np.ndarray, kind: int, alpha: float = 0.0, beta: float = 0.0) -> np.ndarray:
    f = np.float32
    zero = f(0)

    def relu(x):
        return np.where(x > zero, x, zero)

    functions = [
        lambda: y,
        lambda: relu(y),
        lambda: np.minimum(relu(y), f(6)),
        lambda: np.where(y > zero, y, y * f(alpha)),
        lambda: f(1) / (f(1) + exponential(-y)),
        lambda: y / (f(1) + exponential(-y)),
        lambda: np.minimum(relu(y * f(alpha) + f(beta)), f(1)),
        lambda: y * np.minimum(relu(y + f(3)), f(6)) * f(1 / 6),
    ]
    result = functions[kind]()
    assert result.dtype == np.float32
    return result


def quantize(z: np.ndarray, scale: np.ndarray, zero: np.ndarray) -> np.ndarray:
    v = z * scale + zero
    assert v.dtype == np.float32
    return np.rint(np.minimum(np.maximum(v, np.float32(0)), np.float32(255))).astype(np.uint8)


def rescale(total: np.ndarray, parameters) -> np.ndarray:
    """z of int32 sums [..., channels]."""
    y = total.astype(np.float32) * parameters.multiplier + parameters.bias
    return activate(y, parameters.activation, parameters.alpha, parameters.beta)


def finish(total: np.ndarray, parameters) -> np.ndarray:
    """q of int32 sums [..., channels]."""
    return quantize(rescale(total, parameters), parameters.scale, parameters.zero)
