"""Activation functions, element by element."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import numpy as np

from ..exponential import exponential


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


IDENTITY = Activation()
"""No activation."""

_ZERO, _ONE, _THREE, _SIX = (np.float32(value) for value in (0, 1, 3, 6))
_FUNCTIONS: dict[Kind, Callable[[np.ndarray, np.float32, np.float32], np.ndarray]] = {
    Kind.NONE: lambda y, alpha, beta: y,
    Kind.RELU: lambda y, alpha, beta: np.maximum(y, _ZERO),
    Kind.RELU6: lambda y, alpha, beta: np.minimum(np.maximum(y, _ZERO), _SIX),
    Kind.LEAKY_RELU: lambda y, alpha, beta: np.where(y > _ZERO, y, y * alpha),
    Kind.SIGMOID: lambda y, alpha, beta: _ONE / (_ONE + exponential(-y)),
    Kind.SILU: lambda y, alpha, beta: y / (_ONE + exponential(-y)),
    Kind.HARD_SIGMOID: lambda y, alpha, beta: np.minimum(np.maximum(y * alpha + beta, _ZERO), _ONE),
    Kind.HARD_SWISH: lambda y, alpha, beta: y * np.minimum(np.maximum(y + _THREE, _ZERO), _SIX) * np.float32(1 / 6),
}
