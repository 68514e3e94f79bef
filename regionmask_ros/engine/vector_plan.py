"""Which outputs of a layer have work: those whose window holds a spike.

Only they are computed. They come as two lists: outputs whose spikes are gathered one by one, and outputs whose whole
window is worked off because so much of it fired (see ``crossover``).
"""

from __future__ import annotations

import numpy as np

from .bits import lowest, window
from .kernel_cache import kernel

MOST_SIZE = 32
"""Of windows: their bits must fit what ``plan_map`` looks at in one go."""

COLUMN_BITS = 16
"""An output is one number: its line, and behind it so many bits of its column."""

_SPAN, _WORD = 64, 16


def outputs_at_a_time(size: int, stride: int) -> int:
    """Neighbouring outputs whose windows' bits fit 64, wherever in a word of 16 they begin."""
    return min(_WORD, (_SPAN - _WORD - size) // stride + 1)


@kernel
def plan_map(everywhere, fired, words, lines_before, size, stride, padding, together, rows, cols, place):
    """Outputs of the layer that reads a dense map. Returns how many.

    fired: see ``ChangeMap``, with ``lines_before`` empty lines. everywhere: all outputs have work. together: see
    ``outputs_at_a_time``. place: int32, filled with y << 16 | x.
    """
    n = 0
    every = np.uint64(0)
    for i in range(together):
        every |= np.uint64(1) << np.uint64(i * stride)
    for y in range(rows):
        line = (y * stride - padding + lines_before) * words
        for x in range(0, cols, together):
            first = x * stride - padding + _WORD
            bits = np.uint64(0)
            for ky in range(size):
                bits |= window(fired, line + ky * words + first // _WORD)
            bits >>= np.uint64(first % _WORD)
            due = np.uint64(0)
            if bits != 0:
                for kx in range(size):
                    due |= bits >> np.uint64(kx)
            if everywhere:
                due = every
            due &= every
            while due != 0:
                beyond = lowest(due) // stride
                due &= due - np.uint64(1)
                if x + beyond < cols:
                    place[n] = y << COLUMN_BITS | x + beyond
                    n += 1
    return n


@kernel
def plan_lists(everywhere, count, pitch, size, stride, rows, cols, crossover, column, sparse, dense):
    """Outputs of a layer that reads lists: ``sparse`` and, from ``crossover`` entries in a window on, ``dense``.

    count: int32, entries of each pixel's list, framed, lines ``pitch`` apart. column: int32 [pitch], scratch. sparse,
    dense: int32, filled with y << 16 | x. Returns how many of each, and the
    entries in the windows of ``dense``.
    """
    few = 0
    many = 0
    entries = 0
    for y in range(rows):
        line = y * stride * pitch
        some = 0
        for x in range(pitch):
            column[x] = count[line + x]
        for ky in range(1, size):
            row = count[line + ky * pitch:]
            for x in range(pitch):
                column[x] += row[x]
        for x in range(pitch):
            some += column[x]
        if some == 0 and not everywhere:
            continue
        for x in range(cols):
            here = 0
            for kx in range(size):
                here += column[x * stride + kx]
            if here >= crossover:
                dense[many] = y << COLUMN_BITS | x
                many += 1
                entries += here
            elif here != 0 or everywhere:
                sparse[few] = y << COLUMN_BITS | x
                few += 1
    return few, many, entries
