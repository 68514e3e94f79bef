"""What every way of computing the layers starts from, and what it must offer.

Why no sum can overflow. A message that a kernel multiplies has 16 bits, a weight too, so each product fits int32. A
sum of products may not (see ``Convolution.sum_bound``), but it never has to: all kernels add in int32 with
wrap-around, none saturates, and so a sum is right modulo 2**32 whatever its size and whatever the order of its terms.
The accumulator has 24 bits, wraps as well, and 2**24 divides 2**32: its value is exact. The same holds where a
message is taken apart, into bytes or into its nearest 16-bit value and a rest, as all parts are added modulo 2**32.
Sigma is int32 and wraps by definition (see the twin).

What could go wrong silently is checked when a network is loaded: weights, biases and thresholds that do not fit their
integers, more channels than 16-bit counts of events can tell, and inputs whose values or sides 32-bit positions cannot.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from ..core.arithmetic import UNIT_EXP

MAX_CHANNELS = (1 << 16) - 1
MAX_IMAGE_PIXELS = (1 << 15) - 1
"""On a side: a place of an output is one int32, half line and half column."""

MAX_VALUES = (1 << 31) - 1
"""Of a layer: their positions are int32."""

MAX_MESSAGE = 1 << 15
"""Its size at most; larger ones travel in parts."""


@dataclass(frozen=True)
class Convolution:
    """One layer's integers, checked against what the kernels rely on.

    weight: int16 [out, in, ky, kx]. bias: int32 [out] at 2**16, None for a head. threshold: at 2**16, 0 for a head.
    """

    weight: np.ndarray
    bias: np.ndarray | None
    threshold: int
    stride: int
    padding: int

    @classmethod
    def of(cls, spec) -> Convolution:
        """From a ``ConvSpec``. Raises ValueError when a weight does not fit 16 bits, or a bias or threshold 22, or when
        there are more channels than the vector kernels' 16-bit counts of events can tell.
        """
        limit = np.iinfo(np.int16)
        if spec.weight.min() < limit.min or spec.weight.max() > limit.max:
            raise ValueError(f"{spec.name}: weights must fit 16 signed bits")
        if max(spec.weight.shape[:2]) > MAX_CHANNELS:
            raise ValueError(f"{spec.name}: at most {MAX_CHANNELS} channels")
        weight = spec.weight.astype(np.int16)
        if spec.bias is None:
            return cls(weight, None, 0, spec.stride, spec.padding)
        largest = 1 << (31 - UNIT_EXP)
        if spec.bias.min() < -largest or max(spec.bias.max(), spec.threshold) >= largest:
            raise ValueError(f"{spec.name}: biases and threshold must fit {32 - UNIT_EXP} signed bits")
        bias = spec.bias.astype(np.int32) << UNIT_EXP
        return cls(weight, bias, spec.threshold << UNIT_EXP, spec.stride, spec.padding)

    @property
    def is_head(self) -> bool:
        return self.bias is None

    @property
    def channels(self) -> int:
        return self.weight.shape[0]

    @property
    def in_channels(self) -> int:
        return self.weight.shape[1]

    @property
    def size(self) -> int:
        """Side of the kernel."""
        return self.weight.shape[2]

    @property
    def sum_bound(self) -> int:
        """What the size of a sum of 16-bit messages times weights cannot exceed: a bound, proven from the weights."""
        weights = np.abs(self.weight.astype(np.int64)).reshape(self.channels, -1)
        return int(weights.sum(axis=1).max()) * MAX_MESSAGE

    def output_size(self, rows: int, cols: int) -> tuple[int, int]:
        """Rows and columns of the outputs. Raises ValueError when there would be none, or when inputs or outputs are
        more than positions can tell.
        """
        size = tuple((n + 2 * self.padding - self.size) // self.stride + 1 for n in (rows, cols))
        if min(size) < 1:
            raise ValueError(f"an input of {cols}x{rows} is too small for a {self.size}x{self.size} kernel")
        for (height, width), channels in (((rows, cols), self.in_channels), (size, self.channels)):
            if max(height, width) > MAX_IMAGE_PIXELS or height * width * channels > MAX_VALUES:
                raise ValueError(f"a layer of {width}x{height} pixels with {channels} channels is too large")
        return size

    @cached_property
    def tap_major_weights(self) -> np.ndarray:
        """The weights as int16 [ky, kx, in, out], flat: what an event adds lies together. Made when first used."""
        return np.ascontiguousarray(self.weight.transpose(2, 3, 1, 0)).ravel()

    def reach(self, length: int) -> np.ndarray:
        """int32 [length]: outputs along one side, ``length`` inputs long, whose window holds an input."""
        count = (length + 2 * self.padding - self.size) // self.stride + 1
        windows = np.arange(count)[:, None] * self.stride - self.padding + np.arange(self.size)
        inside = windows[(windows >= 0) & (windows < length)]
        return np.bincount(inside, minlength=length).astype(np.int32)


@dataclass(frozen=True)
class StepTotals:
    """Counts of one frame: events of each layer but the head, synaptic operations of each layer."""

    layer_events: tuple[int, ...]
    synops: tuple[int, ...]

    @classmethod
    def silent(cls, layers: int) -> StepTotals:
        """Of a frame without events, through so many layers."""
        return cls((0,) * (layers - 1), (0,) * layers)


ProfileHook = Callable[[int], None]
"""Told each part of a step once it is done, for a clock: -1 for the input, then the number of each layer."""


def no_profile_hook(part: int) -> None:
    """Nobody looks at the clock."""


class Layers(Protocol):
    """The layers of one camera: their state, and one way of computing their steps."""

    layers: list
    counting: bool = True
    """Off: totals may be wrong, and nothing is done for them alone."""

    def step(self, index: np.ndarray, message: np.ndarray, profile_hook: ProfileHook = no_profile_hook) -> StepTotals:
        """One frame of events (see ``EventEngine.step``) through all layers."""

    def step_changes(self, changes, profile_hook: ProfileHook = no_profile_hook) -> StepTotals:
        """One frame of the encoder's ``ChangeMap`` through all layers."""
        return self.step(*changes.list_changes(), profile_hook)

    def clear(self) -> None:
        """Empties what a step leaves behind when it is broken off; sigma and reference stay."""

    def load(self, states: Sequence[tuple[np.ndarray, np.ndarray | None]]) -> None:
        """Sets sigma and reference of all layers, each as ``read`` returns them."""

    def state(self) -> list[np.ndarray]:
        """The arrays that hold sigma and reference of all layers, in this path's own order."""

    def read(self, number: int) -> tuple[np.ndarray, np.ndarray | None]:
        """(sigma, reference) of a layer, int32 [rows, cols, channels], for looking at; a head has no reference."""
