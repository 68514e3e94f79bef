"""The state before frame 0: each layer has fired on its biases alone, as often as Lava's pipeline lets it (``reference_network``).

Nothing has come from outside, so all neurons of a channel do the same, but for those near enough to an edge to feel the
padding. A small input therefore tells the state of a large one: its edges, and its middle repeated.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..core.arithmetic import Rule
from .generic.layers import PortableLayers, pack
from .layer import Convolution

State = "tuple[np.ndarray, np.ndarray | None]"
"""Sigma and reference of a layer, as ``Layers.read`` returns them."""


def initial_state(convolutions: Sequence[Convolution], input_wh: tuple[int, int], rule: Rule) -> list[State]:
    """The state of every layer for that input size; layer i, from 1, has worked i + 1 times."""
    small_wh = tuple(min_warm_up_length(convolutions, length) for length in input_wh)
    layers = PortableLayers(pack(tuple(convolutions)), small_wh, rule)
    count = len(layers.layers)
    for frame in range(-(count + 1), 0):
        layers.run_ahead(max(0, -frame - 2))
    states, (cols, rows) = [], input_wh
    for number, spec in enumerate(convolutions):
        rows, cols = spec.output_size(rows, cols)
        states.append(tuple(None if one is None else stretch_state(one, rows, cols) for one in layers.read(number)))
    return states


def min_warm_up_length(convolutions: Sequence[Convolution], length: int) -> int:
    """The least length of an input's side whose edges and middle are those of ``length``; itself when none is less.

    It differs by a multiple of all strides, so that windows meet the far edge in the same way.
    """
    step = int(np.prod([spec.stride for spec in convolutions]))
    for less in range(length % step, length, step):
        if _has_middle(convolutions, less):
            return less
    return length


def _has_middle(convolutions: Sequence[Convolution], length: int) -> bool:
    """Whether the neuron in the middle of every layer is out of reach of both edges."""
    near = far = 0
    for spec in convolutions:
        outputs = (length + 2 * spec.padding - spec.size) // spec.stride + 1
        # Outputs from the near edge on whose window holds padding, or an input that feels it; then from the far one.
        near = -(-(near + spec.padding) // spec.stride)
        clear = (length - far - spec.size + spec.padding) // spec.stride + 1
        far = outputs - clear
        if not near <= outputs // 2 < clear:
            return False
        length = outputs
    return True


def stretch_state(small: np.ndarray, rows: int, cols: int) -> np.ndarray:
    """[rows, cols, channels] from a smaller or equal one: its middle line and column are repeated."""
    lines, columns = (_repeating_middle(have, want) for have, want in zip(small.shape, (rows, cols)))
    return small[lines[:, None], columns]


def _repeating_middle(have: int, want: int) -> np.ndarray:
    place = np.arange(want)
    return np.where(place < have // 2, place, np.maximum(have // 2, place - (want - have)))
