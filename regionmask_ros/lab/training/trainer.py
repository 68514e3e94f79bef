"""Training of a mask network: the loss, and steps that a seed decides.

A mask is good when it observes whole objects at a low price. An object counts as whole when four fifths of its box are
observed; so the loss has the score that a fifth of its box stays below, and as the price the share of the image that
lies above a mark. It also has each cell by itself: that makes the training much faster, and gives the cells below the
mark a sensible order.

Each step draws its samples from the seed and its own number, so a training that was stopped and resumed ends with the
weights with which it would have ended anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import cv2
import numpy as np
import torch
from torch.nn import functional

from ...core.grid import RegionGrid, coverage
from ...mask.mgnet.kernels import MEAN, SCALE
from ...mask.mgnet.source import BOX_SCORE, RING_SCORE, region_scores
from ...mask.mgnet.weights import MaskWeights
from ..evaluation.mask_recall import KNOWN_SHARE, WHOLE_SHARE
from .clips import TrainingClip
from .model import RECIPES, Recipe
from .samples import Sample, draw_sample, join_halves, whole_frame_sample

MIN_HEIGHT = 0.033
"""Height of the smallest object that counts, as a share of the image: 24 pixels of 720."""

FRAMES_PER_CLIP = 60
_UNIT_WH = (1, 1)
_FINE_GRID = RegionGrid(180, 320)


@dataclass(frozen=True)
class RecallResult:
    """Percentages of objects that are observed at the wanted masked share; 0 where there are none.

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


SPARED_SHARE = 0.2
"""Share of a box that need not be observed."""

OBJECTS_WEIGHT = 0.3
"""Weight of objects and price, relative to that of cells."""

MARK, SOFTNESS = -1.0, 0.7
"""Logit above which a cell counts as observed, and the width of this step in logits."""

PRICE = 1.2
"""Price of observing the whole image, in objects lost. About 40 % of the cells are then observed."""

WARM_UP = 200
"""Steps over which the learning rate rises."""

MIN_RATE = 0.02
"""Learning rate at the end, relative to the highest."""

DECAY, MAX_NORM = 0.02, 1.0
AVERAGE, AVERAGE_START = 0.998, 20
"""The weights that are kept are a moving mean over about the last 500 steps."""

OBJECT_FRAME_SHARE = 0.5
"""Share of samples drawn from frames with objects; the others come from all frames, each clip equally often."""

SPLIT_SHARE = 0.3
"""Share of samples that show two places side by side."""

_AROUND = (-1, 0, 1)
"""The deciding cell and its neighbors in order: their mean spreads the gradient over three cells."""

_MOMENTS = ("exp_avg", "exp_avg_sq")


def compute_loss(logits: torch.Tensor, samples: Sequence[Sample]) -> torch.Tensor:
    """Computes the loss of a batch.

    Args:
        logits: [batch, rows, cols], of the network.
        samples: Those of the batch; all have the same rows and columns of cells.

    Returns:
        The loss, a scalar.
    """
    target, weight = (torch.from_numpy(np.stack([getattr(one, name) for one in samples]))
                      for name in ("target", "weight"))
    cells = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    counted = (weight > 0).to(logits.dtype)
    price = (torch.sigmoid((logits - MARK) / SOFTNESS) * counted).sum() / counted.sum().clamp(min=1.0)
    loss = (cells * weight).sum() / weight.sum().clamp(min=1.0) + OBJECTS_WEIGHT * PRICE * price
    worth = torch.from_numpy(np.concatenate([one.worth for one in samples]))
    if len(worth):
        image = torch.from_numpy(np.repeat(np.arange(len(samples)), [len(one.worth) for one in samples]))
        covered = torch.from_numpy(np.concatenate([one.covered for one in samples]))
        lost = functional.softplus((MARK - deciding_logits(logits[image], covered)) / SOFTNESS)
        loss = loss + OBJECTS_WEIGHT * (lost * worth).sum() / worth.sum()
    return loss


def deciding_logits(logits: torch.Tensor, covered: torch.Tensor) -> torch.Tensor:
    """The logit that ``SPARED_SHARE`` of each object's box stays below.

    Args:
        logits: [n, rows, cols], for each object those of its image.
        covered: [n, rows, cols], share of each cell that the object covers, not all 0.

    Returns:
        [n].
    """
    logits, covered = logits.flatten(1), covered.flatten(1)
    order = logits.detach().masked_fill(covered == 0, float("inf")).argsort(dim=1)
    below = covered.gather(1, order).cumsum(dim=1) / covered.sum(dim=1, keepdim=True)
    place = (below < SPARED_SHARE).sum(dim=1, keepdim=True) + torch.tensor([_AROUND])
    last = (covered > 0).sum(dim=1, keepdim=True) - 1
    return logits.gather(1, order.gather(1, torch.minimum(place.clamp(min=0), last))).mean(dim=1)


@dataclass(frozen=True)
class TrainingPlan:
    """What decides the result of a training, apart from the clips.

    Attributes:
        architecture: ``light`` or ``paper``.
        steps: Steps in all.
        seed: Of initial weights and samples.
        masked: Masked share at which the recall is measured, 0 to 1.
    """

    architecture: str
    steps: int
    seed: int
    masked: float


class Trainer:
    """One training.

    Args:
        plan: What is trained, and how long.
        clips: Clips to train on.
        held_out: Clips to evaluate on; where there are none, the clips to train on are used.

    Attributes:
        step: Number of steps done.
        losses: Loss of each step.
        outcomes: Step and result of each evaluation.
    """

    def __init__(self, plan: TrainingPlan, clips: Sequence[TrainingClip], held_out: Sequence[TrainingClip]) -> None:
        torch.set_num_threads(1)
        self.plan, self.recipe = plan, RECIPES[plan.architecture]
        self._clips, self._held_out = clips, held_out or clips
        self._with_objects = [(clip, t) for clip in clips for t, boxes in enumerate(clip.labels.objects) if len(boxes)]
        self._model, self._mean = (self.recipe.model(plan.seed) for _ in range(2))
        self._optimiser = torch.optim.AdamW(self._model.parameters(), lr=self.recipe.rate, weight_decay=DECAY)
        self.step = 0
        self.losses: list[float] = []
        self.outcomes: list[tuple[int, RecallResult]] = []

    def advance(self) -> float:
        """Does one step and returns its loss."""
        rate = self.recipe.rate * min(1.0, (self.step + 1) / WARM_UP) * self._cosine()
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        samples = self._batch(np.random.default_rng([self.plan.seed, self.step]))
        values = _as_input(np.stack([sample.values[:self.recipe.channels] for sample in samples]))
        loss = compute_loss(self._model(values), samples)
        self._optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), MAX_NORM)
        self._optimiser.step()
        self.step += 1
        keep = min(AVERAGE, self.step / (self.step + AVERAGE_START))
        with torch.no_grad():
            for mean, value in zip(self._mean.parameters(), self._model.parameters()):
                mean.lerp_(value, 1.0 - keep)
        self.losses.append(loss.item())
        return self.losses[-1]

    def evaluate(self) -> RecallResult:
        """Measures the recall of the mean weights on the held-out clips."""
        outcome = measure_recall(self._held_out, self.recipe, self._scores, self.plan.masked)
        self.outcomes.append((self.step, outcome))
        return outcome

    def weights(self) -> MaskWeights:
        """The mean weights, and the threshold of the last evaluation."""
        return MaskWeights(self.plan.architecture, self._mean.weights(), self.outcomes[-1][1].threshold)

    def state(self) -> dict[str, np.ndarray]:
        """All that ``restore`` needs: arrays by name."""
        state: dict[str, Any] = {
            "step": np.int64(self.step), "steps": np.int64(self.plan.steps), "seed": np.int64(self.plan.seed),
            "history.losses": np.array(self.losses, np.float64),
            "history.outcomes": np.array([(step, *astuple(one)) for step, one in self.outcomes], float).reshape(-1, 5),
        }
        for name in self._model.shapes:
            value, mean = self._model.parameter(name), self._mean.parameter(name)
            moments = self._optimiser.state.get(value) or {key: torch.zeros_like(value) for key in _MOMENTS}
            parts = {"model": value, "mean": mean, **{key: moments[key] for key in _MOMENTS}}
            state |= {f"{part}.{name}": tensor.detach().numpy().copy() for part, tensor in parts.items()}
        return state

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Continues from the state of a training of the same plan."""
        self.step = int(state["step"])
        self.losses = state["history.losses"].tolist()
        self.outcomes = [(int(row[0]), RecallResult(*map(float, row[1:]))) for row in state["history.outcomes"]]
        for part, model in (("model", self._model), ("mean", self._mean)):
            model.set_weights({name: state[f"{part}.{name}"] for name in model.shapes})
        for name in self._model.shapes:
            moments = {key: torch.from_numpy(np.array(state[f"{key}.{name}"], np.float32)) for key in _MOMENTS}
            self._optimiser.state[self._model.parameter(name)] = {"step": torch.tensor(float(self.step)), **moments}

    def _cosine(self) -> float:
        """Learning rate relative to the highest, after the warm-up."""
        done = min(1.0, self.step / self.plan.steps)
        return MIN_RATE + (1.0 - MIN_RATE) * 0.5 * (1.0 + float(np.cos(np.pi * done)))

    def _batch(self, rng: np.random.Generator) -> list[Sample]:
        grid = self.recipe.grids[rng.integers(len(self.recipe.grids))]
        return [self._sample(grid, rng) for _ in range(self.recipe.batch)]

    def _sample(self, grid: tuple[int, int], rng: np.random.Generator) -> Sample:
        if rng.random() < SPLIT_SHARE:
            half = grid[0], grid[1] // 2
            return join_halves(self._draw(half, rng), self._draw(half, rng))
        return self._draw(grid, rng)

    def _draw(self, grid: tuple[int, int], rng: np.random.Generator) -> Sample:
        if self._with_objects and rng.random() < OBJECT_FRAME_SHARE:
            clip, number = self._with_objects[rng.integers(len(self._with_objects))]
        else:
            clip = self._clips[int(rng.integers(len(self._clips)))]
            number = int(rng.integers(len(clip.images)))
        return draw_sample(clip, number, self.recipe.size_hw(grid), grid, rng)

    def _scores(self, values: np.ndarray) -> np.ndarray:
        """Scores of the mean weights, float32 [rows, cols], for an input, uint8 [4, h, w]."""
        with torch.no_grad():
            logits = self._mean(_as_input(values[None, :self.recipe.channels]))[0].numpy()
        change = cv2.resize(values[3], logits.shape[::-1], interpolation=cv2.INTER_AREA)
        return region_scores(logits, change.astype(np.float32) / np.float32(255.0))


def _as_input(values: np.ndarray) -> torch.Tensor:
    """The numbers that a network sees, from uint8."""
    return (torch.from_numpy(values).float() / 255.0 - MEAN) * SCALE
