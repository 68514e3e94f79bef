"""The regions that a planner asks for, besides what the masks attend."""

from __future__ import annotations

import numpy as np

from .source import ATTENTION, MaskContext, StatelessSource


class AttentionSource(StatelessSource):
    """Proposes the regions of ``MaskContext.attention``."""

    name = ATTENTION

    def propose(self, context: MaskContext) -> np.ndarray | None:
        """The regions that the boxes touch, bool [rows, cols]; None without a box."""
        return context.grid.cover(context.attention, context.image_wh) if len(context.attention) else None
