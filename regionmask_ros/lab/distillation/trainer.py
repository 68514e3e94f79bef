"""Training of a student, in steps that a seed decides. Needs torch.

Each step draws its samples from the seed and its own number, so a training that was stopped and resumed ends with the
weights with which it would have ended anyway. The first part learns with batch normalization. The second one has it
merged into the convolutions, and learns with weights rounded to the grid.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch

from ...network.chain import YoloHead
from ...network.dense import Preprocessing
from .anchors import AnchorCells, anchor_loss
from .augment import SIZES, SampleSource
from .equalize import equalize
from .graph_model import GraphModel
from .grids import FLOAT, LAVA64, LAVA_POW2, POW2
from .guide import Guide, Hint, find_hints, make_adapters, pair_values
from .inputs import to_input
from .objective import Cells, dense_loss, hint_loss, label_loss
from .pictures import Picture
from .sparsity import measure_sparsity

ROUNDED_SHARE = 0.12
"""Share of the steps with rounded weights, at the end."""

WARM_UP, MIN_RATE = 100, 0.02
"""Steps over which the rate rises, and the rate at the end of a part, relative to the highest."""

ROUNDED_RATE = 1e-3
"""Highest rate of the rounded part: without normalization, larger steps destroy what was learned."""

DECAY, MAX_NORM = 1e-4, 20.0
AVERAGE, AVERAGE_START = 0.998, 20
"""The weights that are kept are a moving mean over about the last 500 steps."""

NORM_BATCHES = 8
"""On which means and deviations of normalizations are measured."""

SMALLEST_SIZE = 1e-3
_MOMENTS = ("exp_avg", "exp_avg_sq")
_MEASURING = 1 << 40
"""Number of the first batch for measuring: beyond those of all steps."""


@dataclass(frozen=True)
class Plan:
    """What decides the result of a training, apart from the pictures.

    Attributes:
        steps: Steps in all.
        batch: Samples in a step.
        seed: Of the samples.
        grid: Of the weights, one of ``GRIDS``.
        rate: Highest change of a tensor in a step, relative to the size of its values.
        hint_weight: Weight of the loss on values inside; only with a guide.
        with_labels: Whether labels teach; without, a guide alone does.
    """

    steps: int
    batch: int
    seed: int
    grid: str
    rate: float
    hint_weight: float = 0.0
    with_labels: bool = True

    @property
    def float_steps(self) -> int:
        """Steps before weights are rounded."""
        return self.steps if self.grid == FLOAT else self.steps - round(ROUNDED_SHARE * self.steps)


class Trainer:
    """One training.

    Args:
        plan: How long, and how.
        student: ONNX ModelProto of the untrained student.
        pictures: To train on, with labels of the student's classes.
        preprocessing: What the student expects.
        strides: Of its levels.
        guide: A teacher that sees the same samples; None: only the labels teach.
        twin: Whether the guide has the student's own graph before its activations were replaced.
        shares: Rates of convolutions relative to those of all others, by the names of their outputs; with 0 they stay
            as they are until weights are rounded.
        head: The meaning of an output with anchors, which learns from labels alone; None: it is YOLOX's.

    Attributes:
        step: Number of steps done.
        losses: Loss of each step.
    """

    def __init__(self, plan: Plan, student: Any, pictures: Sequence[Picture], preprocessing: Preprocessing,
                 strides: tuple[int, ...], guide: Guide | None = None, twin: bool = False,
                 shares: Mapping[str, float] | None = None, head: YoloHead | None = None) -> None:
        torch.set_num_threads(1)
        self.plan, self._preprocessing, self._strides = plan, preprocessing, strides
        self._model = GraphModel(student)
        self._guide, self._head = guide, head
        classes = 1 + max(int(picture.labels[:, 5].max(initial=0)) for picture in pictures)
        self._samples = SampleSource(pictures, classes)
        self._hints: tuple[Hint, ...] = ()
        if guide is not None and plan.hint_weight:
            self._hints = find_hints(self._model) if twin else pair_values(self._model, guide.model, strides)
        self._adapters = make_adapters(() if twin else self._hints, plan.seed)
        self._shares = dict(shares or {})
        self._model.rest(name for name, share in self._shares.items() if share == 0)
        self._model.add_norms(self._measuring_images(), guide.model if guide is not None and twin else None)
        self._model.train()
        self.step, self._float_end, self._rounds = 0, plan.float_steps, False
        self.losses: list[float] = []
        self._begin()

    @property
    def last_step(self) -> int:
        """Number of steps in all; fewer than planned after ``stop_early``."""
        return self._float_end + self.plan.steps - self.plan.float_steps

    def stop_early(self) -> None:
        """Ends the first part with this step, so that only the rounded one is left. In that part, it does nothing."""
        if not self._rounds:
            self._float_end = self.step

    def advance(self) -> float:
        """Does one step and returns its loss."""
        if self.step == self._float_end and self.plan.grid != FLOAT:
            self._begin_rounding()
        size, images, labels = self._batch(self.step)
        rate = self._rate()
        for group, scale in zip(self._optimizer.param_groups, self._scales):
            group["lr"] = rate * scale
        hints = () if self._rounds else self._hints
        output, inside = self._model(to_input(images, self._preprocessing), [hint.student for hint in hints])
        loss = self._loss(output, (size[1], size[0]), labels, images, inside, hints)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), MAX_NORM)
        self._optimizer.step()
        self.step += 1
        self._since += 1
        keep = min(AVERAGE, self._since / (self._since + AVERAGE_START))
        with torch.no_grad():
            for mean, value in zip(self._mean.parameters(), self._model.parameters()):
                mean.lerp_(value, 1.0 - keep)
        self.losses.append(float(loss.detach()))
        return self.losses[-1]

    def _loss(self, output: torch.Tensor, input_hw: tuple[int, int], labels: Sequence[np.ndarray], images: np.ndarray,
              inside: list[torch.Tensor], hints: Sequence[Hint]) -> torch.Tensor:
        if self._head is not None:
            return anchor_loss(output, AnchorCells.of(input_hw, self._head, self._strides[0]), labels)
        cells = Cells.of(input_hw, self._strides)
        loss = label_loss(output, cells, labels) if self.plan.with_labels else torch.zeros(())
        if self._guide is not None:
            taught, wanted = self._guide.answer(images, [hint.teacher for hint in hints])
            loss = loss + dense_loss(output, taught, cells)
            if hints:
                if self._adapters:  # a twin's values are alike without them
                    inside = [adapter(value) for adapter, value in zip(self._adapters, inside)]
                loss = loss + self.plan.hint_weight * hint_loss(inside, wanted)
        return loss

    def weights(self) -> dict[str, tuple[np.ndarray, np.ndarray | None]]:
        """Weights and biases to use: those of the mean, merged, and on the grid in the rounded part."""
        return self._merged_mean().rounded_weights()

    def sparsity(self, pictures: Sequence[Picture]) -> dict[str, float]:
        """Shares of values behind rectifiers that are 0, and that hardly change from one picture to the next.

        Args:
            pictures: In their order; those of one source and size that follow each other are compared.

        Returns:
            ``zero_share`` and ``still_share``, 0 to 1.
        """
        return measure_sparsity(self._merged_mean(), pictures, self._preprocessing)

    def _merged_mean(self) -> GraphModel:
        mean = copy.deepcopy(self._mean)
        mean.measure_norms(self._measuring_images())
        mean.merge_norms()
        return mean

    def _begin(self) -> None:
        """Begins a part: a fresh optimizer and a fresh mean."""
        self._scales = [_size_of(value) * self._shares.get(step.name, 1.0) for step in self._model.convolutions
                        for value in self._model.parameters_of(step.name)]
        self._scales += [_size_of(value) for value in self._helpers()]
        self._optimizer = torch.optim.AdamW([{"params": [value]} for value in self._trained()], lr=1.0,
                                            weight_decay=DECAY, betas=(0.9, 0.99))
        self._mean = copy.deepcopy(self._model)
        self._since = 0

    def _trained(self) -> list[torch.nn.Parameter]:
        return [*(value for step in self._model.convolutions for value in self._model.parameters_of(step.name)),
                *self._helpers()]

    def _helpers(self) -> list[torch.nn.Parameter]:
        """Parameters of the adapters, which only the first part has."""
        return [] if self._rounds else list(self._adapters.parameters())

    def _begin_rounding(self) -> None:
        self._model = self._merged_mean()
        self._model.rest(())
        self._shares = {}
        if self.plan.grid in (POW2, LAVA64, LAVA_POW2):
            equalize(self._model, one_step=self.plan.grid != POW2)
        self._model.grid, self._rounds = self.plan.grid, True
        self._begin()

    def _rate(self) -> float:
        plan = self.plan
        if self._rounds:
            done = (self.step - self._float_end) / max(1, plan.steps - plan.float_steps)
            return min(plan.rate, ROUNDED_RATE) * _fall(done)
        return plan.rate * min(1.0, (self.step + 1) / WARM_UP) * _fall(self.step / plan.float_steps)

    def _batch(self, number: int) -> tuple[tuple[int, int], np.ndarray, list[np.ndarray]]:
        rng = np.random.default_rng([self.plan.seed, number])
        size = SIZES[rng.integers(len(SIZES))]
        samples = [self._samples.draw(rng, size) for _ in range(self.plan.batch)]
        return size, np.stack([image for image, _ in samples]), [labels for _, labels in samples]

    def _measuring_images(self) -> list[torch.Tensor]:
        cv2.setNumThreads(1)
        return [to_input(self._batch(_MEASURING + number)[1], self._preprocessing) for number in range(NORM_BATCHES)]

    def state(self) -> dict[str, np.ndarray]:
        """All that ``restore`` needs: arrays by name."""
        state: dict[str, Any] = {
            "step": np.int64(self.step), "since": np.int64(self._since),
            "float_end": np.int64(self._float_end), "steps": np.int64(self.plan.steps),
            "seed": np.int64(self.plan.seed), "batch": np.int64(self.plan.batch),
            "history.losses": np.array(self.losses, np.float64), "scales": np.array(self._scales, np.float64)}
        for part, model in (("model", self._model), ("mean", self._mean)):
            state |= {f"{part}.{name}": value.detach().numpy().ravel().copy()
                      for name, value in model.state_dict().items()}
        state |= {f"helper.{number}": value.detach().numpy().ravel().copy()
                  for number, value in enumerate(self._helpers())}
        for number, value in enumerate(self._trained()):
            moments = self._optimizer.state.get(value) or {key: torch.zeros_like(value) for key in _MOMENTS}
            state |= {f"{key}.{number}": moments[key].numpy().ravel().copy() for key in _MOMENTS}
        return state

    def prepare(self, step: int, float_end: int) -> None:
        """Makes the trainer's arrays those of a state after so many steps, before ``restore``."""
        self._float_end = float_end
        if self.plan.grid != FLOAT and step > float_end:
            self._begin_rounding()

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Continues from the state of a training of the same plan."""
        self.step, self._since = int(state["step"]), int(state["since"])
        self.losses = state["history.losses"].tolist()
        self._scales = state["scales"].tolist()
        for part, model in (("model", self._model), ("mean", self._mean)):
            model.load_state_dict({name: torch.from_numpy(np.array(state[f"{part}.{name}"])).view_as(value)
                                   for name, value in model.state_dict().items()})
        with torch.no_grad():
            for number, value in enumerate(self._helpers()):
                value.copy_(torch.from_numpy(np.array(state[f"helper.{number}"])).view_as(value))
        if self._since:
            for number, value in enumerate(self._trained()):
                moments = {key: torch.from_numpy(np.array(state[f"{key}.{number}"])).view_as(value) for key in _MOMENTS}
                self._optimizer.state[value] = {"step": torch.tensor(float(self._since)), **moments}


def _fall(done: float) -> float:
    """The rate relative to the highest one, after a share of the steps."""
    return MIN_RATE + (1 - MIN_RATE) * 0.5 * (1 + math.cos(math.pi * done))


def _size_of(value: torch.Tensor) -> float:
    return max(float(value.detach().square().mean().sqrt()), SMALLEST_SIZE)
