"""Tiles: overlapping windows of the image, all of one input shape, for networks that compute whole inputs.

From a mask to the windows that cover it. Two input shapes are in use, so that a runtime compiles two models only: the
whole image and a tile, or a tile and the whole image made small.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..core.grid import REGION_PX, RegionGrid
from ..core.look import Look

MARGIN_PX = 32
"""Every region lies inside a tile, or at the image's border, with at least this many input pixels around it."""

SMALL_WIDTH = 320
"""Width of the input when the whole image is made small; the longer side."""

WHOLE_SHARE = 0.8
"""Tiles that have at least this share of the whole input's pixels are replaced by the whole input."""


@dataclass(frozen=True)
class Tiling:
    """The windows of one camera.

    Attributes:
        image_wh: Width and height of the image.
        full_wh: Width and height of the network's input for the whole image at full resolution.
        grid: The region grid.
        cols: Number of columns of tiles.
        rows: Number of rows of tiles.
        tile_wh: Width and height of a tile's input.
        window_wh: Width and height of a tile's window in image pixels.
        small_wh: Width and height of the input for the whole image made small.
        tiles: One look for each tile, row by row.
    """

    image_wh: tuple[int, int]
    full_wh: tuple[int, int]
    grid: RegionGrid
    cols: int
    rows: int
    tile_wh: tuple[int, int]
    window_wh: tuple[float, float]
    small_wh: tuple[int, int]
    tiles: tuple[Look, ...]

    @property
    def whole(self) -> Look:
        """The whole image at full resolution."""
        return Look(self._everything, self.full_wh)

    @property
    def small(self) -> Look:
        """The whole image made small."""
        return Look(self._everything, self.small_wh)

    @property
    def _everything(self) -> tuple[float, float, float, float]:
        return 0.0, 0.0, float(self.image_wh[0]), float(self.image_wh[1])

    @property
    def full_scale(self) -> float:
        """Image pixels per input pixel of a tile."""
        return max(self.window_wh[0] / self.tile_wh[0], self.window_wh[1] / self.tile_wh[1])

    def place(self, box: tuple[float, float, float, float]) -> Look:
        """A window of a tile's size that has a box in its middle, as far as the image allows.

        Args:
            box: x0, y0, x1, y1 in image pixels.

        Returns:
            The look. It is larger than a tile, and made smaller, where the box is.
        """
        zoom = max((box[2] - box[0]) / self.window_wh[0], (box[3] - box[1]) / self.window_wh[1], 1.0)
        width, height = (min(side * zoom, float(image)) for side, image in zip(self.window_wh, self.image_wh))
        x0 = min(max(0.5 * (box[0] + box[2] - width), 0.0), self.image_wh[0] - width)
        y0 = min(max(0.5 * (box[1] + box[3] - height), 0.0), self.image_wh[1] - height)
        return Look(whole_pixels((x0, y0, x0 + width, y0 + height), self.image_wh), self.tile_wh)

    def regions_of(self, look: Look) -> np.ndarray:
        """The regions that lie inside a window as a whole, bool [rows, cols]."""
        x0, y0, x1, y1 = look.window
        across, down = self.grid.cols / self.image_wh[0], self.grid.rows / self.image_wh[1]
        inside = self.grid.full(False)
        tiny = 1e-6
        inside[math.ceil(y0 * down - tiny):math.floor(y1 * down + tiny),
               math.ceil(x0 * across - tiny):math.floor(x1 * across + tiny)] = True
        return inside

    def cover(self, keep: np.ndarray, chosen: tuple[Look, ...] = (), may_be_whole: bool = True) -> tuple[Look, ...]:
        """Finds windows that cover regions, few and small ones.

        Args:
            keep: bool [rows, cols], True = observed.
            chosen: Looks that are taken anyway.
            may_be_whole: Whether the whole input may be run instead of many tiles.

        Returns:
            The chosen looks and those for the remaining regions; none where nothing is observed.
        """
        rest = keep.copy()
        for look in chosen:
            rest &= ~self.regions_of(look)
        if not rest.any():
            return chosen
        rows, cols = np.flatnonzero(rest.any(axis=1)), np.flatnonzero(rest.any(axis=0))
        across, down = self.image_wh[0] / self.grid.cols, self.image_wh[1] / self.grid.rows
        box = (cols[0] * across, rows[0] * down, (cols[-1] + 1) * across, (rows[-1] + 1) * down)
        one = self.place(box)
        # A window of whole pixels is up to two of them larger than a tile.
        if max(one.scale) <= 1.001 * self.full_scale + 2.0 / min(self.tile_wh):
            return (*chosen, one)
        looks = list(chosen)
        inside = [self.regions_of(look) for look in self.tiles]
        while rest.any():
            best = max(range(len(inside)), key=lambda i: np.count_nonzero(inside[i] & rest))
            looks.append(self.tiles[best])
            rest &= ~inside[best]
        is_much = sum(math.prod(look.input_wh) for look in looks) >= WHOLE_SHARE * math.prod(self.full_wh)
        return (self.whole,) if may_be_whole and is_much else tuple(looks)


def whole_pixels(box: tuple[float, float, float, float], image_wh: tuple[int, int]
                 ) -> tuple[float, float, float, float]:
    """Widens a box to whole pixels: what it shows is then a part of the image's array, which is quick to resize.

    Args:
        box: x0, y0, x1, y1 in image pixels.
        image_wh: Width and height of the image.

    Returns:
        The box, inside the image.
    """
    tiny = 1e-6
    return (float(max(math.floor(box[0] + tiny), 0)), float(max(math.floor(box[1] + tiny), 0)),
            float(min(math.ceil(box[2] - tiny), image_wh[0])), float(min(math.ceil(box[3] - tiny), image_wh[1])))


def make_tiling(image_wh: tuple[int, int], full_wh: tuple[int, int], grid: RegionGrid, tiles: tuple[int, int],
                alignment: int, is_fixed: bool = False) -> Tiling:
    """Lays out tiles.

    Args:
        image_wh: Width and height of the image.
        full_wh: Width and height of the network's input for the whole image.
        grid: The region grid.
        tiles: Columns and rows of tiles.
        alignment: Width and height of an input are multiples of this.
        is_fixed: Whether the network has no other input shape than ``full_wh``: then tiles are enlarged to it.

    Returns:
        The tiling. A tile's input is never larger than the whole input; a side that is too short has one tile only.
    """
    lengths, starts, counts = [], [], []
    for image, full, most in zip(image_wh, full_wh, tiles):
        # Neighbors share a margin on either side of a region.
        wanted = full / most + (2 * MARGIN_PX + REGION_PX) * (most - 1) / most
        length = min(math.ceil(wanted / alignment) * alignment, full)
        # More tiles than one would all be the same.
        count = 1 if length == full else most
        step = (full - length) / max(count - 1, 1)
        counts.append(count)
        lengths.append(length)
        starts.append([i * step * image / full for i in range(count)])
    longer = max(full_wh)
    small_wh = [min(math.ceil(side * min(SMALL_WIDTH / longer, 1.0) / alignment) * alignment, side) for side in full_wh]
    width, height = (length * image / full for length, image, full in zip(lengths, image_wh, full_wh))
    tile_wh = full_wh if is_fixed else (lengths[0], lengths[1])
    looks = tuple(
        Look(whole_pixels((x, y, x + width, y + height), image_wh), tile_wh)
        for y in starts[1] for x in starts[0])
    return Tiling(image_wh, full_wh, grid, counts[0], counts[1], tile_wh, (width, height),
                  full_wh if is_fixed else (small_wh[0], small_wh[1]), looks)
