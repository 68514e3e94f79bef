"""How much of each region waits to be sent: a look at some of its pixels, without sending anything."""

from __future__ import annotations

import numpy as np

from .change_map import WORD
from .kernel_cache import kernel

EVERY_LINE, EVERY_PIXEL = 8, 2
"""Every eighth line, and in it every second pixel: 16 of a region's 256, chosen by where they lie."""


@kernel
def pending_share(image, column, channel, channels, threshold, reference, result):
    """Share of the pixels looked at whose value is away from its reference by the threshold or more, 0 to 1.

    image: uint8 and reference: int16, flat, [16 * rows, 16 * cols, channels]. column: int16 [256], the values of that
    channel. result: float32 [rows, cols].
    """
    rows, cols = result.shape
    part = np.float32(EVERY_LINE * EVERY_PIXEL) / np.float32(WORD * WORD)
    for row in range(rows):
        for region in range(cols):
            changed = 0
            for y in range(row * WORD + EVERY_LINE // 2, (row + 1) * WORD, EVERY_LINE):
                line = (y * cols + region) * WORD * channels + channel
                for x in range(0, WORD, EVERY_PIXEL):
                    at = line + x * channels
                    difference = np.int32(column[image[at]]) - np.int32(reference[at])
                    changed += abs(difference) >= threshold
            result[row, region] = np.float32(changed) * part
