"""A look at a frame before anything of it is sent, for masks that want one.

The sigma-delta input encoder: from pictures to events, in the regions that a mask keeps.
"""

from __future__ import annotations

import time
from functools import cached_property

import numpy as np
from numba.core import config

from ..core.events import WORD, ChangeMap, Events
from ..core.frame import Frame, make_view
from ..core.grid import RegionGrid
from ..jit.memory import aligned
from . import kernels as encoding
from .kernels import affine_parameters, changed_share


class FrameView:
    """Nothing is made that nobody asks for; what was made serves the encoder, too. See ``mask.cues.FrameView``.

    resize_s: seconds that the image took.
    """

    def __init__(self, frame: Frame, input_wh: tuple[int, int], encoder: Encoder) -> None:
        self._frame, self._input_wh, self._encoder = frame, input_wh, encoder
        self.resize_s = 0.0

    @cached_property
    def image(self) -> np.ndarray:
        start = time.perf_counter()
        image = make_view(self._frame, self._input_wh).image
        self.resize_s = time.perf_counter() - start
        return image

    @cached_property
    def change(self) -> np.ndarray:
        return self._encoder.pending(self.image)


class Encoder:
    """Remembers for every input value what the receiver was told (the reference), and sends what changed since.

    An event carries the difference between the value and its reference, in the encoder's units
    (``rint(64 * (v / 255 - mean) / std)``, a table over the 256 values of a channel), once it reaches the threshold. It
    is clipped to 8 bits; the rest follows with the next frame. The comparison is with what was last *sent*, so a slow
    ramp fires as soon as it has added up.

    A masked region sends nothing and keeps its reference: to the network it looks as it did when it was last sent, and
    once attended again, the whole difference is sent.

    Source of the rule: Lava's ``DeltaEncoder`` (lava-nc 0.10), whose state ``act - residue`` is this reference.
    """

    def __init__(self, input_table: np.ndarray, threshold: int, input_wh: tuple[int, int]) -> None:
        """input_table: int [256, channels], each value within 16 bits. threshold: in the table's units."""
        if input_table.min() < -(1 << 14) or input_table.max() >= 1 << 14:
            raise ValueError("the input table must fit 15 signed bits, or a difference could leave 16")
        self.shape = (input_wh[1], input_wh[0], input_table.shape[1])
        self.grid = RegionGrid.of_input(input_wh)
        self._table = np.ascontiguousarray(input_table, np.int16)
        self._line = _line_of(input_table)
        self._threshold = max(1, min(threshold, np.iinfo(np.int16).max))
        self._reference = aligned(int(np.prod(self.shape)), np.int16)
        self._changes = ChangeMap(*self.shape)
        self._attended, self._sounding = np.zeros(self.grid.cols, np.int32), self.grid.full(False)

    def step(self, image: np.ndarray, keep: np.ndarray) -> Events:
        """image: uint8 [height, width, channels]. keep: bool [rows, cols], True = attended.

        Raises ValueError when one of them has another shape.
        """
        if image.shape != self.shape or keep.shape != self.grid.shape:
            raise ValueError(f"an image of {list(image.shape)} and a mask of {list(keep.shape)}: expected "
                             f"{list(self.shape)} and {list(self.grid.shape)}")
        changes, channels = self._changes, self.shape[2]
        place = (keep, self.shape[0], self.grid.cols, self._reference, changes.value, changes.fired,
                 changes.words, changes.spikes, self._attended, self._sounding)
        if self._line is None:
            changes.events = encoding.encode_by_table(
                image.reshape(-1), self._table, channels, changes.stored, self._threshold, *place)
        else:
            encode = encoding.affine_encoder(channels, changes.stored)
            changes.events = encode(image.reshape(-1), self._line, self._threshold, *place)
        return Events(changes)

    def pending(self, image: np.ndarray) -> np.ndarray:
        """How much of each region would send events if it were attended: float32 [rows, cols], 0 to 1.

        An estimate from some pixels of the middle channel; nothing is sent, and no reference moves.
        """
        channel = self.shape[2] // 2
        share = np.empty(self.grid.shape, np.float32)
        changed_share(image.reshape(-1), np.ascontiguousarray(self._table[:, channel]), channel, self.shape[2],
                      self._threshold, self._reference, share)
        return share

    def reset(self) -> None:
        """Forgets everything: the next frame is sent as a first one."""
        self._reference[:] = 0
        self._changes.clear()
        self._sounding[:] = False


def _line_of(table: np.ndarray) -> np.ndarray | None:
    """int16, flat: ``affine_parameters`` for the 16 pixels that vectors take at a time; None when that cannot be."""
    if table.shape[1] > encoding.MAX_VECTOR_CHANNELS or config.DISABLE_JIT:
        return None
    numbers = affine_parameters(table)
    return None if numbers is None else np.tile(numbers, WORD).ravel()
