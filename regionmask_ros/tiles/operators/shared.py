"""What operators have in common: where they read, what their output's bytes mean, and what has no weights.

An operator inherits from one class of each kind that fits it, and writes down the rest: its idea.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...network.graph import Parameters, Shape
from .geometry import Window
from .quantized import Quantization


@dataclass(frozen=True)
class Windowed:
    """An operator with a window that slides over its input.

    Attributes:
        window: Kernel, stride, padding.
    """

    window: Window

    def output_stride(self, inputs: Sequence[int]) -> int:
        """See ``network.graph.Operator``."""
        return inputs[0] * self.window.stride

    def reads(self, axis: int, first: int, last: int) -> tuple[int, int]:
        """See ``quantized.TileOperator``."""
        return self.window.reads(axis, first, last)


class Pixelwise:
    """An operator that makes a pixel of the pixels at the same place."""

    def output_stride(self, inputs: Sequence[int]) -> int:
        """See ``network.graph.Operator``."""
        if len(set(inputs)) != 1:
            raise ValueError(f"inputs of different strides: {', '.join(map(str, inputs))}")
        return inputs[0]

    def reads(self, axis: int, first: int, last: int) -> tuple[int, int]:
        """See ``quantized.TileOperator``."""
        return first, last


class Weightless:
    """An operator that has no weights, and no parameters at all unless it says which."""

    def count_macs(self, inputs: Sequence[Shape], parameters: Parameters) -> int:
        """See ``network.graph.Operator``."""
        return 0

    def quantize(self, parameters: Parameters, inputs: Sequence[Quantization],
                 output: Quantization | None) -> dict[str, np.ndarray]:
        """See ``quantized.TileOperator``."""
        return {}


class Computing:
    """An operator that computes new values: the quantization of its output is free to choose."""

    def output_quantization(self, inputs: Sequence[Quantization]) -> Quantization | None:
        """See ``quantized.TileOperator``."""
        return None


class Resampling(Weightless):
    """An operator whose values stay in the range of its one input: their bytes mean the same."""

    def output_quantization(self, inputs: Sequence[Quantization]) -> Quantization:
        """See ``quantized.TileOperator``."""
        return inputs[0]
