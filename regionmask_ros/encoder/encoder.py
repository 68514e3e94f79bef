"""The sigma-delta input encoder: from images to events, in the regions that a mask keeps."""

from __future__ import annotations

import time
from functools import cached_property

import numpy as np
from numba.core import config

from ..core.events import WORD, ChangeMap, Events
from ..core.frame import Frame, resize_frame
from ..core.grid import RegionGrid
from ..jit.memory import aligned
from . import kernels


class FrameView:
    """A frame before anything of it is sent, for mask sources that use it. See ``mask.source.FrameView``.

    The image is resized at the first access; the encoder then uses it, too.

    Args:
        frame: The camera's image.
        input_wh: Width and height of the network's input.
        encoder: The camera's encoder.

    Attributes:
        resize_s: Seconds that the resize took; 0 before it.
    """

    def __init__(self, frame: Frame, input_wh: tuple[int, int], encoder: Encoder) -> None:
        self._frame, self._input_wh, self._encoder = frame, input_wh, encoder
        self.resize_s = 0.0

    @cached_property
    def image(self) -> np.ndarray:
        """The network's input: uint8 [height, width, 3], RGB."""
        start = time.perf_counter()
        image = resize_frame(self._frame, self._input_wh)
        self.resize_s = time.perf_counter() - start
        return image

    @cached_property
    def change(self) -> np.ndarray:
        """Share of each region that would send events if it were observed: float32 [rows, cols], 0 to 1."""
        return self._encoder.measure_change(self.image)


class Encoder:
    """Keeps for every input value what was sent of it (the reference), and sends what has changed since.

    An event carries the difference between the value and its reference, in the encoder's units
    (``rint(64 * (v / 255 - mean) / std)``, a table over the 256 values of a channel), once it reaches the threshold. It
    is clipped to 8 bits; the rest follows with the next frame. The comparison is with what was last *sent*, so a slow
    ramp fires as soon as it has added up.

    A masked region sends nothing and keeps its reference: to the network it looks as it did when it was last sent.
    Once it is observed again, the whole difference is sent.

    Source of the rule: Lava's ``DeltaEncoder`` (lava-nc 0.10), whose state ``act - residue`` is this reference.

    Args:
        input_table: int [256, channels], each value within 15 bits.
        threshold: In the table's units.
        input_wh: Width and height of the network's input.

    Attributes:
        shape: Height, width and channels of the input.
        grid: Its region grid.

    Raises:
        ValueError: The table has larger values: a difference could leave 16 bits.
    """

    def __init__(self, input_table: np.ndarray, threshold: int, input_wh: tuple[int, int]) -> None:
        if input_table.min() < -(1 << 14) or input_table.max() >= 1 << 14:
            raise ValueError("the input table must fit 15 signed bits, or a difference could leave 16")
        self.shape = (input_wh[1], input_wh[0], input_table.shape[1])
        self.grid = RegionGrid.of_input(input_wh)
        self._table = np.ascontiguousarray(input_table, np.int16)
        self._line = _make_line(input_table)
        self._threshold = max(1, min(threshold, np.iinfo(np.int16).max))
        self._reference = aligned(int(np.prod(self.shape)), np.int16)
        self._changes = ChangeMap(*self.shape)
        # Attended regions of a row, and regions whose changes may not be 0.
        self._work = np.zeros(self.grid.cols, np.int32), self.grid.full(False)

    def step(self, image: np.ndarray, keep: np.ndarray) -> Events:
        """Encodes one image.

        Args:
            image: uint8 [height, width, channels].
            keep: bool [rows, cols], True = observed.

        Returns:
            The events, a view of buffers: valid until the next call.

        Raises:
            ValueError: An array has another shape.
        """
        if image.shape != self.shape or keep.shape != self.grid.shape:
            raise ValueError(f"an image of {list(image.shape)} and a mask of {list(keep.shape)}: expected "
                             f"{list(self.shape)} and {list(self.grid.shape)}")
        changes = self._changes
        arrays = changes.value, changes.fired, changes.spikes
        if self._line is None:
            changes.events = kernels.encode_by_table(
                image.reshape(-1), self._table, changes.stored, self._threshold, keep, self._reference, arrays,
                changes.words, self._work)
        else:
            encode = kernels.affine_encoder(self.shape[2], changes.stored)
            changes.events = encode(
                image.reshape(-1), self._line, self._threshold, keep, self._reference, arrays, changes.words,
                self._work)
        return Events(changes)

    def measure_change(self, image: np.ndarray) -> np.ndarray:
        """Estimates how much of each region would send events if it were observed, from some pixels of one channel.

        Nothing is sent, and no reference changes.

        Args:
            image: uint8 [height, width, channels].

        Returns:
            float32 [rows, cols], 0 to 1.
        """
        channel = self.shape[2] // 2
        share = np.empty(self.grid.shape, np.float32)
        kernels.measure_change(image.reshape(-1), np.ascontiguousarray(self._table[:, channel]), channel, self.shape[2],
                               self._threshold, self._reference, share)
        return share

    def reset(self) -> None:
        """Forgets all references: the next frame is sent as a first one."""
        self._reference[:] = 0
        self._changes.clear()
        self._work[1][:] = False


def _make_line(table: np.ndarray) -> np.ndarray | None:
    """``affine_parameters`` for the 16 pixels of a vector, int16, flat; None when the table is not affine."""
    if table.shape[1] > kernels.MAX_VECTOR_CHANNELS or config.DISABLE_JIT:
        return None
    numbers = kernels.affine_parameters(table)
    return None if numbers is None else np.tile(numbers, WORD).ravel()
