"""The layer kernel for processors with vectors of 4, 8 or 16 x int32, and the kernels that find its work.

Events lie in lists, one for each pixel. A list holds words: messages of two neighboring channels (four where bytes
are multiplied, see ``dot``), of which at least one fired. ``index`` is the word's number in its pixel, ``pair`` its
messages (int16, the first channel lowest), ``count`` the list's length. Pixels lie in a frame of empty ones, so that no
window of the next layer leaves it.

Only outputs whose window holds an event are computed. For each, the kernel adds up its window
(``reference.correlate``) and updates its neurons (the rest of ``ReferenceLayer.step``), with the sums in a small
scratch in between. Outputs whose window is full of events are computed several at a time from a map of the same words,
each in its place and 0 where nothing fired: then every weight is loaded once for all of them (see ``crossover``).

Channels are padded to whole vectors; padded ones have no weights and never fire. A message that a word cannot hold is
split, see ``overflow``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from ...core.events import WORD
from ...jit.cache import kernel
from ...jit.simd import WIDTHS, load_bits, lowest_bit
from ..generic import add_overflow_sums, store_overflow, wrapped
from .dot import dot, dot_dense
from .neurons import clear_words, fire

COLUMN_BITS = 16
"""The position of an output is one int32: its row, and this many bits of its column."""

_BITS = 64
_COLUMNS = (1 << COLUMN_BITS) - 1
_COUNT_MASK, _EVENTS_SHIFT, _OVERFLOW_SHIFT = 0xFFFF, 16, 32


def outputs_per_step(size: int, stride: int) -> int:
    """Returns how many neighboring outputs have windows within 64 bits, wherever in a word of 16 they begin."""
    return min(WORD, (_BITS - WORD - size) // stride + 1)


@kernel
def plan_map(everywhere: bool, fired: np.ndarray, words: int, lines_before: int, window: tuple[int, int, int],
             together: int, rows: int, cols: int, place: np.ndarray) -> int:
    """Finds the outputs of a layer that reads a dense map and whose window holds an event.

    Args:
        everywhere: Takes all outputs.
        fired: uint16, flat, see ``core.events.ChangeMap``.
        words: Words of a line of ``fired``.
        lines_before: Empty lines before the first one.
        window: (size, stride, padding), pixels.
        together: See ``outputs_per_step``.
        rows: Rows of the output.
        cols: Columns of the output.
        place: int32, filled with ``row << 16 | column``.

    Returns:
        Number of outputs.
    """
    size, stride, padding = window
    n = 0
    every = np.uint64(0)
    for i in range(together):
        every |= np.uint64(1) << np.uint64(i * stride)
    for y in range(rows):
        line = (y * stride - padding + lines_before) * words
        for x in range(0, cols, together):
            first = x * stride - padding + WORD
            bits = np.uint64(0)
            for ky in range(size):
                bits |= load_bits(fired, line + ky * words + first // WORD)
            bits >>= np.uint64(first % WORD)
            outputs = np.uint64(0)
            if bits != 0:
                for kx in range(size):
                    outputs |= bits >> np.uint64(kx)
            if everywhere:
                outputs = every
            outputs &= every
            while outputs != 0:
                beyond = lowest_bit(outputs) // stride
                outputs &= outputs - np.uint64(1)
                if x + beyond < cols:
                    place[n] = y << COLUMN_BITS | x + beyond
                    n += 1
    return n


@kernel
def plan_lists(everywhere: bool, count: np.ndarray, pitch: int, window: tuple[int, int], output: tuple[int, int],
               crossover: int, column: np.ndarray, sparse: np.ndarray, dense: np.ndarray) -> tuple[int, int, int]:
    """Finds the outputs of a layer that reads lists and whose window holds an event.

    Args:
        everywhere: Takes all outputs.
        count: int32 [pixels], lengths of the lists, with frame.
        pitch: Pixels of a line.
        window: (size, stride), pixels.
        output: (rows, columns).
        crossover: List entries in a window from which on an output is dense.
        column: int32 [pitch], scratch.
        sparse: int32, filled with ``row << 16 | column`` of the other outputs.
        dense: int32, filled with those of dense ones.

    Returns:
        Number of sparse outputs, of dense ones, and of list entries in the windows of dense ones.
    """
    size, stride = window
    rows, cols = output
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


@kernel
def write_map(count: np.ndarray, index: np.ndarray, pair: np.ndarray, pixels: int, slots: int,
              word: np.ndarray) -> None:
    """Writes the lists of all pixels into a map: ``word``, [pixels, slots], flat, all 0 before."""
    for pixel in range(pixels):
        first = pixel * slots
        for j in range(first, first + count[pixel]):
            word[first + index[j]] = pair[j]


@cache
def clear_map_kernel(lanes: int) -> Callable[..., None]:
    """Returns the kernel that clears the pixels of a map that have events: ``clear(count, pixels, slots, word)``."""
    words = lanes // WIDTHS[lanes].channels

    @kernel
    def clear(count: np.ndarray, pixels: int, slots: int, word: np.ndarray) -> None:
        for pixel in range(pixels):
            if count[pixel] != 0:
                for at in range(pixel * slots, (pixel + 1) * slots, words):
                    clear_words(word, at, lanes)

    return clear


@kernel
def add_to_head(total: np.ndarray, first_total: int, sigma: np.ndarray, first: int, channels: int) -> None:
    """Updates the neurons of one pixel of a head, which only integrate: ``sigma += wrapped(total)``."""
    for o in range(channels):
        sigma[first + o] += wrapped(total[first_total + o])


@kernel
def window_taps(begin: int, pitch: int, size: int, count: np.ndarray, pixel: np.ndarray, tap: np.ndarray) -> int:
    """Lists the pixels of a window that have events, and their places in it; returns their number."""
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
def simd_layer_kernel(  # noqa: C901  see ``layer``
        lanes: int, vectors: int, columns: int, pixels: int, carry: int, snap: int,
) -> Callable[..., tuple[int, int, int]]:
    """Makes the kernel of a layer.

    Args:
        lanes: int32 values of a vector.
        vectors: Vectors of channels that are computed at a time; a group.
        columns: Vectors of a group that are computed at a time for dense outputs.
        pixels: Dense outputs that are computed at a time.
        carry: See ``core.arithmetic.Rule``.
        snap: Likewise.

    Returns:
        The kernel ``layer``.
    """
    together, top = WIDTHS[lanes].channels, np.int32(WIDTHS[lanes].top)

    @kernel
    def layer(outputs: tuple[np.ndarray, int, int], weights: tuple[Any, ...], source: tuple[Any, ...],
              target: tuple[Any, ...], neurons: tuple[Any, ...], shape: tuple[int, int, bool],
              reach: tuple[np.ndarray, np.ndarray], overflow_sums: np.ndarray, has_overflow: bool,
              overflow: tuple[np.ndarray, np.ndarray], work: tuple[Any, ...]) -> tuple[int, int, int]:
        """Computes one step of a layer.

        It is one function because calls between its parts would cost more than the work on one pixel.

        Args:
            outputs: (place, dense, count): ``row << 16 | column`` of the outputs to compute, int32; the first ``dense``
                of the ``count`` are computed from the map.
            weights: ``packing.Weights``.
            source: ``packing.Source``.
            target: ``packing.Target``.
            neurons: ``packing.NeuronState``.
            shape: (columns, channels, is_head) of the output, without padding.
            reach: int32 [rows], [columns]: rows and columns of the next layer's outputs that a pixel reaches.
            overflow_sums: int32 [rows * columns * channels], see ``overflow``; read only when ``has_overflow``.
            has_overflow: Whether the source lacks parts of messages.
            overflow: (index, rest), int32: gets what the target lacks.
            work: ``packing.Work``.

        Returns:
            Events; outputs of the next layer that they reach, each event counted; entries of ``overflow``.
        """
        place, dense, count = outputs
        _, groups, tap_rows, size, stride = weights
        lead, in_pitch, in_count, _, _, _ = source
        _, out_padding, out_pitch, out_slots, out_count, _, _, _ = target
        _, _, _, _, sigma, _ = neurons
        cols, channels, is_head = shape
        reach_y, reach_x = reach
        begin, pixel, tap, total = work
        group = vectors * lanes
        window_values = size * size * tap_rows * group * together
        fired = 0
        reached = 0
        overflows = 0
        done = 0
        taps = 0
        while done < count:
            here = min(pixels, dense - done) if done < dense else 1
            for p in range(here):
                y = np.int64(place[done + p]) >> COLUMN_BITS
                x = np.int64(place[done + p]) & _COLUMNS
                begin[p] = (y * stride + lead) * in_pitch + x * stride + lead
            if done >= dense:
                taps = window_taps(begin[0], in_pitch, size, in_count, pixel, tap)
            else:
                for p in range(pixels):
                    # Too few outputs are left: the last one is computed again, and its sums are not used.
                    begin[p] = begin[p] * tap_rows if p < here else begin[here - 1]
            for g in range(groups):
                if done >= dense:
                    dot(weights, g * window_values, taps, source, work, vectors, lanes)
                else:
                    for v in range(0, vectors, columns):
                        dot_dense(weights, (g * window_values + v * lanes * together, v * lanes), source, work,
                                  columns, vectors, pixels, lanes)
                for p in range(here):
                    y = np.int64(place[done + p]) >> COLUMN_BITS
                    x = np.int64(place[done + p]) & _COLUMNS
                    at = y * cols + x
                    first = (at * groups + g) * group
                    real = at * channels + g * group
                    used = min(group, channels - g * group)
                    if has_overflow:
                        add_overflow_sums(total, (p * group, group, group), overflow_sums, real, used)
                    if is_head:
                        add_to_head(total, p * group, sigma, first, group)
                        continue
                    to = (y + out_padding) * out_pitch + out_padding + x
                    answer = fire(total, neurons, target, (p * group, g * group, first, to * out_slots), out_count[to],
                                  vectors, lanes, carry, snap)
                    out_count[to] = answer & _COUNT_MASK
                    events = (answer >> _EVENTS_SHIFT) & _COUNT_MASK
                    fired += events
                    reached += events * reach_y[y] * reach_x[x]
                    if answer >> _OVERFLOW_SHIFT:
                        overflows = store_overflow(total, (p * group, group, group), used, real, top, overflows,
                                                   overflow)
            done += here
        return fired, reached, overflows

    return layer
