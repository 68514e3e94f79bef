"""What a training brings down: cells that are judged wrongly, and objects that would be cut.

A mask is good when it leaves objects whole at a low price. An object is whole when four fifths of its box are attended,
so what counts is the score that a fifth of its box does not reach, and the price is the share of the picture that lies
above the mark. Cells are judged one by one besides: that teaches much faster, and keeps what lies below the mark in a
sensible order.

The training itself. Every step draws its samples from the seed and its own number, so that a run which was stopped
and goes on ends where it would have ended anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch.nn import functional

from ...mask.mgnet.kernels import MEAN, SCALE
from ...mask.mgnet.source import region_scores
from ...mask.mgnet.weights import MaskWeights
from .clips import Clip
from .model import MODELS
from .recall import KINDS, Outcome, judge
from .samples import Sample, draw_sample, join_halves

SPARED_SHARE = 0.2
"""Of a box that need not be attended."""

OBJECTS_WEIGHT = 0.3
"""Of objects and the price, beside that of cells."""

MARK, SOFTNESS = -1.0, 0.7
"""Logit above which a cell counts as attended, and over how many logits the step is spread."""

PRICE = 1.2
"""Of attending all of the picture, in objects lost. About 40 % of the cells are then attended."""

_AROUND = (-1, 0, 1)
"""The deciding cell and its neighbours in order: their mean, so that one cell is not pulled at alone."""


def compute_loss(logits: torch.Tensor, samples: Sequence[Sample]) -> torch.Tensor:
    """logits: [batch, rows, cols], of these samples, which have cells of the same rows and columns."""
    target, weight = (torch.from_numpy(np.stack([getattr(one, name) for one in samples]))
                      for name in ("target", "weight"))
    cells = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    judged = (weight > 0).to(logits.dtype)
    price = (torch.sigmoid((logits - MARK) / SOFTNESS) * judged).sum() / judged.sum().clamp(min=1.0)
    loss = (cells * weight).sum() / weight.sum().clamp(min=1.0) + OBJECTS_WEIGHT * PRICE * price
    worth = torch.from_numpy(np.concatenate([one.worth for one in samples]))
    if len(worth):
        image = torch.from_numpy(np.repeat(np.arange(len(samples)), [len(one.worth) for one in samples]))
        covered = torch.from_numpy(np.concatenate([one.covered for one in samples]))
        lost = functional.softplus((MARK - deciding(logits[image], covered)) / SOFTNESS)
        loss = loss + OBJECTS_WEIGHT * (lost * worth).sum() / worth.sum()
    return loss


def deciding(logits: torch.Tensor, covered: torch.Tensor) -> torch.Tensor:
    """[n]: the logit that ``SPARED_SHARE`` of each object's box does not reach.

    logits: [n, rows, cols]. covered: the same shape, share of each cell that the object covers, not all 0.
    """
    logits, covered = logits.flatten(1), covered.flatten(1)
    order = logits.detach().masked_fill(covered == 0, float("inf")).argsort(dim=1)
    below = covered.gather(1, order).cumsum(dim=1) / covered.sum(dim=1, keepdim=True)
    place = (below < SPARED_SHARE).sum(dim=1, keepdim=True) + torch.tensor([_AROUND])
    last = (covered > 0).sum(dim=1, keepdim=True) - 1
    return logits.gather(1, order.gather(1, torch.minimum(place.clamp(min=0), last))).mean(dim=1)


WARM_UP = 200
DECAY, CLIP_NORM = 0.02, 1.0
AVERAGE, AVERAGE_START = 0.998, 20
"""Weights that are kept are a moving mean over the last 500 steps or so."""

SHOWN_SHARE = 0.5
"""Share of samples drawn among frames that show something; the others are spread evenly over the clips."""

SPLIT_SHARE = 0.3
"""Share of samples that show two places side by side."""

MIN_RATE = 0.02


@dataclass(frozen=True)
class Plan:
    """architecture: ``light`` or ``paper``. steps: in all. masked: share at which recall is judged, 0 to 1."""

    architecture: str
    steps: int
    seed: int
    masked: float


class Trainer:
    """clips: to learn from. held_out: to look at only; judged where it is empty are the clips themselves.

    losses: float, one a step. outcomes: (step, outcome), from ``look``.
    """

    def __init__(self, plan: Plan, clips: Sequence[Clip], held_out: Sequence[Clip]) -> None:
        torch.set_num_threads(1)
        self.plan, self.kind = plan, KINDS[plan.architecture]
        self._clips, self._judged = clips, held_out or clips
        self._shown = [(clip, t) for clip in clips for t, boxes in enumerate(clip.taught.objects) if len(boxes)]
        self._model, self._mean = (MODELS[plan.architecture](plan.seed) for _ in range(2))
        self._optimiser = torch.optim.AdamW(self._model.parameters(), lr=self.kind.rate, weight_decay=DECAY)
        self.step, self.losses, self.outcomes = 0, [], []

    def advance(self) -> float:
        """One step. Returns its loss."""
        rate = self.kind.rate * min(1.0, (self.step + 1) / WARM_UP) * self._cosine()
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        samples = self._batch(np.random.default_rng([self.plan.seed, self.step]))
        values = _shown_to_network(np.stack([sample.values[:self.kind.channels] for sample in samples]))
        loss = compute_loss(self._model(values), samples)
        self._optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), CLIP_NORM)
        self._optimiser.step()
        self.step += 1
        keep = min(AVERAGE, self.step / (self.step + AVERAGE_START))
        with torch.no_grad():
            for mean, value in zip(self._mean.parameters(), self._model.parameters()):
                mean.lerp_(value, 1.0 - keep)
        self.losses.append(loss.item())
        return self.losses[-1]

    def look(self) -> Outcome:
        """Judges the mean of the weights on the held-out clips."""
        outcome = judge(self._judged, self.kind, self._scores, self.plan.masked)
        self.outcomes.append((self.step, outcome))
        return outcome

    def weights(self) -> MaskWeights:
        """The mean of the weights, and the threshold of the last look."""
        return MaskWeights(self.plan.architecture, self._mean.weights(), self.outcomes[-1][1].threshold)

    def state(self) -> dict[str, np.ndarray]:
        """All that ``restore`` needs, by name."""
        state = {"step": np.int64(self.step), "steps": np.int64(self.plan.steps), "seed": np.int64(self.plan.seed),
                 "history.losses": np.array(self.losses, np.float64),
                 "history.outcomes": np.array([(step, *vars(one).values()) for step, one in self.outcomes],
                                              np.float64).reshape(-1, 5)}
        for name in self._model.shapes:
            value, mean = self._model.of(name), self._mean.of(name)
            moments = self._optimiser.state.get(value) or {key: torch.zeros_like(value) for key in _MOMENTS}
            parts = {"model": value, "mean": mean, **{key: moments[key] for key in _MOMENTS}}
            state |= {f"{part}.{name}": tensor.detach().numpy().copy() for part, tensor in parts.items()}
        return state

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Goes on where a run of the same plan was."""
        self.step = int(state["step"])
        self.losses = state["history.losses"].tolist()
        self.outcomes = [(int(row[0]), Outcome(*map(float, row[1:]))) for row in state["history.outcomes"]]
        for part, model in (("model", self._model), ("mean", self._mean)):
            model.set_weights({name: state[f"{part}.{name}"] for name in model.shapes})
        for name in self._model.shapes:
            moments = {key: torch.from_numpy(np.array(state[f"{key}.{name}"], np.float32)) for key in _MOMENTS}
            self._optimiser.state[self._model.of(name)] = {"step": torch.tensor(float(self.step)), **moments}

    def _cosine(self) -> float:
        done = min(1.0, self.step / self.plan.steps)
        return MIN_RATE + (1.0 - MIN_RATE) * 0.5 * (1.0 + np.cos(np.pi * done))

    def _batch(self, rng: np.random.Generator) -> list[Sample]:
        grid = self.kind.grids[rng.integers(len(self.kind.grids))]
        return [self._sample(grid, rng) for _ in range(self.kind.batch)]

    def _sample(self, grid: tuple[int, int], rng: np.random.Generator) -> Sample:
        if rng.random() < SPLIT_SHARE:
            half = grid[0], grid[1] // 2
            return join_halves(self._drawn(half, rng), self._drawn(half, rng))
        return self._drawn(grid, rng)

    def _drawn(self, grid: tuple[int, int], rng: np.random.Generator) -> Sample:
        if self._shown and rng.random() < SHOWN_SHARE:
            clip, number = self._shown[rng.integers(len(self._shown))]
        else:
            clip = self._clips[rng.integers(len(self._clips))]
            number = int(rng.integers(len(clip.pictures)))
        return draw_sample(clip, number, self.kind.size_hw(grid), grid, rng)

    def _scores(self, values: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            logits = self._mean(_shown_to_network(values[None, :self.kind.channels]))[0].numpy()
        change = cv2.resize(values[3], logits.shape[::-1], interpolation=cv2.INTER_AREA)
        return region_scores(logits, change.astype(np.float32) / np.float32(255.0))


_MOMENTS = ("exp_avg", "exp_avg_sq")


def _shown_to_network(values: np.ndarray) -> torch.Tensor:
    return (torch.from_numpy(values).float() / 255.0 - MEAN) * SCALE
