"""One run of ``train_mgnet``: it reads clips, trains, and writes checkpoint, weights, curves and facts."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2

from ...datasets.labels import Labels
from ...errors import UserError
from ...files.outputs import write_json, write_whole
from ...mask.mgnet.weights import save_weights
from ...network.chain import Network
from ...progress import Progress
from ...sources import Reading
from .checkpoint import defer_interrupts, load_checkpoint, save_checkpoint
from .clips import read_clip
from .curves import Curve, draw_curves
from .model import RECIPES
from .trainer import Trainer, TrainingPlan

CHECKPOINT, WEIGHTS, CURVES, CARD, CACHE = "checkpoint.npz", "mgnet.npz", "curves.png", "training.json", "taught"
"""Names in the output folder."""

_DRAWN = (("recall", "-", "recall"), ("newcomers", "--", "newcomers"), ("alone", ":", "recall without boxes"))
"""Fields of ``RecallResult``, how they are drawn, and what they are called."""


class TrainingSession:
    """A training with its files.

    Args:
        args: Those of ``train_mgnet``.
        network: The detector.
        labels: Labels of the sources, or none.
        reading: How images are read; None: as by default.

    Raises:
        UserError: A clip cannot be read, or the training cannot be resumed.
    """

    def __init__(self, args: argparse.Namespace, network: Network, labels: Sequence[Labels],
                 reading: Reading | None = None) -> None:
        cv2.setNumThreads(1)
        self._args, self._folder, self._reading = args, Path(args.output), reading or Reading()
        if args.resume and not (self._folder / CHECKPOINT).exists():
            raise UserError(f"{self._folder / CHECKPOINT}: no such file; start the training without --resume")
        width, cache = RECIPES[args.architecture].image_width, self._folder / CACHE
        clips = [read_clip(path, width, network, labels[number] if labels else None, cache, self._reading)
                 for number, path in enumerate(args.sources)]
        held_out = [read_clip(path, width, network, None, cache, self._reading) for path in args.hold_out]
        self._trainer = Trainer(TrainingPlan(args.architecture, args.steps, args.seed, args.masked), clips, held_out)
        if args.resume:
            self._resume()
        self._frames = sum(len(clip.images) for clip in clips)
        self._cpu_seconds = 0.0

    @property
    def step(self) -> int:
        """Number of steps done."""
        return self._trainer.step

    def run(self) -> None:
        """Trains to the end of the plan; evaluates and saves every ``--look-every`` steps."""
        trainer, args = self._trainer, self._args
        start = time.process_time()
        with Progress(initial=trainer.step, total=args.steps, unit="step") as progress:
            while trainer.step < args.steps:
                with defer_interrupts():
                    loss = trainer.advance()
                progress.update()
                if trainer.step % args.look_every == 0 or trainer.step == args.steps:
                    outcome = trainer.evaluate()
                    self._cpu_seconds = time.process_time() - start
                    self.save()
                    progress.write(
                        f"step {trainer.step}: loss {loss:.4f}, recall {outcome.recall:.1f} %, newcomers "
                        f"{outcome.newcomers:.1f} %, without boxes {outcome.alone:.1f} %")
                    sys.stdout.flush()
        if not trainer.outcomes:
            trainer.evaluate()
        self.save()
        for name in (WEIGHTS, CURVES, CARD, CHECKPOINT):
            print(f"  {self._folder / name}")

    def save(self) -> None:
        """Writes the checkpoint and, after the first evaluation, the weights, the curves and the facts."""
        trainer = self._trainer
        save_checkpoint(self._folder / CHECKPOINT, trainer.state())
        if not trainer.outcomes:
            return
        save_weights(str(self._folder / WEIGHTS), trainer.weights())
        evaluated = "held-out clips" if self._args.hold_out else "training clips"
        curves = [Curve([getattr(outcome, field) for _, outcome in trainer.outcomes], style, name)
                  for field, style, name in _DRAWN]
        write_whole(self._folder / CURVES, draw_curves(
            trainer.losses, [step for step, _ in trainer.outcomes], curves, f"% of objects, {evaluated}"))
        write_json(self._folder / CARD, self._facts())

    def _resume(self) -> None:
        path, trainer, args = self._folder / CHECKPOINT, self._trainer, self._args
        state = load_checkpoint(path, trainer.state())
        for name, wanted in (("steps", args.steps), ("seed", args.seed)):
            if int(state[name]) != wanted:
                raise UserError(f"{path}: its --{name} is {int(state[name])}, not {wanted}: resume with the same plan")
        trainer.restore(state)

    def _facts(self) -> dict[str, Any]:
        args, trainer = self._args, self._trainer
        step, outcome = trainer.outcomes[-1]
        return {
            "architecture": args.architecture, "steps": trainer.step, "batch": trainer.recipe.batch, "seed": args.seed,
            "frames": self._frames, "clips": [Path(path).name for path in args.sources],
            **self._reading.dropped.as_json(),
            "held_out": [Path(path).name for path in args.hold_out],
            "cpu_seconds_of_this_run": round(self._cpu_seconds), "judged_at_step": step, "masked": args.masked,
            **vars(outcome),
        }
