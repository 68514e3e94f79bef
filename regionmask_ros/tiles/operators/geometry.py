"""Which input pixels an output pixel reads: kernel, stride and padding of convolutions and pools."""

from __future__ import annotations

from collections.abc import Iterator
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
        padded = self.pad(pixels, padding)
        view = np.lib.stride_tricks.sliding_window_view
        windows = view(view(padded, self.kernel[0], 0), self.kernel[1], 1)
        return np.moveaxis(windows[::self.stride, ::self.stride], 2, -1)

    def pad(self, image: np.ndarray, value: float | np.ndarray) -> np.ndarray:
        """Adds the padding.

        Args:
            image: [rows, cols, channels].
            value: What the padding is filled with: one number, or one for each channel.

        Returns:
            The padded image; the image itself if there is no padding.
        """
        if not any(self.pads):
            return image
        top, left, below, right = self.pads
        rows, cols, channels = image.shape
        padded = np.empty((rows + top + below, cols + left + right, channels), image.dtype)
        padded[:] = value
        padded[top:top + rows, left:left + cols] = image
        return padded

    def shifts(self, padded: np.ndarray) -> Iterator[np.ndarray]:
        """Goes through the places of the kernel, line by line.

        Args:
            padded: An image with its padding, [rows, cols, channels].

        Yields:
            For each place a view: the values that lie there in the windows of all output pixels.
        """
        top, left, below, right = self.pads
        rows, cols = self.output_size(padded.shape[0] - top - below, padded.shape[1] - left - right)
        for row in range(self.kernel[0]):
            for col in range(self.kernel[1]):
                yield padded[row:row + (rows - 1) * self.stride + 1:self.stride,
                             col:col + (cols - 1) * self.stride + 1:self.stride]
