"""The decision for one frame: which regions are sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping

import numpy as np

REFRESH = "refresh"
"""The cause of a frame that is sent as a whole."""


@dataclass(frozen=True)
class RegionMask:
    """keep: bool [rows, cols], True = attended: changes in it are sent as events in this frame.

    sources: the masks that were united, by name, each bool [rows, cols].
    refresh: everything is attended because this is a refresh frame (the first frame is one).
    """

    keep: np.ndarray
    sources: Mapping[str, np.ndarray]
    refresh: bool

    @property
    def attended_shares(self) -> dict[str, float]:
        """Share of the regions that each cause attends, 0 to 1; causes may overlap. On a refresh frame the refresh is
        the only cause."""
        if self.refresh:
            return {REFRESH: 1.0}
        return {cause: np.count_nonzero(keep) / keep.size for cause, keep in self.sources.items()}

    @property
    def masked_share(self) -> float:
        """Share of the regions that are not sent, 0 to 1."""
        return 1.0 - float(np.count_nonzero(self.keep)) / self.keep.size
