"""Operators that only copy values to other places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...network.graph import Parameters, Shape
from .quantized import Quantization, join
from .shared import Pixelwise, Weightless


@dataclass(frozen=True)
class Concat(Pixelwise, Weightless):
    """The channels of all inputs, one after the other."""

    def output_shape(self, inputs: Sequence[Shape], parameters: Parameters) -> Shape:
        """See ``network.graph.Operator``."""
        if len({shape[:2] for shape in inputs}) != 1:
            raise ValueError(f"inputs of different sizes: {', '.join(map(str, inputs))}")
        return (*inputs[0][:2], sum(shape[2] for shape in inputs))

    def output_quantization(self, inputs: Sequence[Quantization]) -> Quantization:
        """See ``quantized.TileOperator``."""
        return join(inputs)

    def step(self, inputs: Sequence[np.ndarray], parameters: Parameters) -> np.ndarray:
        """See ``quantized.TileOperator``."""
        return np.concatenate(inputs, 2)

    def evaluate(self, inputs: Sequence[np.ndarray], parameters: Parameters) -> np.ndarray:
        """See ``Convolution.evaluate``."""
        return np.concatenate(inputs, axis=-1)


@dataclass(frozen=True)
class ChannelSelect(Pixelwise, Weightless):
    """Some channels, in any order: a split, a slice or a shuffle.

    Attributes:
        channels: Index of the input channel for each output channel.
    """

    channels: tuple[int, ...]

    def output_shape(self, inputs: Sequence[Shape], parameters: Parameters) -> Shape:
        """See ``network.graph.Operator``."""
        if not all(0 <= channel < inputs[0][2] for channel in self.channels):
            raise ValueError(f"channels up to {max(self.channels)}, the input has {inputs[0][2]}")
        return (*inputs[0][:2], len(self.channels))

    def output_quantization(self, inputs: Sequence[Quantization]) -> Quantization:
        """See ``quantized.TileOperator``."""
        return inputs[0].select(self.channels)

    def step(self, inputs: Sequence[np.ndarray], parameters: Parameters) -> np.ndarray:
        """See ``quantized.TileOperator``."""
        return np.ascontiguousarray(inputs[0][:, :, list(self.channels)])

    def evaluate(self, inputs: Sequence[np.ndarray], parameters: Parameters) -> np.ndarray:
        """See ``Convolution.evaluate``."""
        return inputs[0][..., list(self.channels)]


@dataclass(frozen=True)
class SpaceToDepth(Weightless):
    """Blocks of 2x2 pixels become channels.

    Attributes:
        order: Row and column inside of the block of each group of channels, in their order in the output.
    """

    order: tuple[tuple[int, int], ...] = ((0, 0), (1, 0), (0, 1), (1, 1))

    def output_shape(self, inputs: Sequence[Shape], parameters: Parameters) -> Shape:
        """See ``network.graph.Operator``."""
        rows, cols, channels = inputs[0]
        if rows % 2 or cols % 2:
            raise ValueError(f"{rows}x{cols} pixels have no blocks of 2x2")
        return rows // 2, cols // 2, channels * len(self.order)

    def output_stride(self, inputs: Sequence[int]) -> int:
        """See ``network.graph.Operator``."""
        return inputs[0] * 2

    def output_quantization(self, inputs: Sequence[Quantization]) -> Quantization:
        """See ``quantized.TileOperator``."""
        return join([inputs[0]] * len(self.order))

    def step(self, inputs: Sequence[np.ndarray], parameters: Parameters) -> np.ndarray:
        """See ``quantized.TileOperator``."""
        return np.concatenate([inputs[0][row::2, col::2] for row, col in self.order], 2)

    def reads(self, axis: int, first: int, last: int) -> tuple[int, int]:
        """See ``quantized.TileOperator``."""
        return 2 * first, 2 * last + 1

    def evaluate(self, inputs: Sequence[np.ndarray], parameters: Parameters) -> np.ndarray:
        """See ``Convolution.evaluate``."""
        return np.concatenate([inputs[0][row::2, col::2] for row, col in self.order], axis=-1)
