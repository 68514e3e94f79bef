"""The dynamic mask ``tracking``: where the last result has objects."""

from __future__ import annotations

import numpy as np

from .source import DYNAMIC, MaskContext, StatelessSource

TRACKING = "tracking"

RING = 1
"""Regions around a box: room for the object to move in before the next result, and context for the network."""


class TrackingSource(StatelessSource):
    """Proposes the boxes of the last result, widened by one region on every side."""

    name = DYNAMIC

    def propose(self, context: MaskContext) -> np.ndarray:
        """The regions of the boxes, bool [rows, cols]."""
        return context.grid.cover(context.last.boxes, context.image_wh, RING)
