"""The integers of one layer, and what every kernel set must offer.

Why no sum can go wrong. A message that a kernel multiplies has 16 bits, a weight too, so each product fits int32. A sum
of products may not (see ``CheckedConv.sum_bound``), and it need not: all kernels add in int32 with wrap-around, none
saturates, so a sum is right modulo 2**32 whatever its size and the order of its terms. The accumulator has 24 bits and
wraps as well. As 2**24 divides 2**32, its value is exact. The same holds where a message is split into bytes, or into
its nearest 16-bit value and a rest, because all parts are added modulo 2**32. Sigma is int32 and wraps by definition
(see ``reference``).

What could go wrong silently is checked when a network is loaded: weights, biases and thresholds that do not fit their
integers, more channels than 16-bit event counts can hold, and inputs that are too large for 32-bit positions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, TypeAlias

import numpy as np

from ..core.arithmetic import unit_exp
from ..core.events import ChangeMap

MAX_CHANNELS = (1 << 16) - 1
MAX_IMAGE_PIXELS = (1 << 15) - 1
"""Pixels of a side: the position of an output is one int32, half of it the row and half the column."""

MAX_VALUES = (1 << 31) - 1
"""Values of a layer: their positions are int32."""

MAX_MESSAGE = 1 << 15
"""Largest magnitude of a message that kernels multiply; larger ones are split (see ``overflow``)."""

LayerState: TypeAlias = tuple[np.ndarray, np.ndarray | None]
"""Sigma and reference of a layer, int32 [rows, cols, channels]; a head has no reference."""


@dataclass(frozen=True)
class CheckedConv:
    """One convolution with its neurons, whose integers have been checked against what the kernels rely on.

    Attributes:
        weight: int16 [out, in / groups, ky, kx].
        bias: int32 [out] at 2**(10 + exponent); None for a head.
        threshold: At 2**(10 + exponent); 0 for a head.
        stride: Step between windows, pixels.
        padding: Zeros on each side, pixels.
        exponent: Of the weights; a message is a change shifted right by it.
        groups: Parts of the channels, see ``network.chain.ConvSpec``.
    """

    weight: np.ndarray
    bias: np.ndarray | None
    threshold: int
    stride: int
    padding: int
    exponent: int
    groups: int

    @classmethod
    def of(cls, spec: Any) -> CheckedConv:
        """Checks and converts a trained layer.

        Args:
            spec: A ``network.chain.ConvSpec``.

        Returns:
            The same layer in the engine's integers.

        Raises:
            ValueError: A weight does not fit 16 bits, a bias or threshold does not fit 32 bits at the scale of sigma,
                or there are too many channels.
        """
        limit = np.iinfo(np.int16)
        if spec.weight.min() < limit.min or spec.weight.max() > limit.max:
            raise ValueError(f"{spec.name}: weights must fit 16 signed bits")
        if max(spec.out_channels, spec.in_channels) > MAX_CHANNELS:
            raise ValueError(f"{spec.name}: at most {MAX_CHANNELS} channels")
        weight = spec.weight.astype(np.int16)
        if spec.bias is None:
            return cls(weight, None, 0, spec.stride, spec.padding, spec.exponent, spec.groups)
        shift = unit_exp(spec.exponent)
        largest = 1 << (31 - shift)
        if spec.bias.min() < -largest or max(spec.bias.max(), spec.threshold) >= largest:
            raise ValueError(f"{spec.name}: biases and threshold must fit {32 - shift} signed bits")
        bias = spec.bias.astype(np.int32) << shift
        return cls(weight, bias, spec.threshold << shift, spec.stride, spec.padding, spec.exponent,
                   spec.groups)

    @property
    def is_head(self) -> bool:
        """Whether the neurons only integrate."""
        return self.bias is None

    @property
    def out_channels(self) -> int:
        """Output channels."""
        return int(self.weight.shape[0])

    @property
    def in_channels(self) -> int:
        """Input channels."""
        return int(self.weight.shape[1]) * self.groups

    @property
    def size(self) -> int:
        """Side of the square window, pixels."""
        return int(self.weight.shape[2])

    @property
    def sum_bound(self) -> int:
        """An upper bound of the magnitude of any sum of 16-bit messages times weights."""
        weights = np.abs(self.weight.astype(np.int64)).reshape(self.out_channels, -1)
        return int(weights.sum(axis=1).max()) * MAX_MESSAGE

    def padded_bias(self, channels: int) -> np.ndarray:
        """Returns the bias with zeros up to ``channels``, int32; all zeros for a head."""
        bias = np.zeros(channels, np.int32)
        if self.bias is not None:
            bias[:self.out_channels] = self.bias
        return bias

    def output_length(self, length: int) -> int:
        """Returns the outputs along a side of ``length`` inputs; less than 1 when the window does not fit."""
        return (length + 2 * self.padding - self.size) // self.stride + 1

    def output_size(self, rows: int, cols: int) -> tuple[int, int]:
        """Computes the size of the output.

        Args:
            rows: Rows of the input.
            cols: Columns of the input.

        Returns:
            Rows and columns of the output.

        Raises:
            ValueError: There would be no output, or inputs or outputs are too large for their positions.
        """
        size = self.output_length(rows), self.output_length(cols)
        if min(size) < 1:
            raise ValueError(f"an input of {cols}x{rows} is too small for a {self.size}x{self.size} kernel")
        for (height, width), channels in (((rows, cols), self.in_channels), (size, self.out_channels)):
            if max(height, width) > MAX_IMAGE_PIXELS or height * width * channels > MAX_VALUES:
                raise ValueError(f"a layer of {width}x{height} pixels with {channels} channels is too large")
        return size

    @cached_property
    def tap_major_weights(self) -> np.ndarray:
        """The weights as int16 [ky, kx, in, out / groups], flat: what one event adds is contiguous."""
        groups = self.weight.reshape(self.groups, -1, *self.weight.shape[1:])
        return np.ascontiguousarray(groups.transpose(3, 4, 0, 2, 1)).ravel()

    def reach(self, length: int) -> np.ndarray:
        """Returns, for each of ``length`` inputs along a side, the outputs whose window holds it: int32 [length]."""
        windows = np.arange(self.output_length(length))[:, None] * self.stride - self.padding + np.arange(self.size)
        inside = windows[(windows >= 0) & (windows < length)]
        return np.bincount(inside, minlength=length).astype(np.int32)


@dataclass(frozen=True)
class StepTotals:
    """Counts of one frame.

    Attributes:
        layer_events: Events of each layer except the head.
        synops: Synaptic operations of each layer.
    """

    layer_events: tuple[int, ...]
    synops: tuple[int, ...]

    @classmethod
    def silent(cls, layers: int) -> StepTotals:
        """Returns the counts of a frame without events."""
        return cls((0,) * (layers - 1), (0,) * layers)


ProfileHook: TypeAlias = Callable[[int], None]
"""Called after each part of a step: with -1 after the input, then with the number of each layer."""


def no_profile_hook(part: int) -> None:
    """Ignores the call, for steps that are not profiled."""


class LayerStack(Protocol):
    """All layers of one camera in one kernel set: their state, and how their steps are computed."""

    layers: list[Any]
    counting: bool = True
    """Off: counts may be wrong, and no time is spent on them."""

    def step(self, index: np.ndarray, message: np.ndarray, profile_hook: ProfileHook = no_profile_hook) -> StepTotals:
        """Takes one frame of events through all layers; arguments as for ``EventEngine.step``."""

    def step_changes(self, changes: ChangeMap, profile_hook: ProfileHook = no_profile_hook) -> StepTotals:
        """Takes one frame of the encoder's map through all layers."""
        return self.step(*changes.list_changes(), profile_hook)

    def clear(self) -> None:
        """Removes what an interrupted step leaves behind; sigma and reference stay."""

    def load(self, states: Sequence[LayerState]) -> None:
        """Sets sigma and reference of all layers."""

    def state(self) -> list[np.ndarray]:
        """Returns the arrays that hold sigma and reference of all layers, in this kernel set's own order."""

    def read(self, number: int) -> LayerState:
        """Returns sigma and reference of a layer, to be read only."""
