"""The picture of a training: its loss and, below, what evaluations have found, over the steps."""

from __future__ import annotations

import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ...report.plots import GRID, INK, LINE, MARK, PNG_COLORS, PNG_DPI

POINTS = 300
"""Points of the loss curve; each is the mean over a part of the training."""


@dataclass(frozen=True)
class Curve:
    """One figure of all evaluations.

    Attributes:
        values: One for each evaluation.
        style: Of the line, as matplotlib calls it.
        name: For the legend; empty where there is none.
    """

    values: Sequence[float]
    style: str = "-"
    name: str = ""


def draw_curves(losses: Sequence[float], steps: Sequence[int], curves: Sequence[Curve], unit: str) -> bytes:
    """Draws the losses and the results of evaluations over the steps.

    Args:
        losses: Loss of each step.
        steps: After which evaluations were.
        curves: Their results.
        unit: What the results are, for the axis label.

    Returns:
        A PNG image.
    """
    # On a fresh machine matplotlib logs that it collects fonts.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    from matplotlib.figure import Figure

    colors = PNG_COLORS
    figure = Figure(figsize=(8.4, 5.2), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    ends = np.unique(np.linspace(0, len(losses), POINTS + 1).astype(int))
    means = [float(np.mean(losses[low:high])) for low, high in pairwise(ends)]
    above.plot(ends[1:], means, color=colors[LINE], linewidth=1.2)
    above.set_ylabel("loss", color=colors[INK])
    for curve in curves:
        below.plot(steps, curve.values, curve.style, color=colors[MARK], linewidth=1.4, marker="o", markersize=3,
                   label=curve.name)
    if any(curve.name for curve in curves):
        below.legend(frameon=False, labelcolor=colors[INK], fontsize=8)
    below.set_ylabel(unit, color=colors[INK])
    below.set_xlabel("step", color=colors[INK])
    for axis in (above, below):
        axis.grid(color=colors[GRID], linewidth=0.5)
        axis.tick_params(color=colors[GRID], labelcolor=colors[INK], length=0)
        axis.spines[["top", "right"]].set_visible(False)
        axis.spines[["left", "bottom"]].set_color(colors[GRID])
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=PNG_DPI)
    return buffer.getvalue()
