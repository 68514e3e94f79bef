"""Number formats and sending rules of the network, shared by the kernels and their reference implementation.

All numbers are two's complement integers; ``>>`` rounds toward minus infinity.

======================================  =====================
quantity                                real value = integer /
======================================  =====================
encoder input, bias, threshold          2**6
weight                                  2**e
message (a graded event)                2**10
sigma, activation, reference, head      2**(10 + e)
======================================  =====================

The exponent e belongs to a layer; it is 6 in YOLO-KP.

Source: the fixed-point models of Lava (lava-nc 0.10: ``DeltaEncoder``, ``Conv``, ``SigmaDelta``, ``Sigma``) with
``spike_exp`` 4 and, of each layer, ``state_exp`` e.

A rule says by how much a neuron's reference advances when the neuron sends, and when it sends. ``sent`` is the change
at 2**(10 + e); its message is ``sent >> e``, so the e low bits do not arrive:

- ``lava``: the reference advances by ``sent``. The low bits are lost, and a neuron that fires often drifts.
- ``carry``: the reference advances by what arrives, ``(sent >> e) << e``. The low bits stay in the residual (activation
  minus reference) and are sent later.
- ``snap``: as ``carry``; a neuron whose activation is 0 also fires when ``2 * reference >= threshold``, and sends all
  of its reference. Inactive neurons then contribute little to the next layer, which allows larger thresholds in deep
  layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

UNIT = 64
"""Of encoder inputs, biases and thresholds: their real value is integer / UNIT."""

SPIKE_EXP = 4
USUAL_EXP = 6
"""Exponent of the layers of YOLO-KP, and of all networks that do not say otherwise."""

LARGEST_EXP = 9
"""Largest exponent of a layer: the accumulator's 24 bits then hold sums from -16 to 16."""

MESSAGE_EXP = 10
HEAD_EXP = MESSAGE_EXP + USUAL_EXP
ACCUMULATOR_BITS = 24
MESSAGE_MIN, MESSAGE_MAX = -128, 127
"""Range of an encoder message in encoder units (2**6): 8 signed bits."""

NEVER = (1 << 31) - 1
"""The largest int32, for a reference that no neuron reaches."""


@dataclass(frozen=True)
class Rule:
    """When a neuron sends, and by how much its reference then advances.

    Attributes:
        carry: The reference advances by what arrives, not by what was sent.
        snap: Inactive neurons send what is left of their reference.
    """

    carry: bool
    snap: bool

    @property
    def flags(self) -> tuple[int, int]:
        """``(carry, snap)`` as the integers that kernels are compiled for."""
        return int(self.carry), int(self.snap)

    def release(self, threshold: int) -> int:
        """Returns the smallest reference that an inactive neuron sends: ``2 * reference >= threshold``."""
        return (threshold + 1) // 2 if self.snap else NEVER


RULES: Mapping[str, Rule] = {
    "carry": Rule(carry=True, snap=False),
    "lava": Rule(carry=False, snap=False),
    "snap": Rule(carry=True, snap=True),
}
CARRY = "carry"


def wrap(value: np.ndarray, bits: int) -> np.ndarray:
    """Returns int64 values wrapped to ``bits`` bits of two's complement."""
    half = 1 << (bits - 1)
    return ((value + half) & ((1 << bits) - 1)) - half


def unit_exp(exponent: int) -> int:
    """The shift from a bias or threshold (2**6) to a sigma or reference (2**(10 + e)) of a layer with this exponent."""
    return SPIKE_EXP + exponent


def head_values(head: np.ndarray, exponent: int = USUAL_EXP) -> np.ndarray:
    """Computes the values of a head's sigma.

    Args:
        head: int32, any shape.
        exponent: Of the head's weights.

    Returns:
        float64: the low 24 bits, signed, divided by 2**(10 + exponent).
    """
    return wrap(head.astype(np.int64), ACCUMULATOR_BITS) / float(1 << (MESSAGE_EXP + exponent))
