"""One layer on processors with vectors: its state, the spikes that it sends, and its step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...core.arithmetic import Rule
from ...jit.memory import aligned
from ...jit.simd import WIDTHS
from ..overflow import sum_overflow
from .kernels import silence_kernel, simd_layer_kernel, spread
from .packing import PackedConvolution, word_type

if TYPE_CHECKING:
    from .crossover import Crossover


class Source(NamedTuple):
    """What a layer reads, see ``vector_kernels.simd_layer_kernel``. before: lines and pixels of frame that are not
    padding.
    """

    before: int
    pitch: int
    count: np.ndarray
    index: np.ndarray
    pair: np.ndarray
    word: np.ndarray


class SpikeLists:
    """Spikes of one layer's outputs, see ``vector_kernels``. padding: width of the frame of empty pixels."""

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
        """For the layer that reads them, from lists or the map ``word``."""
        return Source(0, self.pitch, self.count, self.index, self.pair, word)

    def spread(self, word: np.ndarray) -> None:
        """Writes the lists into a map that is empty."""
        spread(self.count, self.index, self.pair, self.pixels, self.slots, word)

    def sweep(self, word: np.ndarray) -> None:
        """Empties a map of all spikes that are counted."""
        silence_kernel(self.lanes)(self.count, self.pixels, self.slots, word)

    def clear(self) -> None:
        self.count[:], self.word[:] = 0, 0


class Layer:
    """sigma, reference: int32, flat, channels padded. extra: made when a message first exceeds 16 bits.

    crossover: see ``plan``; None where all outputs are worked off densely. listed: whether spikes go to lists; a layer
    that works off all outputs densely reads a map.
    """

    def __init__(self, packed: PackedConvolution, rows: int, cols: int, after: PackedConvolution | None) -> None:
        """rows, cols: outputs. after: the layer that reads them."""
        self.packed, self.rows, self.cols = packed, rows, cols
        neurons = rows * cols * packed.padded
        self.sigma = aligned(neurons, np.int32)
        self.reference = aligned(0 if packed.spec.is_head else neurons, np.int32)
        self.lists = SpikeLists(rows, cols, packed.padded if after else 0, after.spec.padding if after else 0,
                           packed.lanes)
        self.reach = [after.spec.reach(n) if after else np.zeros(0, np.int32) for n in (rows, cols)]
        self.extra = np.zeros(0, np.int32)
        self.crossover: Crossover | None = None
        self.list_changes = True

    @property
    def real_neurons(self) -> int:
        return self.rows * self.cols * self.packed.spec.channels

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.rows, self.cols, self.packed.padded

    def run(self, place: np.ndarray, dense: int, due: int, source: Source, rule: Rule, wide: int,
            scratch: Scratch) -> tuple[int, int, int]:
        """One step of the outputs in ``to_window``: see ``vector_kernels.simd_layer_kernel``, also for what is returned.

        wide: messages in the wide buffers that the source lacks.
        """
        packed, spec, lists = self.packed, self.packed.spec, self.lists
        if not self.list_changes:
            lists.sweep(lists.word)
        lists.count[:] = 0
        kernel = simd_layer_kernel(packed.lanes, packed.vectors, *packed.together, *rule.flags)
        return kernel(
            self.list_changes, place, dense, due, packed.groups, spec.is_head, packed.weight, packed.slots, spec.size,
            spec.stride, *source, self.cols, spec.channels, wide > 0, self.extra, packed.bias, spec.threshold,
            rule.release(spec.threshold), self.sigma, self.reference, *self.reach,
            lists.padding, lists.pitch, lists.slots, lists.count, lists.index, lists.pair, lists.word,
            scratch.overflow_index, scratch.overflow_rest, scratch.begin, scratch.pixel, scratch.tap, scratch.total)

    def add_overflow(self, wide: int, in_cols: int, scratch: Scratch) -> None:
        """Sums of what did not fit the input, for the kernel to add. in_cols: pixels of an input's line."""
        self.extra = sum_overflow(self.packed.spec, self.extra, scratch.overflow_index, scratch.overflow_rest, wide, in_cols,
                              self.rows, self.cols)

    def clear(self) -> None:
        """Empties what a step leaves behind when it is broken off."""
        self.extra[:] = 0
        self.lists.clear()


class Scratch:
    """Memory that no layer keeps anything in.

    word: a map for lists that are worked off densely, 0 between uses. sparse, dense: int32, places of outputs
    (see ``vector_plan``). wide_index, wide_rest: see ``vector_kernels``.
    """

    def __init__(self, layers: Sequence[Layer], inputs: int) -> None:
        """inputs: values that the first layer reads."""
        outputs = max(layer.rows * layer.cols for layer in layers)
        self.sparse, self.dense = (np.empty(outputs, np.int32) for _ in range(2))
        self.column = np.zeros(max(layer.lists.pitch for layer in layers), np.int32)
        # Worst case; memory that is never touched is never taken.
        most = max(inputs, *(layer.real_neurons for layer in layers))
        self.overflow_index, self.overflow_rest = np.empty(most, np.int32), np.empty(most, np.int32)
        packed = [layer.packed for layer in layers]
        taps = max(convolution.spec.size for convolution in packed) ** 2
        self.pixel, self.tap = np.zeros(taps, np.int32), np.zeros(taps, np.int32)
        self.word = aligned(max(layer.lists.pixels * layer.lists.slots for layer in layers), word_type(packed[0].lanes))
        together = max(convolution.together[1] for convolution in packed)
        self.begin = np.zeros(together, np.int64)
        self.total = aligned(max(c.together[1] * c.vectors * c.lanes for c in packed), np.int32)
