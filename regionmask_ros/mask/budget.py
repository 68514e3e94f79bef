"""Masks of a wanted size: how many regions may be attended, and which come first.

One threshold for all frames that masks a wanted share of the regions in the mean over time.

A fixed share for every frame would attend empty road when little is to be seen, and cut objects off when much is.
"""

from __future__ import annotations

import numpy as np

from ..core.grid import RegionGrid
from ..errors import UserError
from .heat import rank_regions

_OWN, _STATIC, _NEAR, _REST = 0.0, 1e4, 2e4, 3e4
"""What comes first when a budget is short: what follows objects, then the static mask, then what lies around objects,
then what lies around the static mask. Ranks within each stay far below these steps."""


def attended_regions(grid: RegionGrid, masked_share: float, refresh_period: int) -> int:
    """Regions to attend in a frame that is no refresh frame, so that the wanted share is masked over all frames.

    masked_share: 0 to 1, of all regions of all frames; refresh frames mask nothing, so the others mask more.
    Raises UserError when the refresh frames leave too few others.
    """
    return round(grid.rows * grid.cols * (1.0 - non_refresh_share(masked_share, refresh_period)))


def non_refresh_share(masked_share: float, refresh_period: int) -> float:
    """The masked share, 0 to 1, of a frame that is no refresh frame, so that ``masked_share`` is that of all frames.

    Raises UserError when the refresh frames leave too few others.
    """
    others = 1.0 - 1.0 / refresh_period if refresh_period > 0 else 1.0
    if not 0.0 <= masked_share <= others:
        raise UserError(
            f"a masked share of {masked_share:g} is out of reach: with a refresh every {refresh_period} frames at most "
            f"{others:.2f} can be masked"
        )
    return masked_share / others if others else 0.0


def nearest_regions(boxes: np.ndarray, scores: np.ndarray, grid: RegionGrid, image_wh: tuple[int, int],
            regions: int) -> np.ndarray:
    """bool [rows, cols]: so many regions around boxes; those inside first, then ring by ring.

    boxes: float [n, 4] in picture pixels. scores: float [n]; at equal distance the better box's regions come first.
    Without any box nothing is attended.
    """
    ranks = rank_by_boxes(boxes, scores, grid, image_wh)
    return select_best(ranks, regions)


def rank_by_boxes(boxes: np.ndarray, scores: np.ndarray, grid: RegionGrid, image_wh: tuple[int, int]) -> np.ndarray:
    """float64 [rows, cols]: rings from the nearest box, less half the score of that box; infinite without any box."""
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    width, height = image_wh
    inside = np.clip(boxes, 0.0, [width, height, width, height])
    visible = (inside[:, 2:] > inside[:, :2]).all(axis=1)
    inside, scores = inside[visible], np.asarray(scores, np.float64)[visible]
    if not len(inside):
        return np.full(grid.shape, np.inf)
    across = _rings(inside[:, 0], inside[:, 2], grid.cols, width)
    down = _rings(inside[:, 1], inside[:, 3], grid.rows, height)
    # One number a box and region: the ring, and less than a ring for the score.
    rank = np.maximum(down[:, :, None], across[:, None, :])
    rank -= (0.5 * np.clip(scores, 0.0, 1.0)).astype(np.float32)[:, None, None]
    return rank.min(axis=0).astype(np.float64)


def rank_by_heat(heat: np.ndarray) -> np.ndarray:
    """float64 [rows, cols], 0 to below 1: the hottest region first, see ``heat.top_k_mask``. heat: a mask will do."""
    ranks = np.empty(heat.size)
    ranks[rank_regions(heat)] = np.arange(heat.size) / heat.size
    return ranks.reshape(heat.shape)


def merge_ranks(static: np.ndarray | None, hot: np.ndarray | None, dynamic: np.ndarray | None,
                 near: np.ndarray) -> np.ndarray:
    """float64 [rows, cols]: the order in which regions are attended when only so many may be.

    static, dynamic: bool [rows, cols], the masks. hot: of ``rank_by_heat``. near: of ``rank_by_boxes``. A mask that is not
    in use is None; then what it alone could rank is infinite.
    """
    ranks = np.full(near.shape, np.inf)
    if static is not None:
        ranks = np.where(static, _STATIC, _REST) + hot
    if dynamic is not None:
        ranks = np.minimum(ranks, _NEAR + near)
        ranks = np.where(dynamic, _OWN + np.minimum(near, _STATIC - 1.0), ranks)
    return ranks


def select_best(ranks: np.ndarray, regions: int) -> np.ndarray:
    """bool [rows, cols]: so many regions of the lowest ranks, fewer where the others are infinite."""
    keep = np.zeros(ranks.size, bool)
    first = np.argsort(ranks.ravel(), kind="stable")[:regions]
    keep[first] = ranks.ravel()[first] < np.inf
    return keep.reshape(ranks.shape)


def _rings(low: np.ndarray, high: np.ndarray, cells: int, length: float) -> np.ndarray:
    """float32 [n, cells]: how many cells each lies away from those that a box touches along one axis."""
    cell = np.arange(cells, dtype=np.float32)[None]
    first = np.floor(low * cells / length)[:, None].astype(np.float32)
    last = (np.ceil(high * cells / length) - 1)[:, None].astype(np.float32)
    return np.maximum(np.maximum(first - cell, cell - last), 0.0)


BINS, TOP = 512, 2.0
"""Scores are counted in so many bins from 0 to ``TOP``."""

HALF_LIFE = 200
"""Frames after which a score counts half: long enough for a street to be empty and full in turn."""


class QuantileThreshold:
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
