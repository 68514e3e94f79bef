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

Two rules say what a neuron remembers of a message that it sent (``sent`` is the change at 2**16, the message is
``sent >> 6``, so its 6 low bits never arrive):

- ``lava``: the reference advances by ``sent``. The low bits are lost for good and a busy neuron drifts.
- ``carry``: the reference advances by what the receiver was told, ``(sent >> 6) << 6``. The low bits stay part of the
  difference and are sent later.
"""

from __future__ import annotations

SPIKE_EXP = 4
STATE_EXP = 6
UNIT_EXP = SPIKE_EXP + STATE_EXP
"""Shift from a bias or threshold (2**6) to a sigma or reference (2**16)."""

HEAD_EXP = 16
ACCUMULATOR_BITS = 24
MESSAGE_MIN, MESSAGE_MAX = -128, 127
"""What an encoder message may be, in encoder units (2**6): 8 signed bits."""

LAVA = "lava"
CARRY = "carry"
ARITHMETICS = (CARRY, LAVA)
