"""Accuracy against what it costs: one point a setting, for the page as SVG and for elsewhere as PNG."""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Sequence

from .figures import GRID, INK, LINE, MARK, page_svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PNG_COLOURS = {INK: "#222222", GRID: "#cccccc", LINE: "#0072b2", MARK: "#d55e00"}
PNG_DPI = 150


@dataclass(frozen=True)
class Point:
    """x: gain against the unmasked run, above 0. y: mean mAP drop in points; y_low, y_high: its 90 % interval.

    rival: plain frame skipping, every frame (unmasked) included; drawn as a line that masks must beat.
    """

    name: str
    x: float
    y: float
    y_low: float
    y_high: float
    rival: bool


def tradeoff_svg(points: Sequence[Point], x_label: str, salt: str) -> str:
    """Returns an <svg> element that takes its colours from the page. salt: different for each figure of a page."""
    from matplotlib import rc_context

    with rc_context({"svg.fonttype": "none", "svg.hashsalt": salt, "font.family": "sans-serif", "font.size": 9}):
        return page_svg(_figure(points, x_label, {colour: colour for colour in PNG_COLOURS}))


def tradeoff_png(points: Sequence[Point], x_label: str) -> bytes:
    """The same as a picture on white."""
    buffer = io.BytesIO()
    _figure(points, x_label, PNG_COLOURS).savefig(buffer, format="png", dpi=PNG_DPI)
    return buffer.getvalue()


def _figure(points: Sequence[Point], x_label: str, colours: dict[str, str]) -> Figure:
    # On a fresh machine matplotlib tells on the terminal that it collects fonts.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    figure = Figure(figsize=(8.4, 4.6), layout="constrained")
    axis = figure.subplots()
    rivals = sorted((p for p in points if p.rival), key=lambda p: p.x)
    axis.plot([p.x for p in rivals], [-p.y for p in rivals], color=colours[MARK], linewidth=1.0, linestyle="--")
    for point in points:
        colour = colours[MARK if point.rival else LINE]
        axis.plot([point.x] * 2, [-point.y_low, -point.y_high], color=colour, linewidth=1.0, alpha=0.5)
        axis.plot([point.x], [-point.y], "s" if point.rival else "o", color=colour, markersize=5)
        axis.annotate(point.name, (point.x, -point.y), xytext=(6, 4), textcoords="offset points", color=colours[INK],
                      fontsize=8)
    axis.axhline(0.0, color=colours[GRID], linewidth=0.8)
    axis.set_xscale("log")
    axis.margins(x=0.12, y=0.08)
    axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 1.5, 2.0, 3.0, 5.0, 7.0)))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}x"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel(x_label, color=colours[INK])
    axis.set_ylabel("mAP@0.5, points against unmasked", color=colours[INK])
    axis.grid(color=colours[GRID], linewidth=0.5)
    axis.set_axisbelow(True)
    axis.tick_params(which="both", color=colours[GRID], labelcolor=colours[INK], length=0)
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_color(colours[GRID])
    return figure
