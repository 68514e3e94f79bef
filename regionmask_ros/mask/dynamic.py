"""Dynamic masks by name: what in the current situation deserves attention.

A dynamic mask is a function of the last result, the region grid and the picture's size; it returns bool [rows, cols],
True = attended.
"""

from __future__ import annotations

from typing import Callable, Mapping

import numpy as np

from ..detection.detections import Detections
from ..errors import UserError
from ..grid import RegionGrid

DynamicMask = Callable[[Detections, RegionGrid, "tuple[int, int]"], np.ndarray]


def tracking(last: Detections, grid: RegionGrid, picture_wh: tuple[int, int]) -> np.ndarray:
    """Where the last result saw objects: its boxes, widened by one region on every side.

    The ring is the room that an object may move in before the next result, and what the network needs around it.
    """
    return grid.cover(last.boxes, picture_wh, ring=1)


DYNAMIC_MASKS: Mapping[str, DynamicMask] = {"tracking": tracking}
ANNOUNCED = ("mgnet",)


def dynamic_mask(name: str) -> DynamicMask:
    """The function of that name. Raises UserError for an unknown one, and for one that does not exist yet."""
    if name in DYNAMIC_MASKS:
        return DYNAMIC_MASKS[name]
    choices = ", ".join(DYNAMIC_MASKS)
    if name in ANNOUNCED:
        raise UserError(f"dynamic mask {name}: this version does not have it yet; use {choices}")
    raise UserError(f"dynamic mask {name!r}: unknown; use {choices}")
