"""A look at a frame before anything of it is sent, for masks that want one."""

from __future__ import annotations

import time
from functools import cached_property

import numpy as np

from .encoder import Encoder
from .frames import Frame, make_view


class Glance:
    """Nothing is made that nobody asks for; what was made serves the encoder, too. See ``mask.cues.Glance``.

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
