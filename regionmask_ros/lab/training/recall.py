"""What differs between the two networks when they are trained.

How well scores attend the objects that the teacher sees in clips: to choose recipes and thresholds by.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...core.grid import RegionGrid, coverage
from ...mask.mgnet.source import BOX_SCORE, RING_SCORE
from .clips import Clip
from .samples import KNOWN_SHARE, whole_frame_sample


@dataclass(frozen=True)
class Kind:
    """cell_px: side of a scored cell in the network's own picture. channels: of it; 4 with the change, 3 without.

    grids: rows and columns of cells of the pictures that it is trained with, one chosen by chance for every batch.
    picture_width: of the frames kept in memory. batch: samples of a step. rate: highest learning rate.
    """

    cell_px: int
    channels: int
    grids: tuple[tuple[int, int], ...]
    image_width: int
    batch: int
    rate: float

    def size_hw(self, grid: tuple[int, int]) -> tuple[int, int]:
        """Height and width of the network's picture."""
        return grid[0] * self.cell_px, grid[1] * self.cell_px


KINDS: Mapping[str, Kind] = {
    "light": Kind(4, 4, ((24, 32), (20, 36), (16, 48), (28, 28)), 320, 16, 3e-3),
    "paper": Kind(16, 3, ((28, 28), (24, 32), (20, 36), (16, 48)), 480, 4, 6e-4),
}


WHOLE_SHARE = 0.8
MIN_HEIGHT = 0.033
"""Of the picture: 24 pixels of 720."""

UNIT = (1, 1)
FRAMES_PER_CLIP = 60
_FINE = RegionGrid(180, 320)


@dataclass(frozen=True)
class Outcome:
    """recall, newcomers: percent of objects attended, network and boxes together, at the wanted masked share.

    alone: recall of the network without boxes. 0 where there are no objects. threshold: of scores with boxes.
    """

    recall: float
    newcomers: float
    alone: float
    threshold: float


def judge(clips: Sequence[Clip], kind: Kind, scores: Callable[[np.ndarray], np.ndarray], masked: float) -> Outcome:
    """scores: from uint8 [4, h, w] to float32 [rows, cols], 0 to 1. masked: share, 0 to 1, over all clips."""
    seen = []
    for clip in clips:
        grid = _fitting(kind, clip)
        for number in np.unique(np.linspace(1, len(clip.pictures) - 1, FRAMES_PER_CLIP).astype(int)):
            sample = whole_frame_sample(clip, int(number), kind.size_hw(grid), grid)
            known = clip.taught.known[number - 1]
            seen.append((clip.taught.objects[number], known, scores(sample.values)))
    boxed = [score + _boxes(known, score.shape) for _, known, score in seen]
    threshold = float(np.quantile(np.concatenate([one.ravel() for one in boxed]), masked))
    own = float(np.quantile(np.concatenate([score.ravel() for _, _, score in seen]), masked))
    kept, alone, new = [], [], []
    for (objects, known, score), both in zip(seen, boxed):
        objects = objects[objects[:, 3] - objects[:, 1] >= MIN_HEIGHT]
        kept.append(coverage(objects, both > threshold, UNIT) >= WHOLE_SHARE)
        alone.append(coverage(objects, score > own, UNIT) >= WHOLE_SHARE)
        new.append(coverage(objects, _FINE.cover(known, UNIT), UNIT) < KNOWN_SHARE)
    whole_ones, newcomers = np.concatenate(kept), np.concatenate(new)
    return Outcome(_percent(whole_ones), _percent(whole_ones[newcomers]), _percent(np.concatenate(alone)), threshold)


def _fitting(kind: Kind, clip: Clip) -> tuple[int, int]:
    height, width = clip.pictures.shape[1:3]
    return min(kind.grids, key=lambda grid: abs(np.log(grid[1] / grid[0] * height / width)))


def _boxes(known: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    near, inside = (RegionGrid(*shape).cover(known, UNIT, ring) for ring in (1, 0))
    return np.float32(RING_SCORE) * near + np.float32(BOX_SCORE - RING_SCORE) * inside


def _percent(hits: np.ndarray) -> float:
    return 100.0 * float(hits.mean()) if len(hits) else 0.0
