"""Messages beyond 16 bits, which no trained network has shown: what their nearest value lacks is kept aside.

A layer's lists or map hold the nearest value. The rest goes to the wide buffers (index and rest, int32, from the
front), is summed by the portable kernel before the next layer runs (``extra``), and added to that layer's own sums.
"""

from __future__ import annotations

import numpy as np

from ..jit.cache import kernel
from .generic.kernels import accumulate
from .layer import MAX_MESSAGE, Convolution


@kernel
def add_overflow_sums(total, first_total, run, step, extra, first, channels):
    """Adds to one pixel's sums what did not fit its inputs' lists or map, and takes it out of ``extra``.

    The pixel's sums begin at first_total, ``run`` channels behind each other and the next ones ``step`` later.
    """
    for o in range(channels):
        total[first_total + o // run * step + o % run] += extra[first + o]
        extra[first + o] = 0


@kernel
def store_overflow(total, first_total, run, step, channels, first, top, wide, overflow_index, overflow_rest):
    """Keeps what lists or map lack of one pixel's messages, which lie as the sums do in ``add_overflow_sums``.

    top: the largest message that they hold. wide: messages that the buffers hold already; returns the new number.
    """
    for o in range(channels):
        told = total[first_total + o // run * step + o % run]
        rest = told - min(max(told, -MAX_MESSAGE), top)
        if rest != 0:
            overflow_index[wide] = first + o
            overflow_rest[wide] = rest
            wide += 1
    return wide


def sum_overflow(spec: Convolution, extra: np.ndarray, index: np.ndarray, rest: np.ndarray, wide: int, in_cols: int,
             rows: int, cols: int) -> np.ndarray:
    """``extra`` with the sums of ``wide`` rests in it: int32 [rows * cols * channels], made when it is still empty.

    in_cols: pixels of an input's line. rows, cols: outputs.
    """
    if not len(extra):
        extra = np.zeros(rows * cols * spec.channels, np.int32)
    accumulate(index, rest, wide, in_cols, spec.in_channels, spec.tap_major_weights, spec.size, spec.stride, spec.padding,
               rows, cols, spec.channels, extra, np.zeros(rows * cols, np.bool_))
    return extra
