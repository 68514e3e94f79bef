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

from ..jit.cache import kernel

QUANTILE = 0.05
"""Of the tiles, sorted by their sums, where the noise is looked for. It must be low, because nearly everything moves
before a moving camera; noise alone makes all tiles nearly equal."""
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

    def after(self, changes: np.ndarray, values: np.ndarray, attended: np.ndarray) -> NoiseEstimate:
        """Takes a frame into account, which must not be the first of its camera.

        Args:
            changes: int64 [tile rows, tile cols], sums of squared differences.
            values: int64 of the same shape, how many pixel values each of them sums up.
            attended: bool of the same shape, which of them were measured.

        Returns:
            The estimate after the frame; the same if too few tiles were measured.
        """
        squares = np.empty(changes.size)
        square = _find_quantile(changes, values, attended, squares) / 2.0
        if square < 0.0:
            return self
        found = min(math.sqrt(square), LARGEST_SIGMA)
        weight = max(1.0 / (self.count + 1), LEAST_WEIGHT)
        return NoiseEstimate(self.sigma + weight * (found - self.sigma), self.count + 1)


@kernel
def _find_quantile(changes: np.ndarray, values: np.ndarray, attended: np.ndarray, squares: np.ndarray) -> float:
    """The mean square of the tile at the quantile; negative if too few tiles were measured."""
    count = np.int64(0)
    for row in range(changes.shape[0]):
        for col in range(changes.shape[1]):
            if attended[row, col]:
                squares[count] = changes[row, col] / values[row, col]
                count += 1
    if count < FEWEST_TILES:
        return -1.0
    place = np.int64(QUANTILE * (count - 1))
    return float(np.partition(squares[:count], place)[place])
