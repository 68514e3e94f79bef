"""Kernels for any processor. Each computes the integers of a line of ``reference.ReferenceLayer.step``.

Arrays are flat, in image order (y, x, channel). An event is a pair (index into that order, message). Sums wrap modulo
2**32. The accumulator's 24 bits divide that, so the wrapped 24-bit value is right whatever the size of the sum.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...core.arithmetic import ACCUMULATOR_BITS, STATE_EXP
from ...jit.cache import kernel

_HALF = np.int32(1 << (ACCUMULATOR_BITS - 1))
_LOW = np.int32((1 << ACCUMULATOR_BITS) - 1)


@kernel
def wrapped(total: Any) -> Any:
    """Returns an int32 sum, wrapped to the accumulator's 24 bits: ``(total + 2**23) mod 2**24 - 2**23``."""
    return np.int32(((total + _HALF) & _LOW) - _HALF)


@kernel
def accumulate(events: tuple[np.ndarray, np.ndarray, int], source: tuple[int, int], weight: np.ndarray,
               window: tuple[int, int, int], output: tuple[int, int, int], total: np.ndarray,
               touched: np.ndarray) -> int:
    """Adds every event, times its weights, to the sums of the outputs that it reaches.

    ``total[y, x, o] += message * weight[ky, kx, i, o]`` for all ky, kx whose output (y, x) exists.

    Args:
        events: (index, message, count): int32, in image order, of which ``count`` are valid.
        source: (columns, channels) of the input.
        weight: int16 [size, size, in_channels, out_channels], flat.
        window: (size, stride, padding), pixels.
        output: (rows, columns, channels).
        total: int32 [rows * columns * channels], sums.
        touched: bool [rows * columns], set where an event arrives.

    Returns:
        Number of synaptic operations.
    """
    index, message, count = events
    in_cols, in_channels = source
    size, stride, padding = window
    rows, cols, channels = output
    synops = 0
    first = 0
    while first < count:
        position = index[first] // in_channels
        last = first + 1
        while last < count and index[last] // in_channels == position:
            last += 1
        y = position // in_cols
        x = position - y * in_cols
        for ky in range(size):
            top = y + padding - ky
            if top < 0 or top % stride != 0 or top // stride >= rows:
                continue
            for kx in range(size):
                left = x + padding - kx
                if left < 0 or left % stride != 0 or left // stride >= cols:
                    continue
                target = top // stride * cols + left // stride
                touched[target] = True
                synops += (last - first) * channels
                add_events(index, message, first, last, position * in_channels,
                           weight, (ky * size + kx) * in_channels * channels, channels,
                           total[target * channels:(target + 1) * channels])
        first = last
    return synops


@kernel
def add_events(index: np.ndarray, message: np.ndarray, first: int, last: int, first_index: int, weight: np.ndarray,
               tap: int, channels: int, target: np.ndarray) -> None:
    """Adds the events of one pixel to one output: ``target[o] += sum of message * weight[channel, o]``.

    Four events share a pass over the target. ``tap`` is the first weight of the window's tap.
    """
    event = first
    while event + 4 <= last:
        m0 = message[event]
        m1 = message[event + 1]
        m2 = message[event + 2]
        m3 = message[event + 3]
        w0 = weight[tap + (index[event] - first_index) * channels:]
        w1 = weight[tap + (index[event + 1] - first_index) * channels:]
        w2 = weight[tap + (index[event + 2] - first_index) * channels:]
        w3 = weight[tap + (index[event + 3] - first_index) * channels:]
        for o in range(channels):
            target[o] += m0 * w0[o] + m1 * w1[o] + m2 * w2[o] + m3 * w3[o]
        event += 4
    while event < last:
        m = message[event]
        w = weight[tap + (index[event] - first_index) * channels:]
        for o in range(channels):
            target[o] += m * w[o]
        event += 1


@kernel
def fire(total: np.ndarray, touched: np.ndarray, everywhere: bool, bias: np.ndarray, rule: tuple[int, int, bool],
         state: tuple[np.ndarray, np.ndarray], sent: np.ndarray, index: np.ndarray, message: np.ndarray) -> int:
    """Updates the neurons of every pixel that an event has reached, and lists their events.

    ``sigma += wrapped(total)``, ``delta = max(sigma + bias, 0) - reference``; a neuron fires when
    ``|delta| >= threshold`` and sends ``delta >> 6``. Source: Lava's ``SigmaDelta``; rules: ``core.arithmetic``.
    A neuron that nothing has reached cannot fire: after every step its residual is below the threshold.

    Args:
        total: int32 [pixels * channels], sums; 0 afterwards.
        touched: bool [pixels]; False afterwards.
        everywhere: Updates all neurons.
        bias: int32 [channels] at 2**16.
        rule: (threshold, release, carry), the first two at 2**16, see ``core.arithmetic.Rule``.
        state: (sigma, reference), int32 [pixels * channels].
        sent: int32 [channels], scratch.
        index: int32 [pixels * channels], filled from the front.
        message: int32 [pixels * channels], filled from the front, at 2**10.

    Returns:
        Number of events.
    """
    threshold, release, carry = rule
    sigma, reference = state
    channels = len(bias)
    events = 0
    for position in range(len(touched)):
        if not (touched[position] or everywhere):
            continue
        touched[position] = False
        base = position * channels
        for o in range(channels):
            n = base + o
            sigma_now = np.int32(sigma[n] + wrapped(total[n]))
            total[n] = 0
            sigma[n] = sigma_now
            active = max(np.int32(sigma_now + bias[o]), np.int32(0))
            delta = np.int32(active - reference[n])
            fires = abs(delta) >= threshold or (active == 0 and reference[n] >= release)
            change = delta if fires else np.int32(0)
            acknowledged = np.int32(change >> STATE_EXP)
            reference[n] += np.int32(acknowledged << STATE_EXP) if carry else change
            sent[o] = acknowledged
        for o in range(channels):
            if sent[o] != 0:
                index[events] = base + o
                message[events] = sent[o]
                events += 1
    return events


@kernel
def integrate(total: np.ndarray, touched: np.ndarray, channels: int, sigma: np.ndarray) -> None:
    """Updates a head, which has sigma only: ``sigma += wrapped(total)``. Clears total and touched as ``fire`` does."""
    for position in range(len(touched)):
        if not touched[position]:
            continue
        touched[position] = False
        for n in range(position * channels, (position + 1) * channels):
            sigma[n] += wrapped(total[n])
            total[n] = 0
