"""What goes into a frame of the tile engine, and what comes out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from .network import TileNetwork

COUNTS = ("computed_tiles", "computed_pixels", "replaced_tiles", "replaced_pixels")
"""Columns of the counts of a frame."""

DENSE_SHARE = 0.7
"""Of the pixels of the image: if so many are replaced, and all regions are attended, a frame goes on as a dense one.

On training clips such frames computed 70 to 88 % of the operations on average, in 1.1 to 1.3 times the time of dense
order (AVX-512 VNNI); from 0.55 on they took nearly as long.
"""


def dense_pixels(pixels: int) -> int:
    """Replaced pixels of the image, of so many in all, from which on a frame is dense."""
    return math.ceil(DENSE_SHARE * pixels)


def thresholds_of(network: TileNetwork, level: float | Sequence[float]) -> np.ndarray:
    """The thresholds of a frame.

    Args:
        network: Its factors and the level make the thresholds.
        level: One number, or a threshold of every node in order; a node that has none ignores it.

    Returns:
        Root of the mean squared change of a tile of every node, in steps of the channel: float64 [nodes].
    """
    if isinstance(level, (int, float)):
        return network.unit_thresholds * level
    return np.where(network.has_threshold, np.asarray(level, np.float64), 0.0)


@dataclass(frozen=True, eq=False)
class StepOutput:
    """What a frame gave. All arrays are views that the next frame overwrites.

    Attributes:
        heads: float32 [rows, cols, channels] of every output of the graph by name.
        input_change: int64 [region rows, region cols], sum of the squared differences of the image to what is held; 0
            where it is not attended.
        counts: int64 [1 + nodes, 4], of the input and of every node: see ``COUNTS``.
        rows: float32 [pixels of all heads, channels]: heads of one size side by side, one size after the other, in the
            order of the graph's outputs; None if the sizes have different channels.
        quiet_square: What ``noise.find_quiet_square`` finds in the image; negative without an image.
        has_changed: Whether a tile of a head was replaced.
    """

    heads: dict[str, np.ndarray]
    input_change: np.ndarray
    counts: np.ndarray
    rows: np.ndarray | None
    quiet_square: float
    has_changed: bool


def join_rows(heads: Sequence[np.ndarray]) -> np.ndarray | None:
    """Joins heads as ``StepOutput.rows`` says.

    Args:
        heads: float32 [rows, cols, channels] each.

    Returns:
        The rows.
    """
    sizes = [np.concatenate(list(group), 2) for _, group in groupby(heads, lambda head: head.shape[:2])]
    if len({size.shape[2] for size in sizes}) != 1:
        return None
    rows: np.ndarray = np.concatenate([size.reshape(-1, size.shape[2]) for size in sizes])
    return rows
