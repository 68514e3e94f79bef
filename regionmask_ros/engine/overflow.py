"""Messages beyond 16 bits, which no trained network has shown: the part that a 16-bit message cannot carry.

A layer's lists or map hold the nearest value that fits. The rest goes to the overflow buffers, is summed by the generic
kernel before the next layer runs (``overflow_sums``), and is then added to that layer's own sums.
"""

from __future__ import annotations

import numpy as np

from ..jit.cache import Whole, kernel
from .generic.kernels import accumulate
from .layer import MAX_MESSAGE, CheckedConv


@kernel
def add_overflow_sums(total: np.ndarray, layout: tuple[int, int, int], overflow_sums: np.ndarray, first: Whole,
                      channels: int) -> None:
    """Adds to one pixel's sums what its inputs' lists or map do not hold, and clears it in ``overflow_sums``.

    Args:
        total: int32, sums.
        layout: (first, run, step): the pixel's sums begin at ``first``, ``run`` channels are contiguous, and the next
            ones follow ``step`` later.
        overflow_sums: int32 [rows * cols * channels].
        first: The pixel's first channel in ``overflow_sums``.
        channels: Channels to add.
    """
    first_total, run, step = layout
    for o in range(channels):
        total[first_total + o // run * step + o % run] += overflow_sums[first + o]
        overflow_sums[first + o] = 0


@kernel
def store_overflow(total: np.ndarray, layout: tuple[int, int, int], channels: int, first: Whole, top: Whole,
                   stored: int, overflow: tuple[np.ndarray, np.ndarray]) -> int:
    """Stores what lists or map lack of one pixel's messages.

    Args:
        total: int32, the messages, laid out as the sums of ``add_overflow_sums``.
        layout: As there.
        channels: Channels of the pixel.
        first: Position of the pixel's first value.
        top: Largest message that lists or map hold.
        stored: Entries that the buffers hold already.
        overflow: (index, rest), int32, the buffers.

    Returns:
        The new number of entries.
    """
    first_total, run, step = layout
    index, rest = overflow
    for o in range(channels):
        sent = total[first_total + o // run * step + o % run]
        lacking = sent - min(max(sent, -MAX_MESSAGE), top)
        if lacking != 0:
            index[stored] = first + o
            rest[stored] = lacking
            stored += 1
    return stored


def sum_overflow(conv: CheckedConv, overflow_sums: np.ndarray, overflow: tuple[np.ndarray, np.ndarray], entries: int,
                 in_cols: int, output: tuple[int, int]) -> np.ndarray:
    """Sums the overflow buffers for the layer that reads them.

    Args:
        conv: The layer.
        overflow_sums: Its sums, int32 [rows * cols * channels], all 0; or empty before the first use.
        overflow: (index, rest), int32, the buffers.
        entries: Entries that they hold.
        in_cols: Columns of the layer's input.
        output: Rows and columns of its output.

    Returns:
        ``overflow_sums`` with the sums in it.
    """
    rows, cols = output
    if not len(overflow_sums):
        overflow_sums = np.zeros(rows * cols * conv.out_channels, np.int32)
    accumulate((*overflow, entries), (in_cols, conv.in_channels), conv.tap_major_weights,
               (conv.size, conv.stride, conv.padding), (rows, cols, conv.out_channels), overflow_sums,
               np.zeros(rows * cols, np.bool_))
    return overflow_sums
