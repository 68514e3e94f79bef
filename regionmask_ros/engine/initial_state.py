"""The state before frame 0: each layer has fired on its biases alone, as often as in Lava's pipeline.

No event has arrived, so all neurons of a channel are equal, except near the edges, where windows hold padding. The
state of a small input therefore gives that of a large one: its edges, and its middle repeated. The plain form is
``reference.ReferenceNetwork``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..core.arithmetic import Rule
from .generic.stack import GenericStack
from .layer import CheckedConv, LayerState


def initial_state(convs: Sequence[CheckedConv], input_wh: tuple[int, int], rule: Rule) -> list[LayerState]:
    """Computes the state of every layer before frame 0; layer i, from 1, has taken i + 1 steps.

    Args:
        convs: The layers.
        input_wh: Width and height of the input.
        rule: When neurons send.

    Returns:
        Sigma and reference of each layer.
    """
    width, height = input_wh
    small_wh = min_warm_up_length(convs, width), min_warm_up_length(convs, height)
    stack = GenericStack(tuple(convs), small_wh, rule)
    for frame in range(-(len(convs) + 1), 0):
        stack.run_ahead(max(0, -frame - 2))
    states: list[LayerState] = []
    rows, cols = height, width
    for number, conv in enumerate(convs):
        rows, cols = conv.output_size(rows, cols)
        sigma, reference = stack.read(number)
        states.append((stretch_state(sigma, rows, cols),
                       None if reference is None else stretch_state(reference, rows, cols)))
    return states


def min_warm_up_length(convs: Sequence[CheckedConv], length: int) -> int:
    """Finds the smallest input side whose edges and middle equal those of ``length``.

    It differs from ``length`` by a multiple of all strides, so that windows meet the far edge in the same way.

    Args:
        convs: The layers.
        length: Side of the input, pixels.

    Returns:
        The smallest such side; ``length`` itself when there is none.
    """
    step = int(np.prod([conv.stride for conv in convs]))
    for shorter in range(length % step, length, step):
        if _has_middle(convs, shorter):
            return shorter
    return length


def _has_middle(convs: Sequence[CheckedConv], length: int) -> bool:
    """Whether the neuron in the middle of every layer depends on neither edge."""
    near = far = 0
    for conv in convs:
        outputs = conv.output_length(length)
        # Outputs whose window holds padding or an input that depends on it: from the near edge, then from the far one.
        near = -(-(near + conv.padding) // conv.stride)
        clear = (length - far - conv.size + conv.padding) // conv.stride + 1
        far = outputs - clear
        if not near <= outputs // 2 < clear:
            return False
        length = outputs
    return True


def stretch_state(small: np.ndarray, rows: int, cols: int) -> np.ndarray:
    """Returns [rows, cols, channels] from a smaller or equal array by repeating its middle row and column."""
    lines, columns = (_repeat_middle(have, want) for have, want in zip(small.shape, (rows, cols)))
    stretched: np.ndarray = small[lines[:, None], columns]
    return stretched


def _repeat_middle(have: int, want: int) -> np.ndarray:
    """Indices, int64 [want], into ``have`` elements whose middle one is repeated."""
    place = np.arange(want)
    return np.where(place < have // 2, place, np.maximum(have // 2, place - (want - have)))
