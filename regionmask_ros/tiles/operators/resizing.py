"""Enlargement by a whole factor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...network.graph import Parameters, Shape


@dataclass(frozen=True)
class Resize:
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

    def count_macs(self, inputs: Sequence[Shape], parameters: Parameters) -> int:
        """See ``network.graph.Operator``."""
        return 0
