"""Convolution with bias and activation, also depthwise or in groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...network.graph import Parameters, Shape
from .activations import IDENTITY, Activation
from .geometry import Window


@dataclass(frozen=True)
class Convolution:
    """A convolution.

    Parameters of a float graph: ``weight`` float32 [out, rows, cols, in / groups], ``bias`` float32 [out]. Of a
    quantized graph: ``weight`` int8, ``offset`` int32, ``multiplier`` and ``bias`` float32; of 8-bit outputs also
    ``scale`` float32 and ``zero`` uint8, all [out].

    Attributes:
        window: Kernel, stride, padding.
        groups: Of channels; depthwise if there is one input channel in each.
        activation: Applied to the sum.
        is_head: Whether the output stays float32 instead of being quantized.
    """

    window: Window
    groups: int = 1
    activation: Activation = IDENTITY
    is_head: bool = False

    def output_shape(self, inputs: Sequence[Shape], parameters: Parameters) -> Shape:
        """See ``network.graph.Operator``."""
        rows, cols, channels = inputs[0]
        weight = parameters["weight"]
        if weight.shape[3] * self.groups != channels:
            raise ValueError(f"weights for {weight.shape[3] * self.groups} channels, the input has {channels}")
        return (*self.window.output_size(rows, cols), len(weight))

    def output_stride(self, inputs: Sequence[int]) -> int:
        """See ``network.graph.Operator``."""
        return inputs[0] * self.window.stride

    def count_macs(self, inputs: Sequence[Shape], parameters: Parameters) -> int:
        """See ``network.graph.Operator``."""
        rows, cols, _ = self.output_shape(inputs, parameters)
        return rows * cols * int(parameters["weight"].size)
