"""Which input pixels an output pixel reads: kernel, stride and padding of convolutions and pools."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Window:
    """The window that slides over the input.

    Attributes:
        kernel: Rows and columns.
        stride: Input pixels between neighboring windows, in both directions.
        pads: Pixels of padding above, left, below and right.
    """

    kernel: tuple[int, int]
    stride: int = 1
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)

    def output_size(self, rows: int, cols: int) -> tuple[int, int]:
        """Computes rows and columns of the output.

        Args:
            rows: Of the input.
            cols: Of the input.

        Returns:
            Both.

        Raises:
            ValueError: The window does not fit the padded input.
        """
        top, left, below, right = self.pads
        room = (rows + top + below - self.kernel[0], cols + left + right - self.kernel[1])
        if min(room) < 0:
            raise ValueError(f"a window of {self.kernel[0]}x{self.kernel[1]} does not fit {rows}x{cols} pixels")
        return room[0] // self.stride + 1, room[1] // self.stride + 1

    def reads(self, axis: int, first: int, last: int) -> tuple[int, int]:
        """See ``quantized.TileOperator``."""
        start = -self.pads[axis]
        return first * self.stride + start, last * self.stride + start + self.kernel[axis] - 1

    def gather(self, pixels: np.ndarray, padding: np.ndarray) -> np.ndarray:
        """Collects what every output pixel reads.

        Args:
            pixels: [rows, cols, channels].
            padding: Value of each channel outside of the image.

        Returns:
            [output rows, output cols, kernel rows, kernel cols, channels].
        """
        top, left, below, right = self.pads
        rows, cols, channels = pixels.shape
        padded = np.empty((rows + top + below, cols + left + right, channels), pixels.dtype)
        padded[:] = padding
        padded[top:top + rows, left:left + cols] = pixels
        view = np.lib.stride_tricks.sliding_window_view
        windows = view(view(padded, self.kernel[0], 0), self.kernel[1], 1)
        return np.moveaxis(windows[::self.stride, ::self.stride], 2, -1)
