"""Kernels of wiring and pools. Arrays are flat, in image order; an event is a pair (index into it, message).

Lists of events that have passed wiring need not be in order. Only those of one pixel of one input lie together.
"""

from __future__ import annotations

import numpy as np

from ...jit.cache import kernel


@kernel
def route(events: tuple[np.ndarray, np.ndarray, int], source: tuple[int, int], target: tuple[int, int],
          way: tuple[int, int, int, int], index: np.ndarray, message: np.ndarray, stored: int) -> int:
    """Appends the events of an input to those of a node, see ``operators.Route``.

    Args:
        events: (index, message, count): int32, of which ``count`` are valid.
        source: (columns, channels) of the input.
        target: (columns, channels) of the output.
        way: (first, last, target, factor) of the route.
        index: int32, of the output, filled from ``stored`` on.
        message: int32, likewise.
        stored: Events that it has already.

    Returns:
        Events that it has then.
    """
    from_index, from_message, count = events
    from_cols, from_channels = source
    to_cols, to_channels = target
    first, last, moved, factor = way
    begin = 0
    while begin < count:
        position = from_index[begin] // from_channels
        low = position * from_channels
        end = begin + 1
        while end < count and low <= from_index[end] < low + from_channels:
            end += 1
        y = position // from_cols
        x = position - y * from_cols
        for row in range(y * factor, (y + 1) * factor):
            for col in range(x * factor, (x + 1) * factor):
                base = (row * to_cols + col) * to_channels + moved - first
                for event in range(begin, end):
                    channel = from_index[event] - low
                    if first <= channel < last:
                        index[stored] = base + channel
                        message[stored] = from_message[event]
                        stored += 1
        begin = end
    return stored


@kernel
def hold(events: tuple[np.ndarray, np.ndarray, int], source: tuple[int, int], window: tuple[int, int, int],
         output: tuple[int, int], sigma: np.ndarray, touched: np.ndarray) -> None:
    """Adds messages to what a pool holds, and marks the windows that see them.

    Args:
        events: (index, message, count): int32, of which ``count`` are valid.
        source: (columns, channels) of the input.
        window: (size, stride, padding), pixels.
        output: (rows, columns).
        sigma: int32 [inputs].
        touched: bool [rows * columns], set where a window sees an event.
    """
    index, message, count = events
    in_cols, channels = source
    size, stride, padding = window
    rows, cols = output
    last = -1
    for event in range(count):
        sigma[index[event]] += message[event]
        position = index[event] // channels
        if position == last:
            continue
        last = position
        y = position // in_cols
        x = position - y * in_cols
        # Rows and columns of outputs from the first whose window ends behind the pixel to the last that begins at it.
        top = max(0, -(-(y + padding - size + 1) // stride))
        left = max(0, -(-(x + padding - size + 1) // stride))
        for row in range(top, min(rows, (y + padding) // stride + 1)):
            for col in range(left, min(cols, (x + padding) // stride + 1)):
                touched[row * cols + col] = True


@kernel
def fire_maxima(source: tuple[int, int, int], window: tuple[int, int, int], cols: int, everywhere: bool,
                rule: tuple[int, int], state: tuple[np.ndarray, np.ndarray], largest: np.ndarray, touched: np.ndarray,
                index: np.ndarray, message: np.ndarray) -> int:
    """Updates the neurons of a pool whose windows have changed, and lists their events, see ``reference``.

    Args:
        source: (rows, columns, channels) of the input.
        window: (size, stride, padding), pixels.
        cols: Columns of the output.
        everywhere: Updates all neurons.
        rule: (threshold, release) at 2**10, see ``core.arithmetic.Rule``.
        state: (sigma, reference): int32 [inputs] and [outputs].
        largest: int32 [channels], scratch.
        touched: bool [outputs' pixels]; False afterwards.
        index: int32, filled from the front.
        message: int32, filled from the front, at 2**10.

    Returns:
        Number of events.
    """
    in_rows, in_cols, channels = source
    size, stride, padding = window
    threshold, release = rule
    sigma, reference = state
    events = 0
    for position in range(len(touched)):
        if not (touched[position] or everywhere):
            continue
        touched[position] = False
        top = position // cols * stride - padding
        left = position % cols * stride - padding
        largest[:] = -(1 << 31)
        for y in range(max(top, 0), min(top + size, in_rows)):
            for x in range(max(left, 0), min(left + size, in_cols)):
                held = sigma[(y * in_cols + x) * channels:(y * in_cols + x + 1) * channels]
                for c in range(channels):
                    largest[c] = max(largest[c], held[c])
        for c in range(channels):
            n = position * channels + c
            delta = np.int32(largest[c] - reference[n])
            fires = abs(delta) >= threshold or (largest[c] == 0 and reference[n] >= release)
            if fires and delta != 0:
                reference[n] += delta
                index[events] = n
                message[events] = delta
                events += 1
    return events
