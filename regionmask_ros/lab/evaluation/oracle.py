"""The oracle: a mask source that knows the labels of the frame to come. A ceiling, not a method."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...datasets.labels import Labels
from ...mask.budget import nearest_regions
from ...mask.source import DYNAMIC, MaskContext, StatelessSource
from ...mask.tracking import RING


class OracleSource(StatelessSource):
    """Proposes the labeled boxes of each frame, widened by a region."""

    name = DYNAMIC

    def __init__(self, labels: Labels, number: Callable[[], int], regions: int | None = None) -> None:
        """Makes a source for one run over a sequence.

        Args:
            labels: The labels of the sequence.
            number: Returns the number in the sequence of the frame that it is asked about.
            regions: Number of regions to observe, those nearest to the boxes. None: the boxes and a ring around them.
        """
        self._labels, self._number, self._regions = labels, number, regions

    def propose(self, context: MaskContext) -> np.ndarray:
        """The regions of the labels that count, bool [rows, cols]."""
        labels = self._labels.at(self._number())
        boxes = labels.boxes[~labels.ignore].astype(np.float32)
        if self._regions is None:
            return context.grid.cover(boxes, context.image_wh, RING)
        return nearest_regions(boxes, np.ones(len(boxes), np.float32), context.grid, context.image_wh, self._regions)
