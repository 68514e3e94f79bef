"""From objects that were seen, or labelled, to a static mask, and what that mask would have lost of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..core.grid import OBSERVED_SHARE, RegionGrid, coverage
from ..errors import UserError
from .heat import compute_heat, grow_mask, min_cover_mask, top_k_mask

WHOLE_SHARE = 0.8
"""An object of which less is attended, but at least ``OBSERVED_SHARE``, is cut: its box will suffer."""

SIZE_BORDERS_PX = (24, 64, 128)
"""Heights in picture pixels that part small from large objects."""


@dataclass(frozen=True)
class Target:
    """How large the mask is to be: ``cover``, the share of the heat that it holds, or ``keep``, the share of regions
    that it attends; the other one is None. ring: regions that it is widened by afterwards.

    Raises UserError unless exactly one is given and lies between 0 (not included) and 1.
    """

    cover: float | None
    keep: float | None
    ring: int = 0

    def __post_init__(self) -> None:
        if (self.cover is None) == (self.keep is None):
            raise UserError("a static mask needs one target: a share of the heat to cover, or of regions to keep")
        for name, value in (("cover", self.cover), ("keep", self.keep)):
            if value is not None and not 0.0 < value <= 1.0:
                raise UserError(f"{name} {value:g}: must lie above 0 and not above 1")
        if not 0 <= self.ring <= 100:
            raise UserError(f"ring {self.ring}: must be 0 to 100 regions")

    def mask(self, heat: np.ndarray) -> np.ndarray:
        """bool [rows, cols]. Raises UserError when there is no heat."""
        keep = min_cover_mask(heat, self.cover or 1.0)
        if self.keep is not None:
            keep = top_k_mask(heat, max(1, round(self.keep * heat.size)))
        return grow_mask(keep, self.ring)


@dataclass(frozen=True)
class CoverageLoss:
    """Objects of a class in a range of heights. lost: hardly attended (below half). cut: attended below 80 %.

    size: such as "24 to 63 px".
    """

    name: str
    size: str
    objects: int
    lost: int
    cut: int


class Calibration:
    """Collects objects, frame by frame, over any number of sources that share a grid."""

    def __init__(self, grid: RegionGrid) -> None:
        self.grid = grid
        self.heat = np.zeros(grid.shape)
        self.frames = 0
        self._boxes: list[tuple[np.ndarray, Sequence[str], tuple[int, int]]] = []

    @property
    def objects(self) -> int:
        return sum(len(names) for _, names, _ in self._boxes)

    def add(self, boxes: np.ndarray, names: Sequence[str], image_wh: tuple[int, int]) -> None:
        """boxes: float [n, 4], x0 y0 x1 y1 in picture pixels, of one frame. names: the class of each."""
        self.frames += 1
        if len(names):
            self.heat += compute_heat(boxes, self.grid, image_wh)
            self._boxes.append((np.asarray(boxes, np.float64), names, image_wh))

    def losses(self, keep: np.ndarray) -> list[CoverageLoss]:
        """What a mask would lose of the objects it was made from, by class and height; classes with most objects
        first. Held-out pictures may show other objects elsewhere: this is a lower bound.
        """
        rows: dict[tuple[str, int], list[float]] = {}
        for boxes, names, image_wh in self._boxes:
            shares = coverage(boxes, keep, image_wh)
            sizes = np.searchsorted(SIZE_BORDERS_PX, boxes[:, 3] - boxes[:, 1], side="right")
            for name, size, share in zip(names, sizes, shares):
                rows.setdefault((name, int(size)), []).append(float(share))
        totals: dict[str, int] = {}
        for (name, _), shares in rows.items():
            totals[name] = totals.get(name, 0) + len(shares)
        order = sorted(rows, key=lambda key: (-totals[key[0]], key))
        return [_loss(name, size, np.array(rows[name, size])) for name, size in order]


def _loss(name: str, size: int, shares: np.ndarray) -> CoverageLoss:
    lost = int(np.count_nonzero(shares < OBSERVED_SHARE))
    return CoverageLoss(name, size_text(size), len(shares), lost, int(np.count_nonzero(shares < WHOLE_SHARE)) - lost)


def size_text(size: int) -> str:
    """The range of heights of that number, in words."""
    borders = (0, *SIZE_BORDERS_PX)
    if size == len(SIZE_BORDERS_PX):
        return f"{borders[size]} px and more"
    return f"below {borders[1]} px" if size == 0 else f"{borders[size]} to {borders[size + 1] - 1} px"
