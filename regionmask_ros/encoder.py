"""The sigma-delta input encoder: from pictures to events, in the regions that a mask keeps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .engine import kernels
from .grid import RegionGrid

AFFINE_SHIFT = 16
SLOPE_SEARCH = 400
"""Slopes tried on each side of the line from the first to the last value: half a unit over 255 steps is 128."""


@dataclass(frozen=True)
class Events:
    """Graded spikes of one frame.

    index: int32 [n], strictly ascending positions in the input, flat in image order (y, x, channel).
    message: int32 [n], the change at 2**10. shape: (height, width, channels) of the input.
    Both are views of the encoder's buffers: valid until its next step.
    """

    index: np.ndarray
    message: np.ndarray
    shape: tuple[int, int, int]

    def __len__(self) -> int:
        return len(self.index)


class Encoder:
    """Remembers for every input value what the receiver was told (the reference), and sends what changed since.

    An event carries the difference between the value and its reference, in the encoder's units
    (``rint(64 * (v / 255 - mean) / std)``, a table over the 256 values of a channel), once it reaches the threshold. It
    is clipped to 8 bits; the rest follows with the next frame. The comparison is with what was last *sent*, so a slow
    ramp fires as soon as it has added up.

    A masked region sends nothing and keeps its reference: to the network it looks as it did when it was last sent, and
    once attended again, the whole difference is sent.

    Source of the rule: Lava's ``DeltaEncoder`` (lava-nc 0.10), whose state ``act - residue`` is this reference.
    """

    def __init__(self, input_table: np.ndarray, threshold: int, input_wh: tuple[int, int]) -> None:
        """input_table: int [256, channels], each value within 16 bits. threshold: in the table's units."""
        if input_table.min() < -(1 << 14) or input_table.max() >= 1 << 14:
            raise ValueError("the input table must fit 15 signed bits, or a difference could leave 16")
        self.shape = (input_wh[1], input_wh[0], input_table.shape[1])
        self.grid = RegionGrid.of_input(input_wh)
        self._table = np.ascontiguousarray(input_table, np.int16)
        self._affine = _as_affine(input_table, self.grid.region_px)
        self._threshold = threshold
        self._reference = np.zeros(self.shape, np.int16)
        # One more than there are values: the kernel writes an event before it knows whether it is one.
        size = self._reference.size + 1
        self._index, self._message = np.empty(size, np.int32), np.empty(size, np.int32)

    def step(self, image: np.ndarray, keep: np.ndarray) -> Events:
        """image: uint8 [height, width, channels]. keep: bool [rows, cols], True = attended."""
        region_px, out = self.grid.region_px, (self._index, self._message)
        if self._affine is None:
            events = kernels.encode(image, self._table, keep, region_px, self._threshold, self._reference, *out)
        else:
            lines = self.shape[0], self.shape[1] * self.shape[2]
            slope, offset, change = self._affine
            events = kernels.encode_affine(
                image.reshape(lines), slope, offset, AFFINE_SHIFT, keep, region_px, self._threshold,
                self._reference.reshape(lines), change, change.view(np.int64), *out,
            )
        return Events(self._index[:events], self._message[:events], self.shape)

    def reset(self) -> None:
        """Forgets everything: the next frame is sent as a first one."""
        self._reference[:] = 0


def _as_affine(table: np.ndarray, region_px: int) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """(slope, offset: int32, scratch: int8), [region_px * channels]: ``(v * slope + offset) >> 16`` equals the table.

    Normalisation is affine before it is rounded, so such integers usually exist; None when they do not.
    """
    value, slopes, offsets = np.arange(len(table), dtype=np.int64), [], []
    for column in table.astype(np.int64).T:
        middle = round((column[-1] - column[0]) * 2**AFFINE_SHIFT / (len(column) - 1))
        for slope in range(middle - SLOPE_SEARCH, middle + SLOPE_SEARCH + 1):
            low = (column << AFFINE_SHIFT) - value * slope
            if low.max() < low.min() + (1 << AFFINE_SHIFT):
                slopes.append(slope)
                offsets.append(low.max())
                break
        else:
            return None
    if max(np.abs(slopes).max() * 255, np.abs(offsets).max()) >= 1 << 30:
        return None
    scratch = np.zeros(region_px * len(slopes), np.int8)
    return np.tile(slopes, region_px).astype(np.int32), np.tile(offsets, region_px).astype(np.int32), scratch
