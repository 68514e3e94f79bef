"""Accuracy against what it costs: one point a setting, for the page as SVG and for elsewhere as PNG.

Plots for the report, as SVG that takes its colours from the page.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


INK, GRID, LINE, MARK = "#010101", "#020202", "#030303", "#040404"
PAGE_COLOURS = {
    INK: "var(--ink, #222222)",
    GRID: "var(--rule, #cccccc)",
    LINE: "var(--line, #0072b2)",
    MARK: "var(--mark, #d55e00)",
}
"""Colours that matplotlib draws with, and what they become: a page in the dark can then set others."""

PNG_COLOURS = {INK: "#222222", GRID: "#cccccc", LINE: "#0072b2", MARK: "#d55e00"}
PNG_DPI = 150
PANELS_PER_ROW = 2
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
class TradeoffPanel:
    """Points under a title, such as those of one sequence."""

    title: str
    points: Sequence[Point]


def tradeoff_svg(points: Sequence[Point], x_label: str, salt: str) -> str:
    """Returns an <svg> element that takes its colours from the page. salt: different for each figure of a page."""
    from matplotlib import rc_context

    with rc_context({"svg.fonttype": "none", "svg.hashsalt": salt, "font.family": "sans-serif", "font.size": 9}):
        return page_svg(_figure([TradeoffPanel("", points)], x_label, {colour: colour for colour in PNG_COLOURS}))


def tradeoff_png(panels: Sequence[TradeoffPanel], x_label: str) -> bytes:
    """The same as a picture on white, with any number of panels."""
    buffer = io.BytesIO()
    _figure(panels, x_label, PNG_COLOURS).savefig(buffer, format="png", dpi=PNG_DPI)
    return buffer.getvalue()


def _figure(panels: Sequence[TradeoffPanel], x_label: str, colours: dict[str, str]) -> Figure:
    # On a fresh machine matplotlib tells on the terminal that it collects fonts.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    from matplotlib.figure import Figure

    a_row = min(len(panels), PANELS_PER_ROW)
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


MAX_POINTS = 1600
MAX_MARKS = 250
FIRST_FRAME_EXCESS = 1.5


@dataclass(frozen=True)
class Panel:
    """One quantity over the frames of a run. values: [frames], nan where a frame has none.

    percent: values are shares from 0 to 1. counted: large numbers are shown with a unit (k, M).
    """

    title: str
    values: np.ndarray
    percent: bool = False
    counted: bool = False


def per_frame_svg(panels: Sequence[Panel], refresh: np.ndarray, x_label: str = "frame") -> str:
    """Panels below each other over the same frames. Returns an <svg> element.

    refresh: bool [frames], marked unless there are too many. A first frame far above all others, which is the usual
    case, is written above its panel instead of flattening the rest.
    """
    # On a fresh machine matplotlib tells on the terminal that it collects fonts.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    from matplotlib import rc_context

    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "per_frame", "font.family": "sans-serif", "font.size": 9}):
        return page_svg(_per_frame_figure(panels, refresh, x_label))


def _per_frame_figure(panels: Sequence[Panel], refresh: np.ndarray, x_label: str) -> Figure:
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter, MaxNLocator

    figure = Figure(figsize=(8.4, 1.75 * len(panels)), layout="constrained")
    axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axis, panel in zip(axes, panels):
        _draw_panel(axis, panel.title, np.asarray(panel.values, float) * (100.0 if panel.percent else 1.0), refresh)
        if panel.percent:
            axis.set_ylim(0, 104)
        if panel.counted:
            axis.yaxis.set_major_formatter(EngFormatter(sep=" "))
        axis.yaxis.set_major_locator(MaxNLocator(4))
    axes[-1].xaxis.set_major_locator(MaxNLocator(10, integer=True))
    axes[-1].set_xlabel(x_label, color=INK)
    axes[-1].set_xlim(-0.5, max(0.5, len(refresh) - 0.5))
    if 0 < np.count_nonzero(refresh) <= MAX_MARKS:
        axes[0].set_title("▾ refresh frame", loc="right", color=MARK, fontsize=9)
    return figure


def _draw_panel(panel: Axes, title: str, values: np.ndarray, refresh: np.ndarray) -> None:
    frames, shown = _bin_envelope(values)
    panel.plot(frames, shown, color=LINE, linewidth=1.2)
    panel.fill_between(frames, shown, color=LINE, alpha=0.14, linewidth=0)
    marks = np.flatnonzero(refresh)
    if 0 < len(marks) <= MAX_MARKS:
        panel.plot(marks, np.full(len(marks), 1.0), "v", color=MARK, markersize=3.5, clip_on=False,
                   transform=panel.get_xaxis_transform())  # fmt: skip
    panel.set_title(title, loc="left", color=INK, fontsize=10)
    panel.grid(axis="y", color=GRID, linewidth=0.6)
    panel.set_axisbelow(True)
    panel.tick_params(color=GRID, labelcolor=INK, length=0)
    panel.spines[["top", "right", "left"]].set_visible(False)
    panel.spines["bottom"].set_color(GRID)
    _scale(panel, values)


def _scale(panel: Axes, values: np.ndarray) -> None:
    """Lets all frames but the first set the scale when the first is far above them."""
    values = values[~np.isnan(values)]
    if not len(values):
        return
    highest = values[1:].max() if len(values) > 1 else values[0]
    if values[0] > FIRST_FRAME_EXCESS * highest > 0.0:
        panel.annotate(f"first frame: {_with_unit(values[0])}", (0.012, 0.86), xycoords="axes fraction", color=INK,
                       fontsize=8)  # fmt: skip
    else:
        highest = values.max()
    panel.set_ylim(0.0, 1.08 * highest if highest > 0.0 else 1.0)


def _with_unit(value: float) -> str:
    from matplotlib.ticker import EngFormatter

    return EngFormatter(places=1, sep=" ")(value)


def _bin_envelope(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Frame numbers and values; of a long run the lowest and highest of each bin, so that no peak is lost."""
    if len(values) <= MAX_POINTS:
        return np.arange(len(values)), values
    starts = np.linspace(0, len(values), MAX_POINTS // 2, endpoint=False).astype(int)
    pairs = np.stack([np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)], axis=1)
    return np.repeat(starts, 2), pairs.ravel()


def page_svg(figure: Figure) -> str:
    """The figure as an <svg> element: colours from the page, no background, no needless decimals or identifiers."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    for drawn, shown in PAGE_COLOURS.items():
        svg = svg.replace(drawn, shown)
    svg = re.sub(r' d="[^"]*"', lambda match: re.sub(r"(\.\d\d)\d+", r"\1", match.group(0)), svg)
    used = set(re.findall(r"#([\w-]+)", svg))
    return re.sub(r' id="([\w-]+)"', lambda match: match.group(0) if match.group(1) in used else "", svg).strip()
