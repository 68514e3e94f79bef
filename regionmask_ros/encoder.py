"""The sigma-delta input encoder: from pictures to events, in the regions that a mask keeps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .engine import kernels
from .grid import RegionGrid


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
    (``rint(64 * (v / 255 - mean) / std)``, a table over the 256 values of a channel), once it reaches the threshold. It is
    clipped to 8 bits; the rest follows with the next frame. The comparison is with what was last *sent*, so a slow ramp
    fires as soon as it has added up.

    A masked region sends nothing and keeps its reference: to the network it looks as it did when it was last sent, and
    once attended again, the whole difference is sent.

    Source of the rule: Lava's ``DeltaEncoder`` (lava-nc 0.10), whose state ``act - residue`` is this reference.
    """

    def __init__(self, input_table: np.ndarray, threshold: int, input_wh: tuple[int, int]) -> None:
        """input_table: int [256, channels], each value within 16 bits. threshold: in the table's units."""
        if np.abs(input_table).max() >= 1 << 14:
            raise ValueError("the input table must fit 15 signed bits, or a difference could leave 16")
        self.shape = (input_wh[1], input_wh[0], input_table.shape[1])
        self.grid = RegionGrid.of_input(input_wh)
        self._table = np.ascontiguousarray(input_table, np.int16)
        self._threshold = threshold
        self._reference = np.zeros(self.shape, np.int16)
        size = self._reference.size
        self._index, self._message = np.empty(size, np.int32), np.empty(size, np.int32)

    def step(self, image: np.ndarray, keep: np.ndarray) -> Events:
        """image: uint8 [height, width, channels]. keep: bool [rows, cols], True = attended."""
        events = kernels.encode(image, self._table, keep, self.grid.region_px, self._threshold, self._reference,
                                self._index, self._message)
        return Events(self._index[:events], self._message[:events], self.shape)

    def reset(self) -> None:
        """Forgets everything: the next frame is sent as a first one."""
        self._reference[:] = 0
