"""Pools: the largest value, or the mean, of a window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...network.graph import Parameters, Shape
from .geometry import Window


@dataclass(frozen=True)
class MaxPool:
    """The largest value of the part of a window that is inside the image.

    Attributes:
        window: Its size, stride and padding.
    """

    window: Window

    def output_shape(self, inputs: Sequence[Shape], parameters: Parameters) -> Shape:
        """See ``network.graph.Operator``."""
        return (*self.window.output_size(*inputs[0][:2]), inputs[0][2])

    def output_stride(self, inputs: Sequence[int]) -> int:
        """See ``network.graph.Operator``."""
        return inputs[0] * self.window.stride

    def count_macs(self, inputs: Sequence[Shape], parameters: Parameters) -> int:
        """See ``network.graph.Operator``."""
        return 0


@dataclass(frozen=True)
class AveragePool:
    """The mean of a window.

    Attributes:
        window: Its size, stride and padding.
        counts_padding: Whether the padding counts as zeros; otherwise only what is inside the image counts.
    """

    window: Window
    counts_padding: bool = False

    def output_shape(self, inputs: Sequence[Shape], parameters: Parameters) -> Shape:
        """See ``network.graph.Operator``."""
        return (*self.window.output_size(*inputs[0][:2]), inputs[0][2])

    def output_stride(self, inputs: Sequence[int]) -> int:
        """See ``network.graph.Operator``."""
        return inputs[0] * self.window.stride

    def count_macs(self, inputs: Sequence[Shape], parameters: Parameters) -> int:
        """See ``network.graph.Operator``."""
        return 0
