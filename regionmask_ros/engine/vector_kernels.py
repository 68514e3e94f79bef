"""Kernels over lists of spikes, one list a pixel, for processors with vectors of 8 or 16 x int32.

A pixel's list holds pairs of neighbouring channels of which at least one fired: ``index`` is the pair's number,
``pair`` the two messages (int16, the even channel in the low half). ``count`` is the list's length, ``events`` the
number of its messages that are not 0. Pixels lie in a frame of empty ones, so that no window of the next layer leaves
it.

Output by output, a kernel adds up what its window's spikes mean (the twin's ``correlate``) and lets its neurons fire
(the rest of the twin's ``step``), with the sums in a small scratch in between. Channels are padded to whole vectors;
padded ones have no weights and never fire. A message beyond 16 bits, which no trained network has shown, sends its
nearest value through the list; the rest is kept aside (``wide``) and added by the portable kernel (``extra``).
"""

from __future__ import annotations

from functools import lru_cache

from .kernel_cache import kernel
from .kernels import wrapped
from .vector_dot import dot, dot_dense
from .vector_fire import fire

_COUNT_MASK, _EVENTS_SHIFT, _WIDE_SHIFT = 0xFFFF, 16, 32


@kernel
def spread(index, message, spikes, channels, width, padding, pitch, slots, value, events, wide_index, wide_rest):
    """Events of an input into a dense, framed map: value int16 [pixel, 2 * slots], events uint16 [pixel].

    Returns the number of messages beyond 16 bits; what they lack goes to wide_index and wide_rest.
    """
    wide = 0
    for e in range(spikes):
        position = index[e] // channels
        y = position // width
        pixel = (y + padding) * pitch + position - y * width + padding
        nearest = min(max(message[e], -32768), 32767)
        value[pixel * 2 * slots + index[e] - position * channels] = nearest
        events[pixel] += 1
        if nearest != message[e]:
            wide_index[wide] = index[e]
            wide_rest[wide] = message[e] - nearest
            wide += 1
    return wide


@kernel
def sweep(index, spikes, channels, width, padding, pitch, slots, value, events):
    """Takes out again what ``spread`` has put in."""
    for e in range(spikes):
        position = index[e] // channels
        y = position // width
        pixel = (y + padding) * pitch + position - y * width + padding
        value[pixel * 2 * slots + index[e] - position * channels] = 0
        events[pixel] = 0


@kernel
def add_extra(total, first_total, extra, first, channels):
    """Adds to the sums of one pixel what did not fit the lists, and takes it out of ``extra``."""
    for o in range(channels):
        total[first_total + o] += extra[first + o]
        extra[first + o] = 0


@kernel
def add_to_head(total, first_total, sigma, first, channels):
    """The head's neurons of one pixel: they only integrate."""
    for o in range(channels):
        sigma[first + o] += wrapped(total[first_total + o])


@kernel
def set_aside(total, first_total, channels, first, wide, wide_index, wide_rest):
    """Keeps what the list of a pixel lacks of its messages (in ``total``). Returns the new number kept."""
    for o in range(channels):
        rest = total[first_total + o] - min(max(total[first_total + o], -32768), 32767)
        if rest != 0:
            wide_index[wide] = first + o
            wide_rest[wide] = rest
            wide += 1
    return wide


@kernel
def count_columns(events, start, pitch, size, columns, column):
    """column[x] = events of ``size`` pixels below each other, from ``start`` on. Returns how many there are in all."""
    for x in range(columns):
        column[x] = 0
    for line in range(size):
        row = events[start + line * pitch:]
        for x in range(columns):
            column[x] += row[x]
    total = 0
    for x in range(columns):
        total += column[x]
    return total


@lru_cache(maxsize=None)
def first_layer_kernel(lanes, vectors, carry, snap, pixels):
    """The kernel of the layer that the encoder feeds: few input channels, so the whole window is worked off, for
    ``pixels`` neighbouring outputs at a time, where any of them has an event. Otherwise as ``layer_kernel``."""

    @kernel
    def first_layer(groups, head, weight, tap_rows, size, stride, in_pitch, in_value, in_events,
                    rows, cols, channels, use_extra, extra, bias, threshold, release, sigma, reference,
                    out_padding, out_pitch, out_slots, out_count, out_events, out_index, out_pair,
                    wide_index, wide_rest, column, total):
        group = vectors * lanes
        fired = 0
        reached = 0
        wide = 0
        for y in range(rows):
            line = y * stride * in_pitch
            some = count_columns(in_events, line, in_pitch, size, in_pitch, column)
            if some == 0 and not use_extra:
                start = (y + out_padding) * out_pitch + out_padding
                out_count[start:start + cols] = 0
                out_events[start:start + cols] = 0
                continue
            for x in range(0, cols, pixels):
                here = min(pixels, cols - x)
                seen = 0
                for p in range(here):
                    for kx in range(size):
                        seen += column[(x + p) * stride + kx]
                target = (y + out_padding) * out_pitch + out_padding + x
                reached += seen
                for p in range(here):
                    out_count[target + p] = 0
                    out_events[target + p] = 0
                if seen == 0 and not use_extra:
                    continue
                for g in range(groups):
                    dot_dense(
                        weight, g * size * size * tap_rows * group * 2, in_value, (line + x * stride) * tap_rows,
                        in_pitch * tap_rows, size * tap_rows, size, stride * tap_rows, total, vectors, pixels, lanes)
                    for p in range(here):
                        first = ((y * cols + x + p) * groups + g) * group
                        real = (y * cols + x + p) * channels + g * group
                        used = min(group, channels - g * group)
                        if use_extra:
                            add_extra(total, p * group, extra, real, used)
                        if head:
                            add_to_head(total, p * group, sigma, first, group)
                            continue
                        answer = fire(
                            total, p * group, bias, g * group, threshold, release, sigma, reference, first,
                            out_index, out_pair, (target + p) * out_slots, out_count[target + p], vectors, lanes,
                            carry, snap)
                        out_count[target + p] = answer & _COUNT_MASK
                        out_events[target + p] += (answer >> _EVENTS_SHIFT) & _COUNT_MASK
                        fired += (answer >> _EVENTS_SHIFT) & _COUNT_MASK
                        if answer >> _WIDE_SHIFT:
                            wide = set_aside(total, p * group, used, real, wide, wide_index, wide_rest)
        return fired, reached, wide

    return first_layer


@lru_cache(maxsize=None)
def layer_kernel(lanes, vectors, carry, snap):
    """The kernel of the other layers, for ``vectors`` vectors of ``lanes`` channels at a time, under a rule.

    groups: so many times ``vectors`` make all channels; channels: without the padding. weight: see ``vector_path.PackedConvolution``; tap_rows: its rows for a tap. bias, threshold,
    release, sigma, reference: at 2**16, channels padded. extra: int32 [rows * cols * channels] when use_extra.
    pixel, tap: int32 [size * size] and total: int32, scratch.

    Returns (events, inputs that events reached, messages beyond 16 bits). Synops are the second times ``channels``.
    """

    @kernel
    def layer(groups, head, weight, tap_rows, size, stride, in_pitch, in_slots,
              in_count, in_events, in_index, in_pair, rows, cols, channels, use_extra, extra, bias, threshold, release,
              sigma, reference, out_padding, out_pitch, out_slots, out_count, out_events, out_index, out_pair,
              wide_index, wide_rest, pixel, tap, total):
        group = vectors * lanes
        fired = 0
        reached = 0
        wide = 0
        for y in range(rows):
            for x in range(cols):
                taps = 0
                for ky in range(size):
                    start = (y * stride + ky) * in_pitch + x * stride
                    for kx in range(size):
                        if in_count[start + kx]:
                            pixel[taps] = start + kx
                            tap[taps] = ky * size + kx
                            taps += 1
                            reached += in_events[start + kx]
                target = (y + out_padding) * out_pitch + out_padding + x
                if not head:
                    out_count[target] = 0
                    out_events[target] = 0
                if taps == 0 and not use_extra:
                    continue
                for g in range(groups):
                    first = ((y * cols + x) * groups + g) * group
                    real = (y * cols + x) * channels + g * group
                    used = min(group, channels - g * group)
                    dot(
                        weight, g * size * size * tap_rows * group * 2, tap_rows, taps, pixel, tap,
                        in_count, in_slots, in_index, in_pair, total, vectors, lanes)
                    if use_extra:
                        add_extra(total, 0, extra, real, used)
                    if head:
                        add_to_head(total, 0, sigma, first, group)
                        continue
                    answer = fire(
                        total, 0, bias, g * group, threshold, release, sigma, reference, first,
                        out_index, out_pair, target * out_slots, out_count[target], vectors, lanes, carry, snap)
                    out_count[target] = answer & _COUNT_MASK
                    out_events[target] += (answer >> _EVENTS_SHIFT) & _COUNT_MASK
                    fired += (answer >> _EVENTS_SHIFT) & _COUNT_MASK
                    if answer >> _WIDE_SHIFT:
                        wide = set_aside(total, 0, used, real, wide, wide_index, wide_rest)
        return fired, reached, wide

    return layer
