"""Numba kernels. Each has a line in ``reference_network`` that computes the same integers.

Arrays are flat, in image order (y, x, channel). An event is a pair (index into that order, message). Sums wrap modulo
2**32; since the accumulator's 24 bits divide that, the wrapped 24-bit value is right whatever the size of the sum.
"""

from __future__ import annotations

import numpy as np

from ...core.arithmetic import ACCUMULATOR_BITS, STATE_EXP
from ...jit.cache import kernel

_HALF = np.int32(1 << (ACCUMULATOR_BITS - 1))
_LOW = np.int32((1 << ACCUMULATOR_BITS) - 1)


@kernel
def wrapped(total):
    """Two's complement wrap of an int32 sum to the accumulator's width."""
    return np.int32(((total + _HALF) & _LOW) - _HALF)


@kernel
def accumulate(index, message, events, in_width, in_channels, weight, size, stride, padding,
               out_height, out_width, channels, total, touched):
    """Synapses: adds every event, times its weights, to the outputs that it reaches.

    index, message: int32, the first ``events`` are valid, in image order.
    weight: int16 [size, size, in_channels, channels], flat. total: int32 [out_height * out_width * channels].
    touched: bool [out_height * out_width], set where an event arrives. Returns the number of synaptic operations.
    """
    synops = 0
    first = 0
    while first < events:
        position = index[first] // in_channels
        last = first + 1
        while last < events and index[last] // in_channels == position:
            last += 1
        y = position // in_width
        x = position - y * in_width
        for ky in range(size):
            top = y + padding - ky
            if top < 0 or top % stride != 0 or top // stride >= out_height:
                continue
            for kx in range(size):
                left = x + padding - kx
                if left < 0 or left % stride != 0 or left // stride >= out_width:
                    continue
                target = top // stride * out_width + left // stride
                touched[target] = True
                synops += (last - first) * channels
                add_events(index, message, first, last, position * in_channels,
                           weight, (ky * size + kx) * in_channels * channels, channels,
                           total[target * channels:(target + 1) * channels])
        first = last
    return synops


@kernel
def add_events(index, message, first, last, first_index, weight, tap, channels, target):
    """target[:] += sum over events of message * weight[channel, :]; four events share a pass over the target."""
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
def fire(total, touched, everywhere, channels, bias, threshold, release, carry, sigma, reference, sent, index, message):
    """Neurons: sigma, bias, ReLU, delta, threshold, for every position that was touched (or everywhere).

    total: int32 [n], consumed and left at zero. touched: bool [n / channels], left False.
    bias: int32 [channels], threshold, release: at 2**16, see ``arithmetic.Rule``. sigma, reference: int32 [n].
    sent: int32 [channels], scratch. index, message: int32 [n], filled from the front. Returns the number of events.

    A neuron that nothing reached cannot fire: after every step its reference is within the threshold.
    """
    events = 0
    for position in range(len(touched)):
        if not (touched[position] or everywhere):
            continue
        touched[position] = False
        base = position * channels
        for o in range(channels):
            n = base + o
            state = np.int32(sigma[n] + wrapped(total[n]))
            total[n] = 0
            sigma[n] = state
            active = max(np.int32(state + bias[o]), np.int32(0))
            delta = np.int32(active - reference[n])
            due = abs(delta) >= threshold or (active == 0 and reference[n] >= release)
            fired = delta if due else np.int32(0)
            told = np.int32(fired >> STATE_EXP)
            reference[n] += np.int32(told << STATE_EXP) if carry else fired
            sent[o] = told
        for o in range(channels):
            if sent[o] != 0:
                index[events] = base + o
                message[events] = sent[o]
                events += 1
    return events


@kernel
def integrate(total, touched, channels, sigma):
    """The head: sigma only. total and touched are consumed as in ``fire``."""
    for position in range(len(touched)):
        if not touched[position]:
            continue
        touched[position] = False
        for n in range(position * channels, (position + 1) * channels):
            sigma[n] += wrapped(total[n])
            total[n] = 0
