"""Heat: where objects have been; the smallest static masks that hold enough of it, and what they would lose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ..core.grid import OBSERVED_SHARE, RegionGrid, box_in_grid, coverage
from ..errors import UserError
from ..jit.cache import kernel

DEFAULT_COVER = 0.99
"""Share of the heat that a static mask observes when nothing else is asked for."""

BLUR_REGIONS = 2.0
"""Standard deviation of the blur that decides between regions of equal heat: those near hot ones come first."""


def compute_heat(boxes: np.ndarray, grid: RegionGrid, image_wh: tuple[int, int]) -> np.ndarray:
    """Sums up how much of each region boxes cover. A box that covers a region as a whole adds 1 to it.

    Args:
        boxes: float [n, 4], x0 y0 x1 y1 in image pixels.
        grid: The region grid.
        image_wh: Width and height of the image.

    Returns:
        float64 [rows, cols].
    """
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    cols = _axis_overlap(boxes[:, 0], boxes[:, 2], grid.cols, image_wh[0])
    rows = _axis_overlap(boxes[:, 1], boxes[:, 3], grid.rows, image_wh[1])
    heat: np.ndarray = rows.T @ cols
    return heat


def _axis_overlap(low: np.ndarray, high: np.ndarray, cells: int, length: float) -> np.ndarray:
    """Share of each region, along one axis, that lies between low and high pixels: float64 [n, cells]."""
    start, scale = np.arange(cells), cells / length
    overlap: np.ndarray = np.clip(
        np.minimum(high[:, None] * scale, start + 1) - np.maximum(low[:, None] * scale, start), 0.0, 1.0)
    return overlap


class HeatMap:
    """Heat that is collected while a camera runs, in one array, whatever the number of frames.

    Attributes:
        heat: float64 [rows, cols], the sum of ``compute_heat`` over the frames.
        frames: Number of frames so far.
    """

    def __init__(self, grid: RegionGrid, image_wh: tuple[int, int]) -> None:
        self.heat, self.frames = np.zeros(grid.shape), 0
        self._image_wh = image_wh

    def add(self, boxes: np.ndarray) -> None:
        """Takes the objects of one frame: float [n, 4], x0 y0 x1 y1 in image pixels."""
        width, height = self._image_wh
        _add_heat(np.ascontiguousarray(boxes, np.float64).reshape(-1, 4), float(width), float(height), self.heat)
        self.frames += 1

    def clear(self) -> None:
        """Starts again."""
        self.heat[:] = 0.0
        self.frames = 0


@kernel
def _add_heat(boxes: np.ndarray, width: float, height: float, heat: np.ndarray) -> None:
    """As ``compute_heat``, added in place."""
    rows, cols = heat.shape
    for i in range(len(boxes)):
        x0, y0, x1, y1, visible = box_in_grid(boxes, i, width, height, rows, cols)
        if visible:
            for row in range(int(y0), min(int(np.ceil(y1)), rows)):
                tall = min(y1, row + 1.0) - max(y0, float(row))
                for col in range(int(x0), min(int(np.ceil(x1)), cols)):
                    heat[row, col] += tall * (min(x1, col + 1.0) - max(x0, float(col)))


def top_k_mask(heat: np.ndarray, regions: int) -> np.ndarray:
    """The hottest regions; of equal ones, those near hot ones.

    Args:
        heat: float [rows, cols], 0 or more.
        regions: Number of regions.

    Returns:
        bool [rows, cols].
    """
    return _first(rank_regions(heat), regions, heat.shape)


def min_cover_mask(heat: np.ndarray, cover: float = DEFAULT_COVER) -> np.ndarray:
    """The fewest regions that hold a share of the heat.

    Args:
        heat: float [rows, cols], 0 or more.
        cover: The share, 0 to 1.

    Returns:
        bool [rows, cols].

    Raises:
        UserError: There is no heat: no object was seen that a mask could be made from.
    """
    total = heat.sum()
    if total <= 0.0:
        raise UserError("no object was seen to make a static mask from: give more images, or labels")
    order = rank_regions(heat)
    held = np.cumsum(heat.ravel()[order])
    # A little below, so that rounding in a sum of thousands does not ask for regions without heat.
    regions = int(np.searchsorted(held, cover * total * (1.0 - 1e-12), side="left")) + 1
    return _first(order, regions, heat.shape)


def _first(order: np.ndarray, regions: int, shape: tuple[int, ...]) -> np.ndarray:
    keep = np.zeros(shape, bool)
    keep.ravel()[order[:regions]] = True
    return keep


def rank_regions(heat: np.ndarray) -> np.ndarray:
    """Regions by number, the hottest first, see ``top_k_mask``: int64 [rows * cols]. A mask is accepted, too."""
    heat = heat.astype(np.float64)
    near = cv2.GaussianBlur(heat, (0, 0), BLUR_REGIONS)
    order: np.ndarray = np.lexsort((-near.ravel(), -heat.ravel()))
    return order


def rank_by_heat(heat: np.ndarray) -> np.ndarray:
    """Ranks of the regions, the hottest first, see ``top_k_mask``.

    Args:
        heat: float [rows, cols], 0 or more. A mask is accepted, too.

    Returns:
        float64 [rows, cols], 0 to below 1.
    """
    ranks = np.empty(heat.size)
    ranks[rank_regions(heat)] = np.arange(heat.size) / heat.size
    return ranks.reshape(heat.shape)


def grow_mask(keep: np.ndarray, ring: int) -> np.ndarray:
    """Widens a mask.

    Args:
        keep: bool [rows, cols].
        ring: Number of regions on every side.

    Returns:
        A new mask, bool [rows, cols].
    """
    if ring == 0:
        return np.array(keep)
    side = 2 * ring + 1
    grown: np.ndarray = cv2.dilate(keep.astype(np.uint8), np.ones((side, side), np.uint8)).astype(bool)
    return grown


WHOLE_SHARE = 0.8
"""An object of which less is observed, but at least ``OBSERVED_SHARE``, is cut: its box will suffer."""

SIZE_LIMITS_PX = (24, 64, 128)
"""Heights in image pixels that separate small from large objects."""


@dataclass(frozen=True)
class Target:
    """How large a static mask is to be. Exactly one of cover and keep is given.

    Attributes:
        cover: Share of the heat that it holds, above 0 to 1.
        keep: Share of the regions that it observes, above 0 to 1.
        ring: Regions that it is widened by afterwards.

    Raises:
        UserError: A value is out of range, or both or none of cover and keep are given.
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
        """Makes the mask.

        Args:
            heat: float64 [rows, cols].

        Returns:
            bool [rows, cols].

        Raises:
            UserError: There is no heat.
        """
        keep = min_cover_mask(heat, self.cover or 1.0)
        if self.keep is not None:
            keep = top_k_mask(heat, max(1, round(self.keep * heat.size)))
        return grow_mask(keep, self.ring)


@dataclass(frozen=True)
class CoverageLoss:
    """What a mask loses of the objects of a class in a range of heights.

    Attributes:
        name: The class.
        size: The range, such as "24 to 63 px".
        objects: Number of objects.
        lost: Objects of which less than half is observed.
        cut: Objects of which less than 80 % is observed, but not lost.
    """

    name: str
    size: str
    objects: int
    lost: int
    cut: int


@dataclass(frozen=True)
class LossCurve:
    """What masks of the hottest regions lose, from none to all that have heat.

    Attributes:
        kept: float64 [n], share of the regions that is observed, 0 to 1, rising.
        lost: float64 [n], share of the objects of which less than half is observed, 0 to 1, never rising.
    """

    kept: np.ndarray
    lost: np.ndarray


CURVE_POINTS = 120


class Calibration:
    """Collects objects, frame by frame, over any number of sources that share a grid.

    Attributes:
        grid: The region grid.
        heat: float64 [rows, cols], see ``heat.compute_heat``.
        frames: Number of frames so far.
    """

    def __init__(self, grid: RegionGrid) -> None:
        self.grid = grid
        self.heat = np.zeros(grid.shape)
        self.frames = 0
        self._boxes: list[tuple[np.ndarray, Sequence[str], tuple[int, int]]] = []

    @property
    def objects(self) -> int:
        """Number of objects so far."""
        return sum(len(names) for _, names, _ in self._boxes)

    def add(self, boxes: np.ndarray, names: Sequence[str], image_wh: tuple[int, int]) -> None:
        """Takes the objects of one frame.

        Args:
            boxes: float [n, 4], x0 y0 x1 y1 in image pixels.
            names: The class of each.
            image_wh: Width and height of the image.
        """
        self.frames += 1
        if len(names):
            self.heat += compute_heat(boxes, self.grid, image_wh)
            self._boxes.append((np.asarray(boxes, np.float64), names, image_wh))

    def losses(self, keep: np.ndarray) -> list[CoverageLoss]:
        """Counts what a mask would lose of the collected objects.

        Other images may show other objects elsewhere: this is a lower bound.

        Args:
            keep: The mask, bool [rows, cols].

        Returns:
            One entry for each class and range of heights; classes with most objects first.
        """
        rows: dict[tuple[str, int], list[float]] = {}
        for boxes, names, image_wh in self._boxes:
            shares = coverage(boxes, keep, image_wh)
            sizes = np.searchsorted(SIZE_LIMITS_PX, boxes[:, 3] - boxes[:, 1], side="right")
            for name, size, share in zip(names, sizes, shares):
                rows.setdefault((name, int(size)), []).append(float(share))
        totals: dict[str, int] = {}
        for (name, _), values in rows.items():
            totals[name] = totals.get(name, 0) + len(values)
        order = sorted(rows, key=lambda key: (-totals[key[0]], key))
        return [_count_losses(name, size, np.array(rows[name, size])) for name, size in order]

    def loss_curve(self, ring: int = 0) -> LossCurve:
        """Counts what masks of all sizes would lose, by the rule of ``losses``.

        Args:
            ring: Regions that each mask is widened by.

        Returns:
            Masks of at most ``CURVE_POINTS`` sizes.
        """
        order, hot = rank_regions(self.heat), np.count_nonzero(self.heat)
        sizes = np.unique(np.linspace(0, hot, min(hot + 1, CURVE_POINTS)).round().astype(int))
        masks = [grow_mask(_first(order, size, self.heat.shape), ring) for size in sizes]
        lost = self.count_lost(masks)
        return LossCurve(np.array([keep.mean() for keep in masks]), np.array(lost) / max(self.objects, 1))

    def count_lost(self, masks: Sequence[np.ndarray]) -> list[int]:
        """Counts the objects that each mask, bool [rows, cols], would lose, all classes and heights together."""
        by_size: dict[tuple[int, int], list[np.ndarray]] = {}
        for boxes, _, image_wh in self._boxes:
            by_size.setdefault(image_wh, []).append(boxes)
        stacked = [(np.concatenate(boxes), image_wh) for image_wh, boxes in by_size.items()]
        return [sum(int(np.count_nonzero(coverage(boxes, keep, wh) < OBSERVED_SHARE)) for boxes, wh in stacked)
                for keep in masks]


def _count_losses(name: str, size: int, shares: np.ndarray) -> CoverageLoss:
    lost = int(np.count_nonzero(shares < OBSERVED_SHARE))
    return CoverageLoss(name, size_text(size), len(shares), lost, int(np.count_nonzero(shares < WHOLE_SHARE)) - lost)


def size_text(size: int) -> str:
    """The range of heights of that number, in words."""
    limits = (0, *SIZE_LIMITS_PX)
    if size == len(SIZE_LIMITS_PX):
        return f"{limits[size]} px and more"
    return f"below {limits[1]} px" if size == 0 else f"{limits[size]} to {limits[size + 1] - 1} px"
