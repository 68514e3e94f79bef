"""What nodes of a branched network do with messages, beside convolutions with neurons.

A message says by how much a value has changed. So what only moves or adds values does the same with messages, and needs
no neurons: concatenation, a range of channels, enlargement, sums. A maximum is no sum, so a pool has neurons.

The classes have the methods of ``network.graph.Operator``. Tensors are [rows, cols, channels].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Route:
    """The way of one input's messages to the output of a node.

    Attributes:
        first: First channel that goes this way.
        last: One after the last channel.
        target: Where the first channel goes.
        factor: Side of the block of pixels that a pixel becomes.
    """

    first: int
    last: int
    target: int = 0
    factor: int = 1


class Wiring:
    """An operator without neurons: messages are moved, and where they meet, added."""

    def output_stride(self, inputs: Sequence[int]) -> int:
        """See ``network.graph.Operator``."""
        if len(set(inputs)) != 1:
            raise ValueError(f"inputs of different strides: {', '.join(map(str, inputs))}")
        return inputs[0]

    def count_macs(self, inputs: Sequence[Shape], parameters: Mapping[str, np.ndarray]) -> int:
        """See ``network.graph.Operator``."""
        return 0

    def output_shape(self, inputs: Sequence[Shape], parameters: Mapping[str, np.ndarray]) -> Shape:
        """See ``network.graph.Operator``."""
        raise NotImplementedError

    def routes(self, channels: Sequence[int]) -> tuple[Route, ...]:
        """The way of each input's messages.

        Args:
            channels: Of each input.

        Returns:
            A route for each input.
        """
        raise NotImplementedError

    def move(self, inputs: Sequence[np.ndarray]) -> np.ndarray:
        """Moves messages or values, in plain NumPy.

        Args:
            inputs: Numbers [rows, cols, channels].

        Returns:
            Numbers [rows, cols, channels].
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Concat(Wiring):
    """The channels of all inputs, one after the other."""

    def output_shape(self, inputs: Sequence[Shape], parameters: Mapping[str, np.ndarray]) -> Shape:
        """See ``network.graph.Operator``."""
        if len({shape[:2] for shape in inputs}) != 1:
            raise ValueError(f"inputs of different sizes: {', '.join(map(str, inputs))}")
        return (*inputs[0][:2], sum(shape[2] for shape in inputs))

    def routes(self, channels: Sequence[int]) -> tuple[Route, ...]:
        """See ``Wiring``."""
        return tuple(Route(0, count, sum(channels[:place])) for place, count in enumerate(channels))

    def move(self, inputs: Sequence[np.ndarray]) -> np.ndarray:
        """See ``Wiring``."""
        return np.concatenate(inputs, axis=2)


@dataclass(frozen=True)
class ChannelRange(Wiring):
    """Some neighboring channels of the input.

    Attributes:
        first: The first one.
        last: One after the last one.
    """

    first: int
    last: int

    def output_shape(self, inputs: Sequence[Shape], parameters: Mapping[str, np.ndarray]) -> Shape:
        """See ``network.graph.Operator``."""
        (shape,) = inputs
        if not 0 <= self.first < self.last <= shape[2]:
            raise ValueError(f"channels {self.first} to {self.last}, the input has {shape[2]}")
        return (*shape[:2], self.last - self.first)

    def routes(self, channels: Sequence[int]) -> tuple[Route, ...]:
        """See ``Wiring``."""
        return (Route(self.first, self.last),)

    def move(self, inputs: Sequence[np.ndarray]) -> np.ndarray:
        """See ``Wiring``."""
        return inputs[0][:, :, self.first:self.last]


@dataclass(frozen=True)
class Enlarge(Wiring):
    """Every pixel becomes a block of equal pixels.

    Attributes:
        factor: Side of the block.
    """

    factor: int

    def output_shape(self, inputs: Sequence[Shape], parameters: Mapping[str, np.ndarray]) -> Shape:
        """See ``network.graph.Operator``."""
        ((rows, cols, channels),) = inputs
        return rows * self.factor, cols * self.factor, channels

    def output_stride(self, inputs: Sequence[int]) -> int:
        """See ``network.graph.Operator``."""
        if inputs[0] % self.factor:
            raise ValueError(f"enlarged by {self.factor} at a stride of {inputs[0]}")
        return inputs[0] // self.factor

    def routes(self, channels: Sequence[int]) -> tuple[Route, ...]:
        """See ``Wiring``."""
        return (Route(0, channels[0], factor=self.factor),)

    def move(self, inputs: Sequence[np.ndarray]) -> np.ndarray:
        """See ``Wiring``."""
        return inputs[0].repeat(self.factor, 0).repeat(self.factor, 1)


@dataclass(frozen=True)
class Add(Wiring):
    """The sum of all inputs. Every message goes its own way, so it counts as often as it came."""

    def output_shape(self, inputs: Sequence[Shape], parameters: Mapping[str, np.ndarray]) -> Shape:
        """See ``network.graph.Operator``."""
        if len(set(inputs)) != 1:
            raise ValueError(f"inputs of different shapes: {', '.join(map(str, inputs))}")
        return inputs[0]

    def routes(self, channels: Sequence[int]) -> tuple[Route, ...]:
        """See ``Wiring``."""
        return tuple(Route(0, count) for count in channels)

    def move(self, inputs: Sequence[np.ndarray]) -> np.ndarray:
        """See ``Wiring``."""
        total: np.ndarray = np.sum(inputs, axis=0)
        return total


@dataclass(frozen=True)
class MaxPool:
    """Neurons that send changes of the largest value of their window.

    Attributes:
        size: Side of the square window.
        stride: Step between windows, pixels.
        padding: Pixels on each side that are outside of the image, less than the window; they never are the largest.
        threshold: A neuron fires when its change reaches (>=) the threshold, at scale 2^6. At least 1.
    """

    size: int
    stride: int
    padding: int
    threshold: int

    def __post_init__(self) -> None:
        if not (self.size >= 1 and self.stride >= 1 and 0 <= self.padding < self.size and self.threshold >= 1):
            raise ValueError(f"a pool of {self.size} with stride {self.stride}, padding {self.padding}, threshold "
                             f"{self.threshold}")

    def output_shape(self, inputs: Sequence[Shape], parameters: Mapping[str, np.ndarray]) -> Shape:
        """See ``network.graph.Operator``."""
        ((rows, cols, channels),) = inputs
        sides = [(side + 2 * self.padding - self.size) // self.stride + 1 for side in (rows, cols)]
        if min(sides) < 1:
            raise ValueError(f"a pool of {self.size} does not fit {cols}x{rows} pixels")
        return sides[0], sides[1], channels

    def output_stride(self, inputs: Sequence[int]) -> int:
        """See ``network.graph.Operator``."""
        return inputs[0] * self.stride

    def count_macs(self, inputs: Sequence[Shape], parameters: Mapping[str, np.ndarray]) -> int:
        """See ``network.graph.Operator``."""
        return 0
