"""Groups of arguments of the layer kernel.

Python builds a group by name and hands it to a kernel as a plain tuple (see ``jit.cache.kernel``). The kernel takes it
apart in the order of the fields. Functions that emit instructions build it again, of the fields' operands.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Weights(NamedTuple):
    """The layer's weights.

    Attributes:
        weight: int8 or int16, flat, see ``packing.SimdWeights``.
        groups: Groups of output channels that are computed one after another.
        tap_rows: Rows of weights of a tap, which is the number of words of an input pixel.
        size: Side of the window, pixels.
        stride: Step between windows, pixels.
    """

    weight: Any
    groups: Any
    tap_rows: Any
    size: Any
    stride: Any


class Source(NamedTuple):
    """What the layer reads: lists of words, one for each input pixel, or a map of the same words.

    Attributes:
        lead: Lines and pixels of the frame that are not padding.
        pitch: Pixels of a line.
        count: int32 [pixels], length of each list.
        index: int32 [pixels, tap_rows], flat: number of each word in its pixel.
        pair: Words [pixels, tap_rows], flat: messages of each list.
        word: Words [pixels, tap_rows], flat: the map, each word in its place, 0 where nothing fired.
    """

    lead: Any
    pitch: Any
    count: Any
    index: Any
    pair: Any
    word: Any


class Target(NamedTuple):
    """What the layer writes.

    Attributes:
        is_list: Whether events go to lists; otherwise they go to the map.
        padding: Lines and pixels of frame.
        pitch: Pixels of a line.
        slots: Words of a pixel.
        count: int32 [pixels], length of each list, or words of the map that are not 0.
        index: As in ``Source``.
        pair: As in ``Source``.
        word: As in ``Source``.
    """

    is_list: Any
    padding: Any
    pitch: Any
    slots: Any
    count: Any
    index: Any
    pair: Any
    word: Any


class NeuronState(NamedTuple):
    """The layer's neurons; all values at 2**16, channels padded to whole vectors.

    Attributes:
        bias: int32 [channels].
        threshold: Smallest change that fires.
        release: Reference from which an inactive neuron fires, see ``core.arithmetic.Rule``.
        sigma: int32 [rows, cols, channels], flat.
        reference: int32 [rows, cols, channels], flat; empty for a head.
    """

    bias: Any
    threshold: Any
    release: Any
    sigma: Any
    reference: Any


class Work(NamedTuple):
    """Memory that no layer keeps anything in.

    Attributes:
        begin: int64 [outputs at a time], where their windows begin.
        pixel: int32 [size * size], pixels of a window that have events.
        tap: int32 [size * size], their places in the window.
        total: int32 [outputs at a time, vectors, lanes], flat: sums, then messages.
    """

    begin: Any
    pixel: Any
    tap: Any
    total: Any
