"""What the receiver of events has been told so far, as the picture that Lava's encoder takes in."""

from __future__ import annotations

import numpy as np


class AccumulatedInput:
    """Sums of all events, in the encoder's units. shape: (rows, cols, channels); Lava's arrays are (x, y, channel)."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        rows, cols, channels = shape
        self.shape, self.xy_shape = shape, (cols, rows, channels)
        self._values = np.zeros(rows * cols * channels, np.int32)

    def add(self, index: np.ndarray, message: np.ndarray) -> np.ndarray:
        """The picture with these events (flat places in image order), int32 [x, y, channel], a view."""
        self._values[index] += message
        return as_xy(self._values, self.shape)


def as_xy(values: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Flat values in image order as Lava's [x, y, channel], a view."""
    return values.reshape(shape).transpose(1, 0, 2)
