"""Recall of a mask network in training: how many objects of the clips its mask attends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ...core.grid import RegionGrid, coverage
from ...mask.mgnet.source import BOX_SCORE, RING_SCORE
from ..evaluation.mask_recall import KNOWN_SHARE, WHOLE_SHARE
from .clips import TrainingClip
from .model import Recipe
from .samples import whole_frame_sample

MIN_HEIGHT = 0.033
"""Height of the smallest object that counts, as a share of the image: 24 pixels of 720."""

FRAMES_PER_CLIP = 60
_UNIT_WH = (1, 1)
_FINE_GRID = RegionGrid(180, 320)


@dataclass(frozen=True)
class RecallResult:
    """Percentages of objects that are attended at the wanted masked share; 0 where there are none.

    Attributes:
        recall: Of all objects, with network and boxes.
        newcomers: Of objects that the last boxes do not cover, with network and boxes.
        alone: Of all objects, with the network alone.
        threshold: The threshold of the scores of network and boxes.
    """

    recall: float
    newcomers: float
    alone: float
    threshold: float


def measure_recall(clips: Sequence[TrainingClip], recipe: Recipe, scores: Callable[[np.ndarray], np.ndarray],
                   masked: float) -> RecallResult:
    """Measures the recall on whole frames of clips.

    Args:
        clips: At least one.
        recipe: Of the network.
        scores: Makes scores, float32 [rows, cols], 0 to 1, from an input, uint8 [4, h, w].
        masked: Share of the cells of all clips that is masked, 0 to 1.

    Returns:
        The result for this network.
    """
    frames = []
    for clip in clips:
        grid = _nearest_grid(recipe, clip)
        for number in np.unique(np.linspace(1, len(clip.images) - 1, FRAMES_PER_CLIP).astype(int)):
            sample = whole_frame_sample(clip, int(number), recipe.size_hw(grid), grid)
            known = clip.labels.known[number - 1]
            network = scores(sample.values)
            frames.append((clip.labels.objects[number], known, network, network + _box_scores(known, network.shape)))
    threshold = _quantile([both for *_, both in frames], masked)
    threshold_alone = _quantile([network for _, _, network, _ in frames], masked)
    attended, alone, new = [], [], []
    for boxes, known, network, both in frames:
        objects = boxes[boxes[:, 3] - boxes[:, 1] >= MIN_HEIGHT]
        attended.append(coverage(objects, both > threshold, _UNIT_WH) >= WHOLE_SHARE)
        alone.append(coverage(objects, network > threshold_alone, _UNIT_WH) >= WHOLE_SHARE)
        new.append(coverage(objects, _FINE_GRID.cover(known, _UNIT_WH), _UNIT_WH) < KNOWN_SHARE)
    hits, newcomers = np.concatenate(attended), np.concatenate(new)
    return RecallResult(_percent(hits), _percent(hits[newcomers]), _percent(np.concatenate(alone)), threshold)


def _nearest_grid(recipe: Recipe, clip: TrainingClip) -> tuple[int, int]:
    """The recipe's grid whose shape is nearest to that of the clip's images."""
    height, width = clip.images.shape[1:3]
    return min(recipe.grids, key=lambda grid: float(abs(np.log(grid[1] / grid[0] * height / width))))


def _box_scores(known: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    near, inside = (RegionGrid(*shape).cover(known, _UNIT_WH, ring) for ring in (1, 0))
    return np.float32(RING_SCORE) * near + np.float32(BOX_SCORE - RING_SCORE) * inside


def _quantile(scores: Sequence[np.ndarray], share: float) -> float:
    return float(np.quantile(np.concatenate([one.ravel() for one in scores]), share))


def _percent(hits: np.ndarray) -> float:
    return 100.0 * float(hits.mean()) if len(hits) else 0.0
