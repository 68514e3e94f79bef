"""One threshold for all frames that masks a wanted share of the regions in the mean over time.

A fixed share for every frame would attend empty road when little is to be seen, and cut objects off when much is.
"""

from __future__ import annotations

import numpy as np

BINS, TOP = 512, 2.0
"""Scores are counted in so many bins from 0 to ``TOP``."""

HALF_LIFE = 200
"""Frames after which a score counts half: long enough for a street to be empty and full in turn."""


class ShareHolder:
    """Remembers which scores there were, and knows the one that parts them as wanted."""

    def __init__(self, masked_share: float) -> None:
        """masked_share: 0 to 1."""
        self._share = masked_share
        self.reset()

    def reset(self) -> None:
        self._counts = np.zeros(BINS)

    def threshold(self, scores: np.ndarray) -> float:
        """Takes the scores of one more frame, float of any shape, 0 to ``TOP``; returns the threshold for it."""
        places = np.minimum((scores.ravel() * np.float32(BINS / TOP)).astype(np.int64), BINS - 1)
        self._counts *= 0.5 ** (1.0 / HALF_LIFE)
        self._counts += np.bincount(places, minlength=BINS)
        below = np.cumsum(self._counts)
        # Below the last bin, in which there is what must be attended.
        place = min(int(np.searchsorted(below, self._share * below[-1], side="left")) + 1, BINS - 1)
        return TOP / BINS * place
