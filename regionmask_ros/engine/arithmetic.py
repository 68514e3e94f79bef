"""The fixed-point rules of the network, stated once for the kernels and their twin.

All numbers are two's complement integers; ``>>`` rounds towards minus infinity.

======================================  =====================
quantity                                real value = integer /
======================================  =====================
encoder input, weight, bias, threshold  2**6
message (a graded spike)                2**10
sigma, activation, reference, head      2**16
======================================  =====================

These are the formats of Lava's fixed-point models (lava-nc 0.10: ``DeltaEncoder``, ``Conv``, ``SigmaDelta``, ``Sigma``)
with ``spike_exp`` 4 and ``state_exp`` 6.

Three rules say what a neuron remembers of a message that it sent (``sent`` is the change at 2**16, the message is
``sent >> 6``, so its 6 low bits never arrive), and when it sends one:

- ``lava``: the reference advances by ``sent``. The low bits are lost for good and a busy neuron drifts.
- ``carry``: the reference advances by what the receiver was told, ``(sent >> 6) << 6``. The low bits stay part of the
  difference and are sent later.
- ``snap``: as ``carry``, and a neuron also sends when its activation is 0 and half the threshold is still claimed:
  ``act == 0 and 2 * ref >= threshold``. It then sends all of its reference, so that a silent neuron claims little. This
  lets the thresholds of deep layers grow.
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
"""What an encoder message may be, in encoder units (2**6): 8 signed bits."""

NEVER = (1 << 31) - 1
"""A reference that no neuron reaches: the largest int32."""


@dataclass(frozen=True)
class Rule:
    """carry: references advance by what the receiver was told. snap: silent neurons take back what they still claim."""

    carry: bool
    snap: bool

    @property
    def flags(self) -> tuple[int, int]:
        """(carry, snap) as the numbers that kernels are compiled for."""
        return int(self.carry), int(self.snap)

    def release(self, threshold: int) -> int:
        """The reference from which a silent neuron takes it back: ``2 * ref >= threshold``."""
        return (threshold + 1) // 2 if self.snap else NEVER


RULES: Mapping[str, Rule] = {
    "carry": Rule(carry=True, snap=False),
    "lava": Rule(carry=False, snap=False),
    "snap": Rule(carry=True, snap=True),
}
CARRY = "carry"
ARITHMETICS = tuple(RULES)


def wrap(value: np.ndarray, bits: int) -> np.ndarray:
    """Two's complement wrap of int64 values to that many bits."""
    half = 1 << (bits - 1)
    return ((value + half) & ((1 << bits) - 1)) - half


def head_values(head: np.ndarray) -> np.ndarray:
    """float64 values of a head's sigma (int32, any shape): its low 24 bits as a signed number, at 2**16."""
    return wrap(head.astype(np.int64), ACCUMULATOR_BITS) / float(1 << HEAD_EXP)
