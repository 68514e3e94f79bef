"""Confidence intervals of results on a short sequence: the circular block bootstrap.

Neighbouring frames are nearly equal, so single frames must not be drawn. Instead blocks of consecutive frames are drawn
with replacement, until there are as many frames as before. A block that reaches the end continues at the start.

Source: Politis and Romano, "A circular block-resampling procedure for stationary data", 1992.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

RESAMPLES = 400
MAX_BLOCK = 25
MIN_BLOCKS = 5
LOW, HIGH = 5.0, 95.0
"""Percentiles of a 90 % interval."""


def block_length(frames: int) -> int:
    """Returns the frames of a block: up to 25, about a second of video, but at least five blocks per sequence."""
    return max(1, min(MAX_BLOCK, frames // MIN_BLOCKS))


def frame_weights(frames: int, seed_text: str, resamples: int = RESAMPLES) -> np.ndarray:
    """Draws frames.

    Args:
        frames: Number of frames of the sequence.
        seed_text: The same text draws the same frames, so that settings of one sequence are compared on equal draws.
        resamples: Number of draws.

    Returns:
        int64 [resamples, frames], how often each frame is drawn.
    """
    length = block_length(frames)
    blocks = -(-frames // length)
    rng = np.random.default_rng(zlib.crc32(seed_text.encode()))
    starts = rng.integers(0, frames, (resamples, blocks))
    drawn = ((starts[:, :, None] + np.arange(length)) % frames).reshape(resamples, -1)[:, :frames]
    return np.stack([np.bincount(one, minlength=frames) for one in drawn]) if frames else np.zeros((resamples, 0), int)


def confidence_interval(values: Sequence[float]) -> tuple[float, float]:
    """Computes the 90 % interval of resampled values.

    Args:
        values: nan is left out.

    Returns:
        Lower and upper end; nan, nan if there is no value.
    """
    numbers = np.asarray(values, np.float64)
    numbers = numbers[~np.isnan(numbers)]
    if not len(numbers):
        return float("nan"), float("nan")
    low, high = np.percentile(numbers, [LOW, HIGH])
    return float(low), float(high)
