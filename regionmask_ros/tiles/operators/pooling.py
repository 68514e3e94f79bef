"""Pools: the largest value, or the mean, of a window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from ...network.graph import Parameters, Shape
from .quantized import Quantization
from .shared import Resampling, Windowed


@dataclass(frozen=True)
class _Pool(Windowed, Resampling):
    """What pools have in common: a window makes one pixel, and every window has a pixel of the image."""

    def __post_init__(self) -> None:
        if any(pad >= self.window.kernel[place % 2] for place, pad in enumerate(self.window.pads)):
            raise ValueError(f"padding {self.window.pads} is as wide as the pool {self.window.kernel}")

    def output_shape(self, inputs: Sequence[Shape], parameters: Parameters) -> Shape:
        """See ``network.graph.Operator``."""
        return (*self.window.output_size(*inputs[0][:2]), inputs[0][2])


@dataclass(frozen=True)
class MaxPool(_Pool):
    """The largest value of the part of a window that is inside the image.

    Attributes:
        window: Its size, stride and padding.
    """

    def step(self, inputs: Sequence[np.ndarray], parameters: Parameters) -> np.ndarray:
        """See ``quantized.TileOperator``."""
        # 0 is the smallest byte: padding never is the largest value of a window that has a pixel of the image.
        windows = self.window.gather(inputs[0], np.zeros(inputs[0].shape[2], np.uint8))
        largest: np.ndarray = windows.max((2, 3))
        return largest

    def evaluate(self, inputs: Sequence[np.ndarray], parameters: Parameters) -> np.ndarray:
        """See ``Convolution.evaluate``."""
        return reduce(np.maximum, self.window.shifts(self.window.pad(inputs[0], -np.inf)))


@dataclass(frozen=True)
class AveragePool(_Pool):
    """The mean of a window.

    Parameters of a quantized graph: ``padding`` uint8 [channels].

    Attributes:
        window: Its size, stride and padding.
        counts_padding: Whether the padding counts as zeros; otherwise only what is inside the image counts.
    """

    counts_padding: bool = False

    def quantize(self, parameters: Parameters, inputs: Sequence[Quantization],
                 output: Quantization | None) -> dict[str, np.ndarray]:
        """See ``quantized.TileOperator``."""
        return {"padding": inputs[0].zero}

    def step(self, inputs: Sequence[np.ndarray], parameters: Parameters) -> np.ndarray:
        """See ``quantized.TileOperator``."""
        pixels = inputs[0].astype(np.int32)
        padding = parameters["padding"] if self.counts_padding else np.zeros(pixels.shape[2], np.int32)
        sums = self.window.gather(pixels, padding).sum((2, 3))
        inside = self.window.gather(np.ones((*pixels.shape[:2], 1), np.int32), np.array([self.counts_padding]))
        counts = inside.sum((2, 3))
        # Rounds half up, in whole numbers.
        means: np.ndarray = (2 * sums + counts) // (2 * counts)
        return means.astype(np.uint8)

    def evaluate(self, inputs: Sequence[np.ndarray], parameters: Parameters) -> np.ndarray:
        """See ``Convolution.evaluate``."""
        total = reduce(np.add, self.window.shifts(self.window.pad(inputs[0], 0.0)))
        count = self.window.kernel[0] * self.window.kernel[1]
        if self.counts_padding:
            return total / np.float32(count)
        inside = np.ones((*inputs[0].shape[:2], 1), np.float32)
        counts = reduce(np.add, self.window.shifts(self.window.pad(inside, 0.0)))
        mean: np.ndarray = total / counts
        return mean
