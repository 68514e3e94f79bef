"""How a training went, as a picture."""

from __future__ import annotations

import io
import logging
from typing import Sequence

import numpy as np

from ..report.tradeoff import GRID, INK, LINE, MARK, PNG_COLOURS, PNG_DPI
from .recall import Outcome

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
