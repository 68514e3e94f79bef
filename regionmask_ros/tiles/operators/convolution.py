"""Convolution with bias and activation, also depthwise or in groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...network.graph import Parameters, Shape
from .activations import IDENTITY, Activation
from .quantized import Quantization, output_parameters, requantize
from .shared import Computing, Windowed

LARGEST_WEIGHT = 127
"""In steps, of 8 bits."""


def choose_steps(weights: np.ndarray) -> np.ndarray:
    """Chooses a step for the weights of each output channel.

    Args:
        weights: Real numbers, float64 [..., inputs].

    Returns:
        The steps, float32 [...]: the largest weight is ``LARGEST_WEIGHT`` of them.
    """
    steps: np.ndarray = np.maximum(np.abs(weights).max(-1), 1e-12) / LARGEST_WEIGHT
    return steps.astype(np.float32)


@dataclass(frozen=True)
class Convolution(Windowed, Computing):
    """A convolution.

    Parameters of a float graph: ``weight`` float32 [out, rows, cols, in / groups], ``bias`` float32 [out]. Of a
    quantized graph: ``weight`` int8, ``offset`` int32, ``multiplier`` and ``bias`` float32; of 8-bit outputs also
    ``scale`` float32 and ``zero`` uint8, all [out]; ``padding`` uint8 [in], the value of pixels outside.

    Attributes:
        window: Kernel, stride, padding.
        groups: Of channels; depthwise if there is one input channel in each.
        activation: Applied to the sum.
        is_head: Whether the output stays float32 instead of being quantized.
    """

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

    def quantize(self, parameters: Parameters, inputs: Sequence[Quantization],
                 output: Quantization | None) -> dict[str, np.ndarray]:
        """See ``quantized.TileOperator``."""
        # With real = (byte - zero) * step + shift of the input, the step becomes part of the weights, which are then
        # rounded to -127 .. 127 with one step (multiplier) an output channel; zero becomes offset, shift bias.
        (source,) = inputs
        weight = parameters["weight"].astype(np.float64)
        by_group = (self.groups, -1, *weight.shape[1:])
        spread = (self.groups, 1, 1, 1, -1)
        shifts = (weight.reshape(by_group) * source.shift.reshape(spread)).reshape(len(weight), -1).sum(1)
        scaled = (weight.reshape(by_group) * source.step.reshape(spread)).reshape(weight.shape)
        multiplier = choose_steps(scaled.reshape(len(weight), -1))
        rounded = np.clip(np.rint(scaled / multiplier[:, None, None, None]), -LARGEST_WEIGHT, LARGEST_WEIGHT)
        zeros = source.zero.astype(np.float64).reshape(spread)
        offset = -(rounded.reshape(by_group) * zeros).reshape(len(weight), -1).sum(1)
        return {"weight": rounded.astype(np.int8), "offset": offset.astype(np.int32), "multiplier": multiplier,
                "bias": (parameters["bias"] + shifts).astype(np.float32), "padding": source.zero,
                **output_parameters(output)}

    def step(self, inputs: Sequence[np.ndarray], parameters: Parameters) -> np.ndarray:
        """See ``quantized.TileOperator``."""
        windows = self.window.gather(inputs[0], parameters["padding"])
        rows, cols = windows.shape[:2]
        weight = parameters["weight"]
        # float64, for the sake of NumPy's fast matrix product: all values are whole and below 2**53, so it is exact.
        values = windows.reshape(rows * cols, *windows.shape[2:4], self.groups, -1).transpose(3, 0, 1, 2, 4)
        values = values.reshape(self.groups, rows * cols, -1).astype(np.float64)
        weights = weight.reshape(self.groups, len(weight) // self.groups, -1).astype(np.float64)
        sums = (values @ weights.transpose(0, 2, 1)).transpose(1, 0, 2).reshape(rows, cols, -1).astype(np.int32)
        sums += parameters["offset"]
        result = self.activation.apply(sums.astype(np.float32) * parameters["multiplier"] + parameters["bias"])
        return result if self.is_head else requantize(result, parameters)

    def count_macs(self, inputs: Sequence[Shape], parameters: Parameters) -> int:
        """See ``network.graph.Operator``."""
        rows, cols, _ = self.output_shape(inputs, parameters)
        return rows * cols * int(parameters["weight"].size)

    def evaluate(self, inputs: Sequence[np.ndarray], parameters: Parameters) -> np.ndarray:
        """Computes the output in float32.

        Args:
            inputs: One, float32 [rows, cols, channels].
            parameters: Of a float graph.

        Returns:
            float32 [rows, cols, channels].
        """
        padded, weight = self.window.pad(inputs[0], 0.0), parameters["weight"]
        is_depthwise = weight.shape[3] == 1 and len(weight) == self.groups
        result = self._slide(padded, weight) if is_depthwise else self._multiply(padded, weight)
        result += parameters["bias"]
        return self.activation.evaluate(result)

    def _slide(self, padded: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """A depthwise convolution: for each place of the kernel, the image times a weight for each channel."""
        places = zip(self.window.shifts(padded), weight.reshape(len(weight), -1).T)
        result: np.ndarray = np.multiply(*next(places))
        product = np.empty_like(result)
        for shifted, factors in places:
            result += np.multiply(shifted, factors, out=product)
        return result

    def _multiply(self, padded: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Any convolution, as a product of matrices for each group."""
        shifted = list(self.window.shifts(padded))
        width, results = weight.shape[3], []
        for group, rows in enumerate(np.split(weight, self.groups)):
            parts = [part[..., group * width:(group + 1) * width] for part in shifted]
            panel = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)
            results.append(panel @ rows.reshape(len(rows), -1).T)
        return results[0] if len(results) == 1 else np.concatenate(results, axis=-1)
