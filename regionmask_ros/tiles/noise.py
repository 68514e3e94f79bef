"""How noisy a camera is, and the threshold of the image that follows from it.

The tile engine sums, for every tile that it looks at, the squared differences of the new pixels and those that are
held. In a tile where nothing moves, both have the camera's noise of deviation sigma, so that the mean of the squares is
2 sigma^2. Motion only makes sums larger. Therefore a low quantile of the tiles tells the noise, as long as some tiles
are still.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

QUANTILE = 0.05
"""Of the tiles, sorted by their sums, where the noise is looked for. It must be low, because nearly everything moves
before a moving camera; noise alone makes all tiles nearly equal."""
FEWEST_TILES = 20
INERTIA = 0.9
"""Share of the estimate that stays in each frame."""
BASE, PER_SIGMA = 1.75, 1.5
"""Threshold of an image without noise, and what a deviation of 1 adds."""
LARGEST_SIGMA = 8.0
"""Larger estimates are motion of the whole picture."""


@dataclass(frozen=True)
class NoiseEstimate:
    """What is known of the noise after some frames.

    Attributes:
        sigma: Standard deviation of the pixels' noise, of 255; 0 before the first frame.
    """

    sigma: float = 0.0

    @property
    def threshold(self) -> float:
        """Root of the mean squared change of an image tile that counts, of 255."""
        return BASE + PER_SIGMA * self.sigma

    def after(self, changes: np.ndarray, values: np.ndarray, attended: np.ndarray) -> NoiseEstimate:
        """Takes a frame into account.

        Args:
            changes: int64 [tile rows, tile cols], sums of squared differences.
            values: int64 of the same shape, how many pixel values each of them sums up.
            attended: bool of the same shape, which of them were measured.

        Returns:
            The estimate after the frame; the same if too few tiles were measured.
        """
        if np.count_nonzero(attended) < FEWEST_TILES:
            return self
        squares = changes[attended] / values[attended]
        # A partition takes a fraction of the time of NumPy's quantile, in every frame.
        place = int(QUANTILE * (len(squares) - 1))
        square = float(np.partition(squares, place)[place]) / 2.0
        found = min(math.sqrt(square), LARGEST_SIGMA)
        return NoiseEstimate(INERTIA * self.sigma + (1.0 - INERTIA) * found)
