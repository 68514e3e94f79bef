"""Activation functions, element by element."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import numpy as np

EXP2_COEFFICIENTS = (0.6931241750717163, 0.24024099111557007, 0.055906426161527634, 0.009582852944731712)
"""Of the first to the fourth power in ``2**f = 1 + ...`` for f in -0.5 .. 0.5: minimax, relative error 2.9e-6."""


class Kind(Enum):
    """Which function. The values are the numbers that the C++ kernels know."""

    NONE = 0
    RELU = 1
    RELU6 = 2
    LEAKY_RELU = 3
    SIGMOID = 4
    SILU = 5
    HARD_SIGMOID = 6
    HARD_SWISH = 7


@dataclass(frozen=True)
class Activation:
    """An activation function.

    Attributes:
        kind: Which one.
        alpha: Slope of LEAKY_RELU for negative values, or of HARD_SIGMOID.
        beta: Offset of HARD_SIGMOID.
    """

    kind: Kind = Kind.NONE
    alpha: float = 0.0
    beta: float = 0.0

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Computes the function as every kernel does: float32, in this order.

        Args:
            values: float32.

        Returns:
            float32, same shape.
        """
        return _FUNCTIONS[self.kind](values, np.float32(self.alpha), np.float32(self.beta))

    def evaluate(self, values: np.ndarray) -> np.ndarray:
        """Computes the function with NumPy's exponential, which is quicker and more exact.

        Args:
            values: float32.

        Returns:
            float32, same shape.
        """
        if self.kind not in (Kind.SIGMOID, Kind.SILU):
            return self.apply(values)
        result: np.ndarray = np.negative(values)
        with np.errstate(over="ignore"):
            np.exp(result, out=result)
        result += _ONE
        np.divide(_ONE if self.kind is Kind.SIGMOID else values, result, out=result)
        return result


def exp(values: np.ndarray) -> np.ndarray:
    """Computes the exponential by the one polynomial that every kernel uses.

    ``e**x = 2**n * 2**f`` with ``n + f = x * log2(e)``, n whole and f in -0.5 .. 0.5.

    Args:
        values: float32.

    Returns:
        float32, relative error below 1e-5 where ``x * log2(e)`` is within -126 .. 126, and clipped to that elsewhere.
    """
    exponents = np.minimum(np.maximum(values * np.float32(np.log2(np.e)), np.float32(-126)), np.float32(126))
    whole = np.rint(exponents)
    part = exponents - whole
    power = np.full_like(part, EXP2_COEFFICIENTS[3])
    for coefficient in (*EXP2_COEFFICIENTS[2::-1], 1.0):
        power = power * part + np.float32(coefficient)
    result: np.ndarray = power * ((whole.astype(np.int32) + 127) << 23).view(np.float32)
    return result


IDENTITY = Activation()
"""No activation."""

_ZERO, _ONE, _THREE, _SIX = (np.float32(value) for value in (0, 1, 3, 6))
_FUNCTIONS: dict[Kind, Callable[[np.ndarray, np.float32, np.float32], np.ndarray]] = {
    Kind.NONE: lambda y, alpha, beta: y,
    Kind.RELU: lambda y, alpha, beta: np.maximum(y, _ZERO),
    Kind.RELU6: lambda y, alpha, beta: np.minimum(np.maximum(y, _ZERO), _SIX),
    Kind.LEAKY_RELU: lambda y, alpha, beta: np.where(y > _ZERO, y, y * alpha),
    Kind.SIGMOID: lambda y, alpha, beta: _ONE / (_ONE + exp(-y)),
    Kind.SILU: lambda y, alpha, beta: y / (_ONE + exp(-y)),
    Kind.HARD_SIGMOID: lambda y, alpha, beta: np.minimum(np.maximum(y * alpha + beta, _ZERO), _ONE),
    Kind.HARD_SWISH: lambda y, alpha, beta: y * np.minimum(np.maximum(y + _THREE, _ZERO), _SIX) * np.float32(1 / 6),
}
