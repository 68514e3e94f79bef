"""Accuracy against what it costs: one point a setting, for the page as SVG and for elsewhere as PNG."""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING, Sequence

from .figures import GRID, INK, LINE, MARK, page_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PNG_COLOURS = {INK: "#222222", GRID: "#cccccc", LINE: "#0072b2", MARK: "#d55e00"}
PNG_DPI = 150
PANELS_A_ROW = 2
_SHAPES = "o^DvPX<>p"
_CORNERS = ((1, 1), (1, -1), (-1, 1), (-1, -1))
"""Where names stand, in turn, so that those of neighbours keep apart."""


@dataclass(frozen=True)
class Point:
    """x: gain against the unmasked run, above 0. y: mean mAP drop in points; y_low, y_high: its 90 % interval.

    name: of the setting. family: what points that a line connects have in common; "" for a point that stands alone.
    rival: plain frame skipping, every frame (unmasked) included; drawn as a line that masks must beat.
    theirs: a figure that others have published, from other data and hardware.
    """

    name: str
    x: float
    y: float
    y_low: float
    y_high: float
    family: str = ""
    rival: bool = False
    theirs: bool = False


@dataclass(frozen=True)
class Panel:
    """Points under a title, such as those of one sequence."""

    title: str
    points: Sequence[Point]


def tradeoff_svg(points: Sequence[Point], x_label: str, salt: str) -> str:
    """Returns an <svg> element that takes its colours from the page. salt: different for each figure of a page."""
    from matplotlib import rc_context

    with rc_context({"svg.fonttype": "none", "svg.hashsalt": salt, "font.family": "sans-serif", "font.size": 9}):
        return page_svg(_figure([Panel("", points)], x_label, {colour: colour for colour in PNG_COLOURS}))


def tradeoff_png(panels: Sequence[Panel], x_label: str) -> bytes:
    """The same as a picture on white, with any number of panels."""
    buffer = io.BytesIO()
    _figure(panels, x_label, PNG_COLOURS).savefig(buffer, format="png", dpi=PNG_DPI)
    return buffer.getvalue()


def _figure(panels: Sequence[Panel], x_label: str, colours: dict[str, str]) -> Figure:
    # On a fresh machine matplotlib tells on the terminal that it collects fonts.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    from matplotlib.figure import Figure

    a_row = min(len(panels), PANELS_A_ROW)
    rows = -(-len(panels) // a_row)
    figure = Figure(figsize=(8.4 * (1 + 0.5 * (a_row - 1)), 4.6 * rows), layout="constrained")
    axes = figure.subplots(rows, a_row, squeeze=False).ravel()
    for axis, panel in zip(axes, panels):
        axis.set_title(panel.title, color=colours[INK], fontsize=10)
        _draw(axis, panel.points, colours)
        _label(axis, x_label, colours)
    for axis in axes[len(panels):]:
        axis.set_axis_off()
    return figure


def _draw(axis: Axes, points: Sequence[Point], colours: dict[str, str]) -> None:
    rivals = sorted((p for p in points if p.rival), key=lambda p: p.x)
    axis.plot([p.x for p in rivals], [-p.y for p in rivals], color=colours[MARK], linewidth=1.0, linestyle="--")
    families = {p.family: None for p in points if p.family}
    for family, shape in zip(families, _SHAPES * len(families)):
        members = sorted((p for p in points if p.family == family), key=lambda p: p.x)
        families[family] = shape
        axis.plot([p.x for p in members], [-p.y for p in members], color=colours[LINE], linewidth=0.8, alpha=0.6)
    for point, (right, up) in zip(sorted(points, key=lambda p: p.x), cycle(_CORNERS)):
        colour = colours[MARK if point.rival or point.theirs else LINE]
        shape = "*" if point.theirs else "s" if point.rival else families.get(point.family, "o")
        axis.plot([point.x] * 2, [-point.y_low, -point.y_high], color=colour, linewidth=1.0, alpha=0.3)
        axis.plot([point.x], [-point.y], shape, color=colour, markersize=9 if point.theirs else 5)
        axis.annotate(point.name, (point.x, -point.y), xytext=(6 * right, 6 * up), textcoords="offset points",
                      color=colours[INK], fontsize=7 if point.family else 8, ha="left" if right > 0 else "right",
                      va="bottom" if up > 0 else "top")


def _label(axis: Axes, x_label: str, colours: dict[str, str]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

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
