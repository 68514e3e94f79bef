"""Masks of a wanted size: how many regions may be observed, and which come first.

One threshold for all frames masks the wanted share of the regions in the mean over time (``QuantileThreshold``). A
fixed share of every frame would observe empty road when there is little to see, and cut objects off when there is much.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ..core.grid import RegionGrid
from ..errors import UserError
from .source import ATTENTION, DYNAMIC, STATIC, MaskContext

_DYNAMIC, _STATIC, _NEAR, _REST = 0.0, 1e4, 2e4, 3e4
"""What comes first when a budget is short: what follows objects, then the static mask, then what lies around objects,
then what lies around the static mask. Ranks within each stay far below these steps."""

BINS, TOP = 512, 2.0
"""Scores are counted in this number of bins from 0 to ``TOP``."""

HALF_LIFE = 200
"""Frames after which a score counts half: long enough for a street to be empty and full in turn."""


def attended_regions(grid: RegionGrid, masked_share: float, refresh_period: int) -> int:
    """Number of regions to observe in a frame that is not a refresh frame.

    Args:
        grid: The region grid.
        masked_share: Wanted share of the regions of all frames that is masked, 0 to 1. Refresh frames mask nothing, so
            the others mask more.
        refresh_period: Frames from one refresh frame to the next; 0: only the first frame is one.

    Returns:
        0 to the number of regions.

    Raises:
        UserError: The refresh frames leave too few others.
    """
    return round(grid.rows * grid.cols * (1.0 - non_refresh_share(masked_share, refresh_period)))


def non_refresh_share(masked_share: float, refresh_period: int) -> float:
    """Masked share of a frame that is not a refresh frame, so that ``masked_share`` is that of all frames.

    Args:
        masked_share: As for ``attended_regions``.
        refresh_period: As for ``attended_regions``.

    Returns:
        0 to 1.

    Raises:
        UserError: The refresh frames leave too few others.
    """
    others = 1.0 - 1.0 / refresh_period if refresh_period > 0 else 1.0
    if not 0.0 <= masked_share <= others:
        raise UserError(
            f"a masked share of {masked_share:g} is out of reach: with a refresh every {refresh_period} frames at most "
            f"{others:.2f} can be masked")
    return masked_share / others if others else 0.0


def nearest_regions(boxes: np.ndarray, scores: np.ndarray, grid: RegionGrid, image_wh: tuple[int, int],
                    regions: int) -> np.ndarray:
    """A number of regions around boxes: those inside first, then ring by ring.

    Args:
        boxes: float [n, 4], x0 y0 x1 y1 in image pixels.
        scores: float [n]; at equal distance, regions of the box of the higher score come first.
        grid: The region grid.
        image_wh: Width and height of the image.
        regions: Number of regions.

    Returns:
        bool [rows, cols]. Without any box, nothing is observed.
    """
    return select_best(rank_by_boxes(boxes, scores, grid, image_wh), regions)


def rank_by_boxes(boxes: np.ndarray, scores: np.ndarray, grid: RegionGrid, image_wh: tuple[int, int]) -> np.ndarray:
    """Order of the regions by their distance from boxes.

    Args:
        boxes: float [n, 4], x0 y0 x1 y1 in image pixels.
        scores: float [n], 0 to 1.
        grid: The region grid.
        image_wh: Width and height of the image.

    Returns:
        float64 [rows, cols]: rings from the nearest box, minus half the score of that box; infinite without any box.
    """
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    width, height = image_wh
    inside = np.clip(boxes, 0.0, [width, height, width, height])
    visible = (inside[:, 2:] > inside[:, :2]).all(axis=1)
    inside, scores = inside[visible], np.asarray(scores, np.float64)[visible]
    if not len(inside):
        return np.full(grid.shape, np.inf)
    across = _rings(inside[:, 0], inside[:, 2], grid.cols, width)
    down = _rings(inside[:, 1], inside[:, 3], grid.rows, height)
    # One number for each box and region: the ring, and less than a ring for the score.
    rank = np.maximum(down[:, :, None], across[:, None, :])
    rank -= (0.5 * np.clip(scores, 0.0, 1.0)).astype(np.float32)[:, None, None]
    ranks: np.ndarray = rank.min(axis=0).astype(np.float64)
    return ranks


def merge_ranks(static: np.ndarray | None, hot: np.ndarray | None, dynamic: np.ndarray | None,
                near: np.ndarray) -> np.ndarray:
    """Order in which regions are observed when only a number of them may be.

    Args:
        static: What the static mask proposes, bool [rows, cols]. None: there is none.
        hot: Its ranks, see ``heat.rank_by_heat``; needed with ``static``.
        dynamic: What the dynamic mask proposes, bool [rows, cols]. None: there is none.
        near: Ranks from ``rank_by_boxes``.

    Returns:
        float64 [rows, cols], lowest first; infinite where no mask that is in use can rank a region.
    """
    ranks = np.full(near.shape, np.inf)
    if static is not None and hot is not None:
        ranks = np.where(static, _STATIC, _REST) + hot
    if dynamic is not None:
        ranks = np.minimum(ranks, _NEAR + near)
        ranks = np.where(dynamic, _DYNAMIC + np.minimum(near, _STATIC - 1.0), ranks)
    return ranks


def select_best(ranks: np.ndarray, regions: int) -> np.ndarray:
    """The regions of the lowest ranks.

    Args:
        ranks: float64 [rows, cols].
        regions: Number of regions to select.

    Returns:
        bool [rows, cols]; fewer regions are selected where the others' ranks are infinite.
    """
    keep = np.zeros(ranks.size, bool)
    first = np.argsort(ranks.ravel(), kind="stable")[:regions]
    keep[first] = ranks.ravel()[first] < np.inf
    return keep.reshape(ranks.shape)


def _rings(low: np.ndarray, high: np.ndarray, cells: int, length: float) -> np.ndarray:
    """Distance of each cell from the cells that a box touches along one axis: float32 [n, cells]."""
    cell = np.arange(cells, dtype=np.float32)[None]
    first = np.floor(low * cells / length)[:, None].astype(np.float32)
    last = (np.ceil(high * cells / length) - 1)[:, None].astype(np.float32)
    rings: np.ndarray = np.maximum(np.maximum(first - cell, cell - last), 0.0)
    return rings


class RankedSource(Protocol):
    """A static mask that knows which of its regions come first."""

    @property
    def ranks(self) -> np.ndarray | None:
        """float64 [rows, cols], 0 to below 1, lowest first; None as long as nothing is known."""


class RegionBudget:
    """Cuts the masks down, or grows them, to a number of regions together.

    What a planner asks for is never cut.
    """

    def __init__(self, regions: int, static: RankedSource | None) -> None:
        """Makes a budget.

        Args:
            regions: Regions to observe in a frame that is not a refresh frame.
            static: The static mask among the sources, None without one. While it has no ranks, the budget is not
                applied.
        """
        self._regions, self._static = regions, static

    def apply(self, proposals: dict[str, np.ndarray], context: MaskContext) -> dict[str, np.ndarray]:
        """Regions by rank, see ``merge_ranks``.

        Args:
            proposals: bool [rows, cols] each, by source name.
            context: What is known before the frame is encoded.

        Returns:
            Proposals of the same names, whose union has the wanted number of regions.
        """
        static, dynamic = proposals.get(STATIC), proposals.get(DYNAMIC)
        hot = self._static.ranks if self._static is not None else None
        if static is not None and hot is None:
            return proposals
        near = np.full(context.grid.shape, np.inf)
        if dynamic is not None:
            near = rank_by_boxes(context.last.boxes, context.last.scores, context.grid, context.image_wh)
        ranks = merge_ranks(static, hot, dynamic, near)
        if ATTENTION not in proposals:
            keep = select_best(ranks, self._regions)
        else:
            asked = proposals[ATTENTION]
            keep = select_best(np.where(asked, -np.inf, ranks), max(self._regions, int(np.count_nonzero(asked))))
            # What only the planner asks for does not count as a share of the masks.
            keep &= ~asked | np.logical_or.reduce([mask for mask in (static, dynamic) if mask is not None])
        if static is not None and dynamic is not None:
            return {**proposals, STATIC: keep & static, DYNAMIC: keep & (dynamic | ~static)}
        return {**proposals, (DYNAMIC if static is None else STATIC): keep}


class QuantileThreshold:
    """Remembers past scores, and finds the threshold below which the wanted share of them lies."""

    def __init__(self, masked_share: float) -> None:
        """Makes a threshold for a wanted masked share, 0 to 1."""
        self._share = masked_share
        self.reset()

    def reset(self) -> None:
        """Forgets all scores."""
        self._counts = np.zeros(BINS)

    def threshold(self, scores: np.ndarray) -> float:
        """Counts the scores of one more frame.

        Args:
            scores: float of any shape, 0 to ``TOP``.

        Returns:
            The threshold for this frame.
        """
        places = np.minimum((scores.ravel() * np.float32(BINS / TOP)).astype(np.int64), BINS - 1)
        self._counts *= 0.5 ** (1.0 / HALF_LIFE)
        self._counts += np.bincount(places, minlength=BINS)
        below = np.cumsum(self._counts)
        # Below the last bin, in which there is what must be observed.
        place = min(int(np.searchsorted(below, self._share * below[-1], side="left")) + 1, BINS - 1)
        return TOP / BINS * place
