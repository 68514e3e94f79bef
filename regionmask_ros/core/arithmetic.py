"""Number formats and sending rules of the network, shared by the kernels and their reference implementation.

All numbers are two's complement integers; ``>>`` rounds toward minus infinity.

======================================  =====================
quantity                                real value = integer /
======================================  =====================
encoder input, weight, bias, threshold  2**6
message (a graded event)                2**10
sigma, activation, reference, head      2**16
======================================  =====================

Source: the fixed-point models of Lava (lava-nc 0.10: ``DeltaEncoder``, ``Conv``, ``SigmaDelta``, ``Sigma``) with
``spike_exp`` 4 and ``state_exp`` 6.

A rule says by how much a neuron's reference advances when the neuron sends, and when it sends. ``sent`` is the change
at 2**16; its message is ``sent >> 6``, so the 6 low bits do not arrive:

- ``lava``: the reference advances by ``sent``. The low bits are lost, and a neuron that fires often drifts.
- ``carry``: the reference advances by what arrives, ``(sent >> 6) << 6``. The low bits stay in the residual (activation
  minus reference) and are sent later.
- ``snap``: as ``carry``; a neuron whose activation is 0 also fires when ``2 * reference >= threshold``, and sends all
  of its reference. Inactive neurons then contribute little to the next layer, which allows larger thresholds in deep
  layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

SPIKE_EXP = 4
STATE_EXP = 6
UNIT_EXP = SPIKE_EXP + STATE_EXP
"""Shift from a bias or threshold (2**6) to a sigma or reference (2**16)."""

HEAD_EXP = 16
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


def head_values(head: np.ndarray) -> np.ndarray:
    """Returns the float64 values of a head's sigma (int32, any shape): its low 24 bits, signed, divided by 2**16."""
    return wrap(head.astype(np.int64), ACCUMULATOR_BITS) / float(1 << HEAD_EXP)
