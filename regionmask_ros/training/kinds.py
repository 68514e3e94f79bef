"""What differs between the two networks when they are trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping


@dataclass(frozen=True)
class Kind:
    """cell_px: side of a scored cell in the network's own picture. channels: of it; 4 with the change, 3 without.

    grids: rows and columns of cells of the pictures that it is trained with, one chosen by chance for every batch.
    picture_width: of the frames kept in memory. batch: samples of a step. rate: highest learning rate.
    """

    cell_px: int
    channels: int
    grids: tuple[tuple[int, int], ...]
    picture_width: int
    batch: int
    rate: float

    def size_hw(self, grid: tuple[int, int]) -> tuple[int, int]:
        """Height and width of the network's picture."""
        return grid[0] * self.cell_px, grid[1] * self.cell_px


KINDS: Mapping[str, Kind] = {
    "light": Kind(4, 4, ((24, 32), (20, 36), (16, 48), (28, 28)), 320, 16, 3e-3),
    "paper": Kind(16, 3, ((28, 28), (24, 32), (20, 36), (16, 48)), 480, 4, 6e-4),
}
