"""How a training went, as a picture.

One training from the command line: its clips, its files, and what a person sees of it.
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from ...datasets.labels import Labels
from ...errors import UserError
from ...files.outputs import write_whole
from ...mask.mgnet.weights import save_weights
from ...network.graph import Network
from ...report.plots import GRID, INK, LINE, MARK, PNG_COLOURS, PNG_DPI
from .checkpoint import defer_interrupts, load_checkpoint, save_checkpoint
from .material import read_clip
from .recall import KINDS, Outcome
from .trainer import Plan, Trainer

POINTS = 300
"""Losses are drawn as means over so many parts of the training."""


def curves_png(losses: Sequence[float], outcomes: Sequence[tuple[int, Outcome]], judged: str) -> bytes:
    """losses: one a step. outcomes: (step, outcome). judged: what the outcomes are about, for people."""
    # On a fresh machine matplotlib tells on the terminal that it collects fonts.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    from matplotlib.figure import Figure

    colours = PNG_COLOURS
    figure = Figure(figsize=(8.4, 5.2), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    ends = np.unique(np.linspace(0, len(losses), POINTS + 1).astype(int))
    means = [float(np.mean(losses[low:high])) for low, high in zip(ends[:-1], ends[1:])]
    above.plot(ends[1:], means, color=colours[LINE], linewidth=1.2)
    above.set_ylabel("loss", color=colours[INK])
    steps = [step for step, _ in outcomes]
    for name, style in (("recall", "-"), ("newcomers", "--"), ("alone", ":")):
        values = [getattr(outcome, name) for _, outcome in outcomes]
        label = {"alone": "recall without boxes"}.get(name, name)
        below.plot(steps, values, style, color=colours[MARK], linewidth=1.4, marker="o", markersize=3, label=label)
    below.legend(frameon=False, labelcolor=colours[INK], fontsize=8)
    below.set_ylabel(f"% of objects, {judged}", color=colours[INK])
    below.set_xlabel("step", color=colours[INK])
    for axis in (above, below):
        axis.grid(color=colours[GRID], linewidth=0.5)
        axis.tick_params(color=colours[GRID], labelcolor=colours[INK], length=0)
        axis.spines[["top", "right"]].set_visible(False)
        axis.spines[["left", "bottom"]].set_color(colours[GRID])
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=PNG_DPI)
    return buffer.getvalue()


CHECKPOINT, WEIGHTS, CURVES, CARD, TAUGHT = "checkpoint.npz", "mgnet.npz", "curves.png", "training.json", "taught"


class Session:
    """args: those of ``train_mgnet``. labels: of its sources, or none."""

    def __init__(self, args: argparse.Namespace, network: Network, labels: Sequence[Labels]) -> None:
        cv2.setNumThreads(1)
        self._args, self._folder = args, Path(args.output)
        if args.resume and not (self._folder / CHECKPOINT).exists():
            raise UserError(f"{self._folder / CHECKPOINT}: no such file, so there is nothing to resume")
        width, cache = KINDS[args.architecture].image_width, self._folder / TAUGHT
        clips = [read_clip(path, width, network, labels[number] if labels else None, cache)
                 for number, path in enumerate(args.sources)]
        held_out = [read_clip(path, width, network, None, cache) for path in args.hold_out]
        self._trainer = Trainer(Plan(args.architecture, args.steps, args.seed, args.masked), clips, held_out)
        if args.resume:
            self._resume()
        self._frames = sum(len(clip.pictures) for clip in clips)
        self._seconds = 0.0

    @property
    def step(self) -> int:
        return self._trainer.step

    def run(self) -> None:
        """Trains to the end of the plan, and saves every so many steps."""
        trainer, args = self._trainer, self._args
        start = time.process_time()
        with tqdm(initial=trainer.step, total=args.steps, unit="step", disable=None) as progress:
            while trainer.step < args.steps:
                with defer_interrupts():
                    loss = trainer.advance()
                progress.update()
                if trainer.step % args.look_every == 0 or trainer.step == args.steps:
                    outcome = trainer.look()
                    self._seconds = time.process_time() - start
                    self.save()
                    progress.write(
                        f"step {trainer.step}: loss {loss:.4f}, recall {outcome.recall:.1f} %, newcomers "
                        f"{outcome.newcomers:.1f} %, without boxes {outcome.alone:.1f} %")
                    sys.stdout.flush()
        if not trainer.outcomes:
            trainer.look()
        self.save()
        for name in (WEIGHTS, CURVES, CARD, CHECKPOINT):
            print(f"  {self._folder / name}")

    def save(self) -> None:
        """The checkpoint; and, once the network was looked at, its weights, the curves and the training's facts."""
        trainer = self._trainer
        save_checkpoint(self._folder / CHECKPOINT, trainer.state())
        if not trainer.outcomes:
            return
        save_weights(str(self._folder / WEIGHTS), trainer.weights())
        judged = "held-out clips" if self._args.hold_out else "training clips"
        write_whole(self._folder / CURVES, curves_png(trainer.losses, trainer.outcomes, judged))
        write_whole(self._folder / CARD, (json.dumps(self._facts(), indent=1) + "\n").encode())

    def _resume(self) -> None:
        path, trainer, args = self._folder / CHECKPOINT, self._trainer, self._args
        state = load_checkpoint(path, trainer.state())
        for name, wanted in (("steps", args.steps), ("seed", args.seed)):
            if int(state[name]) != wanted:
                raise UserError(f"{path}: its --{name} is {int(state[name])}, not {wanted}: resume with the same plan")
        trainer.restore(state)

    def _facts(self) -> dict:
        args, trainer = self._args, self._trainer
        step, outcome = trainer.outcomes[-1]
        return {
            "architecture": args.architecture, "steps": trainer.step, "batch": trainer.kind.batch, "seed": args.seed,
            "frames": self._frames, "clips": [Path(path).name for path in args.sources],
            "held_out": [Path(path).name for path in args.hold_out], "cpu_seconds_of_this_run": round(self._seconds),
            "judged_at_step": step, "masked": args.masked, **vars(outcome),
        }
