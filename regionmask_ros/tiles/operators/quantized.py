"""Quantized tensors, and what an operator has to be for the tile engine.

The arithmetic is float32 in the order that is written here, without fused multiply-add, so that NumPy and every set of
kernels agree bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, cast

import numpy as np

from ...network.graph import Node, Operator, Parameters

LEVELS = 255
"""The largest quantized value; the smallest is 0."""


@dataclass(frozen=True, eq=False)
class Quantization:
    """Which real numbers the bytes of a tensor stand for: ``(byte - zero) * step + shift``, all of the channel.

    Padding is written as ``zero``: with no shift, the real 0 is exact.

    Attributes:
        step: float32 [channels], above 0.
        zero: uint8 [channels].
        shift: float32 [channels]. Pixels of an image may have one, where their mean is no whole number; what a network
            computes has none.
    """

    step: np.ndarray
    zero: np.ndarray
    shift: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))

    def __post_init__(self) -> None:
        if not self.shift.size:
            object.__setattr__(self, "shift", np.zeros(len(self.step), np.float32))

    @classmethod
    def of_range(cls, low: np.ndarray, high: np.ndarray) -> Quantization:
        """Chooses steps so that the bytes cover a range.

        Args:
            low: Smallest real value of each channel.
            high: Largest.

        Returns:
            The quantization; its range is the least that holds ``low``, ``high`` and 0.
        """
        low, high = np.minimum(low, 0.0).astype(np.float64), np.maximum(high, 0.0).astype(np.float64)
        step = np.maximum((high - low) / LEVELS, 1e-8)
        return cls(step.astype(np.float32), np.clip(np.rint(-low / step), 0, LEVELS).astype(np.uint8))

    @classmethod
    def of_pixels(cls, mean: np.ndarray, deviation: np.ndarray) -> Quantization:
        """Describes the bytes of an image.

        Args:
            mean: Byte of each channel that stands for 0; need not be whole.
            deviation: Bytes of each channel that stand for 1.

        Returns:
            The quantization.
        """
        mean, deviation = np.asarray(mean, np.float64), np.asarray(deviation, np.float64)
        zero = np.rint(mean)
        return cls((1 / deviation).astype(np.float32), zero.astype(np.uint8),
                   ((zero - mean) / deviation).astype(np.float32))

    def quantize(self, values: np.ndarray) -> np.ndarray:
        """Rounds real numbers [..., channels] to bytes."""
        rounded: np.ndarray = np.clip(np.rint((values - self.shift) / self.step + self.zero), 0, LEVELS)
        return rounded.astype(np.uint8)

    def dequantize(self, values: np.ndarray) -> np.ndarray:
        """Computes the real numbers, float32, that bytes [..., channels] stand for."""
        real: np.ndarray = (values.astype(np.float32) - self.zero.astype(np.float32)) * self.step + self.shift
        return real

    def select(self, channels: Sequence[int] | slice) -> Quantization:
        """The quantization of some channels."""
        index = channels if isinstance(channels, slice) else list(channels)
        return Quantization(self.step[index], self.zero[index], self.shift[index])


def join(parts: Sequence[Quantization]) -> Quantization:
    """The quantization of the channels of all parts, one after the other."""
    return Quantization(*(np.concatenate([getattr(part, name) for part in parts])
                          for name in ("step", "zero", "shift")))


def output_parameters(output: Quantization | None) -> dict[str, np.ndarray]:
    """The parameters ``scale`` and ``zero`` of an output; none of one that stays float32."""
    if output is None:
        return {}
    return {"scale": np.float32(1) / output.step, "zero": output.zero}


def requantize(values: np.ndarray, parameters: Parameters) -> np.ndarray:
    """Rounds what an activation gave to bytes.

    Args:
        values: float32 [..., channels].
        parameters: ``scale`` and ``zero`` [channels].

    Returns:
        uint8: ``rint(min(max(values * scale + zero, 0), 255))``, half to even.
    """
    scaled = values * parameters["scale"] + parameters["zero"].astype(np.float32)
    rounded: np.ndarray = np.rint(np.minimum(np.maximum(scaled, np.float32(0)), np.float32(LEVELS)))
    return rounded.astype(np.uint8)


class TileOperator(Operator, Protocol):
    """An operator that the tile engine runs."""

    def evaluate(self, inputs: Sequence[np.ndarray], parameters: Parameters) -> np.ndarray:
        """Computes the output in float32, for a float graph.

        Args:
            inputs: float32 [rows, cols, channels].
            parameters: Of the node.

        Returns:
            float32 [rows, cols, channels], possibly a view or an input itself.
        """

    def output_quantization(self, inputs: Sequence[Quantization]) -> Quantization | None:
        """The quantization that follows from those of the inputs; None where it is free to choose."""

    def quantize(self, parameters: Parameters, inputs: Sequence[Quantization],
                 output: Quantization | None) -> dict[str, np.ndarray]:
        """Computes the parameters of the quantized operator.

        Args:
            parameters: Of the float operator.
            inputs: Quantizations of the inputs.
            output: Quantization of the output; None for a head, which stays float32.

        Returns:
            The parameters, as the class says.
        """

    def step(self, inputs: Sequence[np.ndarray], parameters: Parameters) -> np.ndarray:
        """Computes the quantized output, exactly; slow.

        Args:
            inputs: uint8 [rows, cols, channels] each.
            parameters: Of the quantized operator.

        Returns:
            uint8 [rows, cols, channels]; float32 of a head.
        """

    def reads(self, axis: int, first: int, last: int) -> tuple[int, int]:
        """Which input pixels a range of output pixels reads: the rule for dirty tiles.

        Args:
            axis: 0 for rows, 1 for columns.
            first: Output pixel.
            last: Output pixel, included.

        Returns:
            First and last input pixel; they may be outside of the image.
        """


def operator_of(node: Node) -> TileOperator:
    """The operator of a node of a graph that was lowered for the tile engine."""
    return cast(TileOperator, node.operator)
