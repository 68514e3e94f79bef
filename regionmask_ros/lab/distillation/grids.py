"""Grids of weights: what an int8 runtime or a chip can store of a convolution's weights.

``channel``: 8 bits and one step for each output channel. ``pow2``: 8 bits and one step for the layer, a power of two.
``lava64``: multiples of 1/64 in 8 bits, for all layers. ``lava-pow2``: as ``pow2``, but no finer than 1/64, for the
event engine, Lava and Loihi 2, where the exponent of a layer has a limit.
"""

from __future__ import annotations

import numpy as np

FLOAT, CHANNEL, POW2, LAVA64 = "float", "channel", "pow2", "lava64"
LAVA_POW2 = "lava-pow2"
OFFERED = (FLOAT, CHANNEL, POW2, LAVA64)
"""Those that a user can ask for."""

GRIDS = (*OFFERED, LAVA_POW2)
LARGEST, LAVA_STEP = 127, 1 / 64


def find_steps(weight: np.ndarray, grid: str) -> np.ndarray:
    """The step between neighboring weights on a grid.

    Args:
        weight: [outputs, ...].
        grid: One of ``GRIDS`` but ``float``.

    Returns:
        float32 [outputs].
    """
    if grid == LAVA64:
        return np.full(len(weight), LAVA_STEP, np.float32)
    largest = np.abs(weight.reshape(len(weight), -1)).max(axis=1).astype(np.float64)
    if grid in (POW2, LAVA_POW2):
        largest = np.full(len(weight), largest.max())
    steps = np.maximum(largest, np.finfo(np.float32).tiny * 2**20) / LARGEST
    if grid != CHANNEL:
        steps = np.maximum(2.0 ** np.ceil(np.log2(steps)), LAVA_STEP if grid == LAVA_POW2 else 0.0)
    chosen: np.ndarray = steps.astype(np.float32)
    return chosen


def round_weight(weight: np.ndarray, grid: str) -> np.ndarray:
    """The nearest weights on a grid; those that are too large become the largest.

    Args:
        weight: float32 [outputs, ...].
        grid: One of ``GRIDS``.

    Returns:
        float32 of the same shape.
    """
    if grid == FLOAT:
        return weight
    steps = find_steps(weight, grid).reshape(-1, *[1] * (weight.ndim - 1))
    rounded: np.ndarray = as_integers(weight, steps) * steps
    return rounded.astype(np.float32)


def as_integers(weight: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Weights in steps: int8, from -127 to 127. ``steps``: of a shape that fits the weight's."""
    whole: np.ndarray = np.clip(np.rint(weight / steps), -LARGEST, LARGEST)
    return whole.astype(np.int8)
