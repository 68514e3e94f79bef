"""One layer of one camera for processors with vectors: its state, the events that it sends, and its step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...core.arithmetic import Rule
from ...jit.memory import aligned
from ...jit.simd import WIDTHS
from ..generic import sum_overflow
from .kernels import clear_map_kernel, simd_layer_kernel, write_map
from .packing import NeuronState, SimdWeights, Source, Target, Weights, Work, word_type


class EventLists:
    """Events of one layer's outputs, as lists and as a map (``packing.Target``).

    Args:
        rows: Rows of the output.
        cols: Columns of the output.
        channels: Channels with their padding.
        padding: Lines and pixels of frame.
        lanes: int32 values of a vector.
    """

    def __init__(self, rows: int, cols: int, channels: int, padding: int, lanes: int) -> None:
        self.lanes = lanes
        self.padding, self.pitch, self.slots = padding, cols + 2 * padding, channels // WIDTHS[lanes].channels
        self.pixels = (rows + 2 * padding) * self.pitch
        self.count = np.zeros(self.pixels, np.int32)
        # Of the lists and the map, what is never touched takes no memory.
        words = self.pixels * self.slots
        self.index = aligned(words, np.int32)
        self.pair, self.word = (aligned(words, word_type(lanes)) for _ in range(2))

    def source(self, word: np.ndarray) -> Source:
        """Returns the lists, and the map ``word``, for the layer that reads them."""
        return Source(0, self.pitch, self.count, self.index, self.pair, word)

    def target(self, is_list: bool) -> Target:
        """Returns the lists or the map for the layer that writes them."""
        return Target(is_list, self.padding, self.pitch, self.slots, self.count, self.index, self.pair, self.word)

    def write_map(self, word: np.ndarray) -> None:
        """Writes the lists into a map that is empty."""
        write_map(self.count, self.index, self.pair, self.pixels, self.slots, word)

    def clear_map(self, word: np.ndarray) -> None:
        """Clears the pixels of a map that have events."""
        clear_map_kernel(self.lanes)(self.count, self.pixels, self.slots, word)

    def clear(self) -> None:
        """Removes all events."""
        self.count[:], self.word[:] = 0, 0


class SimdLayer:
    """The state of one layer.

    Args:
        packed: Its weights.
        rows: Rows of its output.
        cols: Columns of its output.
        after: The layer that reads the output; None for the head.
        rule: When its neurons send.

    Attributes:
        sigma: int32, flat, channels padded.
        reference: int32, flat, channels padded; empty for a head.
        lists: Its events.
        overflow_sums: See ``overflow``; empty until a message first exceeds 16 bits.
    """

    def __init__(self, packed: SimdWeights, rows: int, cols: int, after: SimdWeights | None, rule: Rule) -> None:
        conv = packed.conv
        self.packed, self.rows, self.cols = packed, rows, cols
        neurons = rows * cols * packed.padded
        self.sigma = aligned(neurons, np.int32)
        self.reference = aligned(0 if conv.is_head else neurons, np.int32)
        self.lists = EventLists(rows, cols, packed.padded if after else 0, after.conv.padding if after else 0,
                                packed.lanes)
        self.overflow_sums = np.zeros(0, np.int32)
        self.is_list = True
        reach = tuple(after.conv.reach(n) if after else np.zeros(0, np.int32) for n in (rows, cols))
        weights = Weights(packed.weight, packed.groups, packed.slots, conv.size, conv.stride)
        state = NeuronState(packed.bias, conv.threshold, rule.release(conv.threshold), conv.exponent, self.sigma,
                            self.reference)
        self._weights = tuple(weights)
        self._neurons = tuple(state), (cols, conv.out_channels, conv.is_head), reach
        self._kernel = simd_layer_kernel(packed.lanes, packed.vectors, *packed.together, *rule.flags)

    @property
    def neurons(self) -> int:
        """Neurons without padding."""
        return self.rows * self.cols * self.packed.conv.out_channels

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows, columns and padded channels of the state."""
        return self.rows, self.cols, self.packed.padded

    @property
    def is_list(self) -> bool:
        """Whether events go to lists; a next layer that computes all outputs densely reads a map."""
        return self._is_list

    @is_list.setter
    def is_list(self, is_list: bool) -> None:
        self._is_list, self._target = is_list, tuple(self.lists.target(is_list))

    def run(self, place: np.ndarray, dense: int, count: int, source: tuple[object, ...], has_overflow: bool,
            scratch: Scratch) -> tuple[int, int, int]:
        """Computes one step.

        Args:
            place: int32, ``row << 16 | column`` of the outputs to compute.
            dense: How many of them are computed from the map, the first ones.
            count: How many there are.
            source: ``packing.Source`` as a plain tuple.
            has_overflow: Whether the source lacks parts of messages.
            scratch: Shared memory.

        Returns:
            As the kernel, see ``kernels.simd_layer_kernel``.
        """
        if not self._is_list:
            self.lists.clear_map(self.lists.word)
        self.lists.count[:] = 0
        return self._kernel((place, dense, count), self._weights, source, self._target, *self._neurons,
                            self.overflow_sums, has_overflow, scratch.overflow, scratch.work)

    def add_overflow(self, entries: int, in_cols: int, scratch: Scratch) -> None:
        """Sums the overflow buffers for the kernel to add. in_cols: columns of the input."""
        self.overflow_sums = sum_overflow(self.packed.conv, self.overflow_sums, scratch.overflow, entries, in_cols,
                                          (self.rows, self.cols))

    def clear(self) -> None:
        """Removes what an interrupted step leaves behind."""
        self.overflow_sums[:] = 0
        self.lists.clear()


class Scratch:
    """Memory that no layer keeps anything in, shared by the layers of a camera.

    Args:
        layers: The layers.
        inputs: Values that the first layer reads.

    Attributes:
        word: A map for lists that are computed densely, 0 between uses.
        sparse: int32, positions of outputs.
        dense: int32, positions of outputs.
        column: int32, see ``kernels.plan_lists``.
        overflow: (index, rest), int32, see ``overflow``.
        work: ``packing.Work`` as a plain tuple.
    """

    def __init__(self, layers: Sequence[SimdLayer], inputs: int) -> None:
        outputs = max(layer.rows * layer.cols for layer in layers)
        self.sparse, self.dense = (np.empty(outputs, np.int32) for _ in range(2))
        self.column = np.zeros(max(layer.lists.pitch for layer in layers), np.int32)
        # The worst case; memory that is never touched is never taken.
        most = max(inputs, *(layer.neurons for layer in layers))
        self.overflow = np.empty(most, np.int32), np.empty(most, np.int32)
        packed = [layer.packed for layer in layers]
        taps = max(weights.conv.size for weights in packed) ** 2
        self.word = aligned(max(layer.lists.pixels * layer.lists.slots for layer in layers), word_type(packed[0].lanes))
        self.work = tuple(Work(
            begin=np.zeros(max(weights.together[1] for weights in packed), np.int64),
            pixel=np.zeros(taps, np.int32), tap=np.zeros(taps, np.int32),
            total=aligned(max(weights.together[1] * weights.vectors * weights.lanes for weights in packed), np.int32)))
