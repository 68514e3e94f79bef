"""How far figures of a short sequence can be trusted: the block bootstrap.

Neighbouring frames show nearly the same, so single frames must not be drawn. Blocks of consecutive frames are, with
replacement, until there are as many frames as before; a block that runs over the end goes on at the start.
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
    """Frames in a block: up to 25, a second or so of video, but at least five blocks a sequence."""
    return max(1, min(MAX_BLOCK, frames // MIN_BLOCKS))


def frame_weights(frames: int, seed_text: str, resamples: int = RESAMPLES) -> np.ndarray:
    """int64 [resamples, frames]: how often each frame was drawn.

    The same text draws the same frames: settings of one sequence are compared on equal draws.
    """
    length = block_length(frames)
    blocks = -(-frames // length)
    rng = np.random.default_rng(zlib.crc32(seed_text.encode()))
    starts = rng.integers(0, frames, (resamples, blocks))
    drawn = ((starts[:, :, None] + np.arange(length)) % frames).reshape(resamples, -1)[:, :frames]
    return np.stack([np.bincount(one, minlength=frames) for one in drawn]) if frames else np.zeros((resamples, 0), int)


def confidence_interval(values: Sequence[float]) -> tuple[float, float]:
    """The 90 % interval of resampled values; those that are no number are left out. (nan, nan) without any."""
    numbers = np.asarray(values, np.float64)
    numbers = numbers[~np.isnan(numbers)]
    if not len(numbers):
        return float("nan"), float("nan")
    low, high = np.percentile(numbers, [LOW, HIGH])
    return float(low), float(high)
