"""Synaptic operations by output row: which part of the picture makes work.

The engine counts synops a layer. Where they fall follows from where events arose: an event at input row r reaches the
output rows whose kernel covers r, and in each of them as many outputs as its column allows.
"""

from __future__ import annotations

from typing import Callable

import numpy as np

from ..encoder import Events
from ..network.spec import ConvSpec, Network

LayerState = Callable[[int], "tuple[np.ndarray, np.ndarray | None]"]
"""From a layer's number to (sigma, reference), as ``EventEngine.state``."""


class RowSynops:
    """Follows one camera. An event changes its neuron's reference, so comparing references shows where events arose.

    Made before the first frame; ``step`` sees every frame.
    """

    def __init__(self, network: Network, input_wh: tuple[int, int], state: LayerState) -> None:
        self._state = state
        heights, widths = [input_wh[1]], [input_wh[0]]
        for rows, cols, _ in network.output_size(input_wh):
            heights.append(rows)
            widths.append(cols)
        self._channels = [layer.out_channels for layer in network.layers]
        self._row_reach = [_reach(layer, heights[i]) for i, layer in enumerate(network.layers)]
        self._col_reach = [_reach(layer, widths[i]).sum(axis=0) for i, layer in enumerate(network.layers)]
        self._references = [reference.copy() for reference in self._current()]

    def step(self, events: Events) -> list[np.ndarray]:
        """int64 [rows] for each layer, after the frame of these encoder events was computed."""
        height, width, channels = events.shape
        places = np.bincount(events.index // channels, minlength=height * width).reshape(height, width)
        counts = [places]
        for before, now in zip(self._references, self._current()):
            counts.append(np.count_nonzero(before != now, axis=2))
            before[:] = now
        return [
            self._row_reach[i] @ (counts[i] @ self._col_reach[i]) * self._channels[i]
            for i in range(len(self._channels))
        ]

    def _current(self) -> list[np.ndarray]:
        """References of all layers but the head."""
        return [self._state(number)[1] for number in range(len(self._channels) - 1)]


def _reach(layer: ConvSpec, length: int) -> np.ndarray:
    """int64 [outputs, inputs] along one side: 1 where an output's kernel covers an input."""
    outputs = np.arange(layer.output_length(length))[:, None] * layer.stride - layer.padding
    offset = np.arange(length)[None] - outputs
    return ((offset >= 0) & (offset < layer.kernel)).astype(np.int64)
