"""What a dynamic mask may look at before it decides about a frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..core.detections import Detections
from ..core.grid import RegionGrid


class FrameView(Protocol):
    """The frame itself, before anything of it is sent. Both are made when they are first asked for."""

    @property
    def image(self) -> np.ndarray:
        """uint8 [h, w, 3], the network's input, RGB."""

    @property
    def change(self) -> np.ndarray:
        """float32 [rows, cols], 0 to 1: how much of each region would be sent if it were attended."""


@dataclass(frozen=True)
class MaskContext:
    """last: objects of the last result. picture_wh: size of the camera's picture. frame: since the last fresh start.

    glance: the frame; None where nobody can show it, which only masks stand that do not look.
    """

    last: Detections
    grid: RegionGrid
    image_wh: tuple[int, int]
    frame: int = 0
    frame_view: FrameView | None = None
