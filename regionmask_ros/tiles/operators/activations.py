"""Activation functions, element by element."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


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


IDENTITY = Activation()
"""No activation."""
