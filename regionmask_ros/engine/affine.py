"""The input table as a straight line in integers, so that vectors can compute it instead of looking it up.

For a byte ``v`` and 16-bit numbers of its channel::

    value(v) = v * whole + base + ((v * slope >> 8) + offset >> 8)

``v * slope >> 8`` is the upper half of a 16-bit product, of ``v << 8``, and with ``slope`` below 2**16 and ``offset``
below 2**8 no sum behind it leaves 16 unsigned bits. As floors of floors are floors, this is a line with a slope of
``whole + slope / 2**16`` and an offset of ``base + offset / 2**8``.
"""

from __future__ import annotations

import numpy as np

SLOPE_BITS, OFFSET_BITS = 16, 8

_SEARCH = 400
"""Slopes tried on each side of the line from the first to the last value: half a unit over 255 steps is 128."""


def affine_numbers(table: np.ndarray) -> np.ndarray | None:
    """int16 [4, channels]: whole, slope, offset and base that give the table, int [256, channels].

    Normalisation is affine before it is rounded, so they usually exist; None when they do not.
    """
    columns = [_line(column) for column in table.astype(np.int64).T]
    if any(column is None for column in columns):
        return None
    # Numbers beyond 16 bits count modulo 2**16, and so does the sum: that is right, because a table has 15 bits.
    return np.array(columns, np.int64).T.astype(np.uint16).view(np.int16)


def affine_values(numbers: np.ndarray) -> np.ndarray:
    """int16 [256, channels]: the table that such numbers stand for; the equation above, plainly."""
    whole, slope, offset, base = numbers.astype(np.int64)
    byte = np.arange(256, dtype=np.int64)[:, None]
    part = (byte * (slope % (1 << SLOPE_BITS)) >> OFFSET_BITS) + offset >> OFFSET_BITS
    return (byte * whole + base + part).astype(np.int16)


def _line(column: np.ndarray) -> tuple[int, int, int, int] | None:
    """The numbers of one channel, int64 [256]."""
    byte, unit = np.arange(len(column), dtype=np.int64), 1 << SLOPE_BITS
    middle = round((column[-1] - column[0]) * unit / (len(column) - 1))
    for steep in range(middle - _SEARCH, middle + _SEARCH + 1):
        # Offsets from the largest of these on, and below the smallest one plus a unit, give the column.
        least = (column << SLOPE_BITS) - byte * steep
        offset = -(-int(least.max()) >> OFFSET_BITS)
        if offset << OFFSET_BITS < least.min() + unit:
            return (*divmod(steep, unit), *reversed(divmod(offset, 1 << OFFSET_BITS)))
    return None
