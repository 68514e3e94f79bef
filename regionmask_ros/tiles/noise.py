"""How noisy a camera is, and the threshold of the image that follows from it.

The tile engine sums, for every tile that it looks at, the squared differences of the new pixels and those that are
held. In a tile where nothing moves, both have the camera's noise of deviation sigma, so that the mean of the squares is
2 sigma^2. Motion only makes sums larger. Therefore a low quantile of the tiles tells the noise, as long as some tiles
are still.

Each frame gives such an estimate, but the first one, which is compared with nothing. The first ten estimates count
alike: what is known is their mean, from the first of them on, that of the second frame. From then on it is a moving
average, in which the newest estimate has a weight of a tenth. So the noise is known as soon as it can be.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

QUIET_PART = 20
"""The noise is looked for where the tiles, sorted by their sums, have one of so many behind them. Few must be enough,
because nearly everything moves before a moving camera; noise alone makes all tiles nearly equal."""
FEWEST_TILES = 20
LEAST_WEIGHT = 0.1
"""Of a frame's estimate: the n-th one has a weight of 1 / n, if that is not less."""
BASE, PER_SIGMA = 1.75, 1.5
"""Threshold of an image without noise, and what a deviation of 1 adds."""
LARGEST_SIGMA = 8.0
"""Larger estimates are motion of the whole picture."""


@dataclass(frozen=True)
class NoiseEstimate:
    """What is known of the noise after some frames.

    Attributes:
        sigma: Standard deviation of the pixels' noise, of 255; 0 before the first estimate.
        count: How many frames gave an estimate.
    """

    sigma: float = 0.0
    count: int = 0

    @property
    def threshold(self) -> float:
        """Root of the mean squared change of an image tile that counts, of 255."""
        return BASE + PER_SIGMA * self.sigma

    def after(self, quiet_square: float) -> NoiseEstimate:
        """Takes a frame into account, which must not be the first of its camera.

        Args:
            quiet_square: See ``find_quiet_square``.

        Returns:
            The estimate after the frame; the same if too few tiles were measured.
        """
        if quiet_square < 0.0:
            return self
        found = min(math.sqrt(quiet_square / 2.0), LARGEST_SIGMA)
        weight = max(1.0 / (self.count + 1), LEAST_WEIGHT)
        return NoiseEstimate(self.sigma + weight * (found - self.sigma), self.count + 1)


def find_quiet_square(changes: np.ndarray, values: np.ndarray, attended: np.ndarray) -> float:
    """The mean squared change of a quiet tile of the image. The tile engine's kernels do the same.

    Args:
        changes: int64 [tile rows, tile cols], sums of squared differences.
        values: int64 of the same shape, how many pixel values each of them sums up.
        attended: bool of the same shape, which of them were measured.

    Returns:
        Of 255 squared; negative if fewer than ``FEWEST_TILES`` were measured.
    """
    squares = changes[attended] / values[attended]
    if len(squares) < FEWEST_TILES:
        return -1.0
    place = (len(squares) - 1) // QUIET_PART
    return float(np.partition(squares, place)[place])
