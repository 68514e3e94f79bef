"""Operators that combine or change values pixel by pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...network.graph import Parameters, Shape
from .activations import IDENTITY, Activation
from .quantized import Quantization, output_parameters, requantize
from .shared import Computing, Pixelwise, Weightless


@dataclass(frozen=True)
class _SameShape(Pixelwise, Computing, Weightless):
    """What these operators have in common: all inputs have one shape, and the output has it, too."""

    activation: Activation = IDENTITY

    def output_shape(self, inputs: Sequence[Shape], parameters: Parameters) -> Shape:
        """See ``network.graph.Operator``."""
        if len(set(inputs)) != 1:
            raise ValueError(f"inputs of different shapes: {', '.join(map(str, inputs))}")
        return inputs[0]


@dataclass(frozen=True)
class Add(_SameShape):
    """The sum of two tensors, then the activation.

    Parameters of a quantized graph: ``factors`` float32 [2, channels], ``bias`` and ``scale`` float32, ``zero`` uint8
    [channels].
    """

    def quantize(self, parameters: Parameters, inputs: Sequence[Quantization],
                 output: Quantization | None) -> dict[str, np.ndarray]:
        """See ``quantized.TileOperator``."""
        offsets = [part.shift - part.zero * part.step.astype(np.float64) for part in inputs]
        return {"factors": np.stack([part.step for part in inputs]), "bias": sum(offsets).astype(np.float32),
                **output_parameters(output)}

    def step(self, inputs: Sequence[np.ndarray], parameters: Parameters) -> np.ndarray:
        """See ``quantized.TileOperator``."""
        first, second = (values.astype(np.float32) * factor
                         for values, factor in zip(inputs, parameters["factors"], strict=True))
        return requantize(self.activation.apply(first + second + parameters["bias"]), parameters)

    def evaluate(self, inputs: Sequence[np.ndarray], parameters: Parameters) -> np.ndarray:
        """See ``Convolution.evaluate``."""
        return self.activation.evaluate(inputs[0] + inputs[1])


@dataclass(frozen=True)
class Multiply(_SameShape):
    """The product of two tensors, then the activation.

    Parameters of a quantized graph: ``zeros`` and ``factors`` float32 [2, channels], ``scale`` float32 and ``zero``
    uint8 [channels].
    """

    def quantize(self, parameters: Parameters, inputs: Sequence[Quantization],
                 output: Quantization | None) -> dict[str, np.ndarray]:
        """See ``quantized.TileOperator``."""
        return {"zeros": np.stack([part.zero - part.shift / part.step for part in inputs]).astype(np.float32),
                "factors": np.stack([part.step for part in inputs]), **output_parameters(output)}

    def step(self, inputs: Sequence[np.ndarray], parameters: Parameters) -> np.ndarray:
        """See ``quantized.TileOperator``."""
        first, second = ((values.astype(np.float32) - zero) * factor for values, zero, factor
                         in zip(inputs, parameters["zeros"], parameters["factors"], strict=True))
        return requantize(self.activation.apply(first * second), parameters)

    def evaluate(self, inputs: Sequence[np.ndarray], parameters: Parameters) -> np.ndarray:
        """See ``Convolution.evaluate``."""
        return self.activation.evaluate(inputs[0] * inputs[1])


@dataclass(frozen=True)
class Activate(_SameShape):
    """Activation of ``factor * value + addend``, both of a channel; of one tensor.

    Parameters of a float graph: ``factor`` and ``addend`` float32 [channels]. Of a quantized graph: ``multiplier``,
    ``bias`` and ``scale`` float32, ``zero`` uint8.
    """

    def quantize(self, parameters: Parameters, inputs: Sequence[Quantization],
                 output: Quantization | None) -> dict[str, np.ndarray]:
        """See ``quantized.TileOperator``."""
        (source,) = inputs
        factor = parameters["factor"].astype(np.float64)
        bias = parameters["addend"] + factor * (source.shift - source.zero * source.step.astype(np.float64))
        return {"multiplier": (factor * source.step).astype(np.float32), "bias": bias.astype(np.float32),
                **output_parameters(output)}

    def step(self, inputs: Sequence[np.ndarray], parameters: Parameters) -> np.ndarray:
        """See ``quantized.TileOperator``."""
        result = inputs[0].astype(np.float32) * parameters["multiplier"] + parameters["bias"]
        return requantize(self.activation.apply(result), parameters)

    def evaluate(self, inputs: Sequence[np.ndarray], parameters: Parameters) -> np.ndarray:
        """See ``Convolution.evaluate``."""
        return self.activation.evaluate(inputs[0] * parameters["factor"] + parameters["addend"])
