"""Dynamic masks by name: what in the current situation deserves attention.

A dynamic mask is called with the ``MaskContext`` of every frame, in order; it returns bool [rows, cols], True = attended. One
that remembers something starts afresh with frame 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..errors import UserError
from .budget import non_refresh_share
from .mgnet.source import MgnetMask
from .mgnet.weights import load_weights
from .source import MaskContext

DynamicMask = Callable[[MaskContext], np.ndarray]

TRACKING, MGNET = "tracking", "mgnet"
DYNAMIC_MASKS = (TRACKING, MGNET)


@dataclass(frozen=True)
class DynamicChoice:
    """Which dynamic mask, and what it needs. Raises UserError for what makes no sense; no file is read yet.

    weights: file of a mask network, "" for the package's. masked_share: of the regions, held in the mean over time by
    moving the threshold of scores, what a static mask attends included; 0: the threshold that comes with the weights.
    """

    name: str = TRACKING
    weights: str = ""
    masked_share: float = 0.0

    def __post_init__(self) -> None:
        if self.name not in DYNAMIC_MASKS:
            raise UserError(f"dynamic mask {self.name!r}: unknown; use {', '.join(DYNAMIC_MASKS)}")
        if not 0.0 <= self.masked_share < 1.0:
            raise UserError(f"target masked {self.masked_share}: must be 0 (the network's own), or below 1")
        if self.name != MGNET and (self.weights or self.masked_share):
            raise UserError(f"dynamic mask {self.name}: has neither weights nor a masked share; mgnet has")

    def make(self, refresh_period: int, static: np.ndarray | None = None) -> DynamicMask:
        """A new mask, for one camera. static: bool [rows, cols], what another mask attends besides.

        Raises UserError when the weights cannot be read, or the share is out of reach because of refresh frames, which
        mask nothing.
        """
        if self.name == TRACKING:
            return tracking
        share = non_refresh_share(self.masked_share, refresh_period) if self.masked_share else None
        return MgnetMask(load_weights(self.weights), share, static)


def tracking(cues: MaskContext) -> np.ndarray:
    """Where the last result saw objects: its boxes, widened by one region on every side.

    The ring is the room that an object may move in before the next result, and what the network needs around it.
    """
    return cues.grid.cover(cues.last.boxes, cues.image_wh, ring=1)
