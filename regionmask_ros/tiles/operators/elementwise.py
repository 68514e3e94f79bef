"""Operators that combine or change values pixel by pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...network.graph import Parameters, Shape
from .activations import IDENTITY, Activation


@dataclass(frozen=True)
class _SameShape:
    """What these operators have in common: all inputs have one shape, and the output has it, too."""

    activation: Activation = IDENTITY

    def output_shape(self, inputs: Sequence[Shape], parameters: Parameters) -> Shape:
        """See ``network.graph.Operator``."""
        if len(set(inputs)) != 1:
            raise ValueError(f"inputs of different shapes: {', '.join(map(str, inputs))}")
        return inputs[0]

    def output_stride(self, inputs: Sequence[int]) -> int:
        """See ``network.graph.Operator``."""
        if len(set(inputs)) != 1:
            raise ValueError(f"inputs of different strides: {', '.join(map(str, inputs))}")
        return inputs[0]

    def count_macs(self, inputs: Sequence[Shape], parameters: Parameters) -> int:
        """See ``network.graph.Operator``."""
        return 0


@dataclass(frozen=True)
class Add(_SameShape):
    """The sum of two tensors, then the activation."""


@dataclass(frozen=True)
class Multiply(_SameShape):
    """The product of two tensors, then the activation."""


@dataclass(frozen=True)
class Activate(_SameShape):
    """Activation of ``factor * value + addend``, both of a channel; of one tensor.

    Parameters of a float graph: ``factor`` and ``addend`` float32 [channels].
    """
