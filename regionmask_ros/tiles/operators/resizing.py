"""Enlargement by a whole factor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...network.graph import Parameters, Shape
from .shared import Resampling


@dataclass(frozen=True)
class Resize(Resampling):
    """Every pixel becomes a block of pixels.

    Attributes:
        factor: Side of the block.
        is_linear: Whether it interpolates between pixels, the centers of blocks; the factor is 2 then.
    """

    factor: int
    is_linear: bool = False

    def output_shape(self, inputs: Sequence[Shape], parameters: Parameters) -> Shape:
        """See ``network.graph.Operator``."""
        rows, cols, channels = inputs[0]
        return rows * self.factor, cols * self.factor, channels

    def output_stride(self, inputs: Sequence[int]) -> int:
        """See ``network.graph.Operator``."""
        if inputs[0] % self.factor:
            raise ValueError(f"enlarged by {self.factor} at a stride of {inputs[0]}")
        return inputs[0] // self.factor

    def step(self, inputs: Sequence[np.ndarray], parameters: Parameters) -> np.ndarray:
        """See ``quantized.TileOperator``."""
        pixels = inputs[0]
        if not self.is_linear:
            return pixels.repeat(self.factor, 0).repeat(self.factor, 1)
        # A pixel weighs 3/4 and its neighbor on the output pixel's side 1/4, in both directions; edges repeat.
        sums = _weigh_neighbors(_weigh_neighbors(pixels.astype(np.int32)).swapaxes(0, 1)).swapaxes(0, 1)
        return ((sums + 8) >> 4).astype(np.uint8)

    def reads(self, axis: int, first: int, last: int) -> tuple[int, int]:
        """See ``quantized.TileOperator``."""
        if self.is_linear:
            return (first - 1) // 2, (last + 1) // 2
        return first // self.factor, last // self.factor

    def evaluate(self, inputs: Sequence[np.ndarray], parameters: Parameters) -> np.ndarray:
        """See ``Convolution.evaluate``."""
        if self.is_linear:
            tall = _weigh_neighbors(inputs[0]).swapaxes(0, 1)
            return _weigh_neighbors(tall).swapaxes(0, 1) / np.float32(16)
        return inputs[0].repeat(self.factor, 0).repeat(self.factor, 1)


def _weigh_neighbors(rows: np.ndarray) -> np.ndarray:
    """Doubles the rows: each becomes 3 of itself plus 1 of the one above, then 3 of itself plus 1 of the one below."""
    before, after = np.concatenate([rows[:1], rows[:-1]]), np.concatenate([rows[1:], rows[-1:]])
    return np.stack([3 * rows + before, 3 * rows + after], 1).reshape(2 * len(rows), *rows.shape[1:])
