"""Finds which activation a chain of operations is, whatever the operations: by its values at many places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...tiles.operators.activations import IDENTITY, Activation, Kind
from ...tiles.tail_operators import compute
from .values import Call

UNARY = frozenset(("Relu", "LeakyRelu", "Sigmoid", "HardSigmoid", "HardSwish", "Swish", "Clip", "Neg", "Exp",
                   "Reciprocal", "Tanh", "Softplus", "Abs", "Sqrt"))
BINARY = frozenset(("Add", "Sub", "Mul", "Div", "Min", "Max", "Pow", "Sum"))
BASE = "x"
MAX_CALLS = 16
_PLACES = np.concatenate([[0.0, 1.0, -1.0, 0.01], np.linspace(-12, 12, 241), [-1e5, -1e3, -40, -20, 20, 40, 1e3, 1e5]])
_TOLERANCE = 1e-5


def make_call(operator: str, operands: Sequence[Any], attributes: dict[str, Any]) -> Call:
    """Makes a call; its size is counted."""
    size = 1 + sum(operand.size for operand in operands if isinstance(operand, Call))
    return Call(operator, tuple(operands), attributes, size)


def recognize(call: Call, channels: int) -> tuple[Activation, np.ndarray, np.ndarray] | None:
    """Finds the activation that a function is.

    Args:
        call: The function.
        channels: Of its tensor.

    Returns:
        The activation, and factor and addend [channels] before it; None if it is none that the engine has.
    """
    try:
        values = np.asarray(_evaluate(call, _PLACES.reshape(1, 1, -1, 1)), np.float64)
        values = np.broadcast_to(values, (1, channels, len(_PLACES), 1))[0, :, :, 0]
    except ValueError:
        return None
    if not np.isfinite(values).all():
        return None
    addend = values[:, 0]
    factor = values[:, 1] - addend
    if _is_close(values, factor[:, None] * _PLACES + addend[:, None]):
        return IDENTITY, factor.astype(np.float32), addend.astype(np.float32)
    same = values[0]
    if not _is_close(values, same):
        return None
    ones, zeros = np.ones(channels, np.float32), np.zeros(channels, np.float32)
    for activation in _candidates(same):
        if _is_close(same, activation.evaluate(_PLACES.astype(np.float32))):
            return activation, ones, zeros
    return None


def _candidates(values: np.ndarray) -> list[Activation]:
    """All activations, with the numbers that fit."""
    at_zero, at_minus_one, near_zero = values[0], values[2], values[3]
    return [*(Activation(kind) for kind in (Kind.RELU, Kind.RELU6, Kind.SIGMOID, Kind.SILU, Kind.HARD_SWISH)),
            Activation(Kind.LEAKY_RELU, alpha=float(np.float32(-at_minus_one))),
            Activation(Kind.HARD_SIGMOID, alpha=round(float(near_zero - at_zero) * 100, 7),
                       beta=round(float(at_zero), 7))]


def _is_close(first: np.ndarray, second: np.ndarray) -> bool:
    return bool((np.abs(first - second) <= _TOLERANCE * (1e-3 + np.maximum(np.abs(first), np.abs(second)))).all())


def _evaluate(operand: Any, base: np.ndarray) -> np.ndarray:
    if isinstance(operand, Call):
        inputs = [_evaluate(one, base) for one in operand.operands]
        return compute(operand.operator, inputs, operand.attributes)[0]
    return base if isinstance(operand, str) else np.asarray(operand, np.float64)
