"""Which outputs of a layer have work: those whose window holds a spike.

Only they are computed. They come as two lists: outputs whose spikes are gathered one by one, and outputs whose whole
window is worked off because so much of it fired (see ``crossover``).

The layer kernel over lists of spikes, one list a pixel, for processors with vectors of 4, 8 or 16 x int32.

A pixel's list holds words, which are two neighbouring channels (four where bytes are multiplied, see ``vector_dot``),
of those in which a channel fired: ``index`` is the word's number, ``pair`` its messages (int16, the first channel
lowest). ``count`` is the list's length. Pixels lie in a frame of empty ones, so that no window of the next layer
leaves it.

Output by output, a kernel adds up what its window's spikes mean (the twin's ``correlate``) and lets its neurons fire
(the rest of the twin's ``step``), with the sums in a small scratch in between. Outputs whose window is full of spikes
are taken some at a time from a map of the same words (``word``), each in its place, 0 where nothing fired: then every
weight is loaded once for all of them.

Channels are padded to whole vectors; padded ones have no weights and never fire. A message that a word cannot hold,
which no trained network has shown, sends its nearest value through the list; the rest is kept aside (``wide``) and
added by the portable kernel (``extra``).
"""

from __future__ import annotations

from functools import cache

import numpy as np

from ...jit.cache import kernel
from ...jit.simd import WIDTHS, lowest, window
from ..generic.kernels import wrapped
from ..overflow import add_overflow_sums, store_overflow
from .dot import dot, dot_dense
from .neurons import clear_words, fire

MAX_SIZE = 32
"""Of windows: their bits must fit what ``plan_map`` looks at in one go."""

COLUMN_BITS = 16
"""An output is one number: its line, and behind it so many bits of its column."""

_SPAN, _WORD = 64, 16


def outputs_per_step(size: int, stride: int) -> int:
    """Neighbouring outputs whose windows' bits fit 64, wherever in a word of 16 they begin."""
    return min(_WORD, (_SPAN - _WORD - size) // stride + 1)


@kernel
def plan_map(everywhere, fired, words, lines_before, size, stride, padding, together, rows, cols, place):
    """Outputs of the layer that reads a dense map. Returns how many.

    fired: see ``ChangeMap``, with ``lines_before`` empty lines. everywhere: all outputs have work. together: see
    ``outputs_per_step``. place: int32, filled with y << 16 | x.
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


_COLUMNS = (1 << COLUMN_BITS) - 1

_COUNT_MASK, _EVENTS_SHIFT, _WIDE_SHIFT = 0xFFFF, 16, 32


@kernel
def spread(count, index, pair, pixels, slots, word):
    """All pixels' lists as a map: word, int32 [pixels, slots], all 0 before."""
    for pixel in range(pixels):
        first = pixel * slots
        for j in range(first, first + count[pixel]):
            word[first + index[j]] = pair[j]


@cache
def silence_kernel(lanes):
    """The kernel that takes all pixels' spikes out of a map."""
    words = lanes // WIDTHS[lanes].channels

    @kernel
    def silence(count, pixels, slots, word):
        for pixel in range(pixels):
            if count[pixel] != 0:
                for at in range(pixel * slots, (pixel + 1) * slots, words):
                    clear_words(word, at, lanes)

    return silence


@kernel
def add_to_head(total, first_total, sigma, first, channels):
    """The head's neurons of one pixel: they only integrate."""
    for o in range(channels):
        sigma[first + o] += wrapped(total[first_total + o])


@kernel
def window_taps(begin, pitch, size, count, pixel, tap):
    """Pixels of a window that have spikes, and their places in it, from its first pixel on. Returns how many."""
    taps = 0
    for ky in range(size):
        start = begin + ky * pitch
        for kx in range(size):
            if count[start + kx]:
                pixel[taps] = start + kx
                tap[taps] = ky * size + kx
                taps += 1
    return taps


@cache
def simd_layer_kernel(lanes, vectors, columns, pixels, carry, snap):
    """The kernel of a layer, for ``vectors`` vectors of ``lanes`` channels at a time, under a rule; dense outputs
    ``pixels`` at a time and ``columns`` of the vectors.

    listed: whether outputs go to lists, else to a map. place: int32, y << 16 | x of outputs with work (see
    ``vector_plan``), of which the first ``dense`` are worked off from in_word. groups: so many times ``vectors`` make
    all channels; channels: without the padding. weight: see ``vector_packing.PackedConvolution``; tap_rows: its rows
    for a tap. in_pitch: pixels; in_before: lines and pixels of frame that are not padding. bias, threshold, release,
    sigma, reference: at 2**16, channels padded. extra: int32 [rows * cols * channels] when use_extra. reach_y,
    reach_x: int32, lines and columns of the next layer's outputs that a pixel reaches. begin: int64 [pixels], pixel,
    tap: int32 [size * size] and total: int32, scratch.

    Returns (events, events times the next layer's outputs that each reaches, messages beyond 16 bits).
    """
    together, top = WIDTHS[lanes].channels, np.int32(WIDTHS[lanes].top)

    @kernel
    def layer(listed, place, dense, due, groups, head, weight, tap_rows, size, stride, in_before, in_pitch,
              in_count, in_index, in_pair, in_word, cols, channels, use_extra, extra, bias, threshold, release,
              sigma, reference, reach_y, reach_x, out_padding, out_pitch, out_slots, out_count, out_index, out_pair,
              out_word,
              overflow_index, overflow_rest, begin, pixel, tap, total):
        group = vectors * lanes
        window_values = size * size * tap_rows * group * together
        fired = 0
        reached = 0
        wide = 0
        done = 0
        taps = 0
        while done < due:
            here = min(pixels, dense - done) if done < dense else 1
            for p in range(here):
                y = np.int64(place[done + p]) >> COLUMN_BITS
                x = np.int64(place[done + p]) & _COLUMNS
                begin[p] = (y * stride + in_before) * in_pitch + x * stride + in_before
            if done >= dense:
                taps = window_taps(begin[0], in_pitch, size, in_count, pixel, tap)
            else:
                for p in range(pixels):
                    # Too few for a whole turn: the last one is worked off again for nothing.
                    begin[p] = begin[p] * tap_rows if p < here else begin[here - 1]
            for g in range(groups):
                if done >= dense:
                    dot(weight, g * window_values, tap_rows, taps, pixel, tap, in_count, tap_rows, in_index, in_pair,
                        total, vectors, lanes)
                else:
                    for v in range(0, vectors, columns):
                        dot_dense(
                            weight, g * window_values + v * lanes * together, in_word, begin, in_pitch * tap_rows,
                            size * tap_rows, size, total, v * lanes, columns, vectors, pixels, lanes)
                for p in range(here):
                    y = np.int64(place[done + p]) >> COLUMN_BITS
                    x = np.int64(place[done + p]) & _COLUMNS
                    at = y * cols + x
                    first = (at * groups + g) * group
                    real = at * channels + g * group
                    used = min(group, channels - g * group)
                    if use_extra:
                        add_overflow_sums(total, p * group, group, group, extra, real, used)
                    if head:
                        add_to_head(total, p * group, sigma, first, group)
                        continue
                    target = (y + out_padding) * out_pitch + out_padding + x
                    answer = fire(
                        total, p * group, bias, g * group, threshold, release, sigma, reference, first,
                        out_index, out_pair, out_word, target * out_slots, out_count[target], listed, vectors, lanes,
                        carry, snap)
                    out_count[target] = answer & _COUNT_MASK
                    events = (answer >> _EVENTS_SHIFT) & _COUNT_MASK
                    fired += events
                    reached += events * reach_y[y] * reach_x[x]
                    if answer >> _WIDE_SHIFT:
                        wide = store_overflow(total, p * group, group, group, used, real, top, wide, overflow_index, overflow_rest)
            done += here
        return fired, reached, wide

    return layer
