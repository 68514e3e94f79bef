"""Plots of results, drawn by matplotlib: as SVG for a page, which sets the colors, and as PNG for elsewhere.

Two plots are defined here: values frame by frame, and accuracy against cost. Matplotlib is loaded when the first plot
is drawn.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np

from .point_names import name_points

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


INK, GRID, LINE, MARK = "#010101", "#020202", "#030303", "#040404"
PAGE_COLORS = {
    INK: "var(--ink, #222222)",
    GRID: "var(--rule, #cccccc)",
    LINE: "var(--line, #0072b2)",
    MARK: "var(--mark, #d55e00)",
}
"""Colors that matplotlib draws with, and the variables that replace them on a page, light or dark."""

PNG_COLORS = {INK: "#222222", GRID: "#cccccc", LINE: "#0072b2", MARK: "#d55e00"}

PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a7a7a")
"""Colors that color-blind readers can distinguish, by Okabe and Ito; gray instead of their black."""

PNG_DPI = 150
LARGEST_ZOOM = 1.5
FONT_SIZE = 9


def new_figure(width: float, height: float) -> Figure:
    """Makes an empty figure.

    Args:
        width: In inches.
        height: In inches.

    Returns:
        The figure; it belongs to no window and needs no display.
    """
    # On a new machine matplotlib reports on the terminal that it builds its list of fonts.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def style_axes(axis: Axes, colors: Mapping[str, str] | None = None,
               spines: Sequence[str] = ("left", "bottom")) -> None:
    """Gives axes, whose labels are set, the look of all plots: a thin grid behind the data, no ticks, few spines.

    Args:
        axis: The axes.
        colors: Colors of ``INK`` and ``GRID``; None: for a page.
        spines: The spines to draw.
    """
    ink, grid = (colors[INK], colors[GRID]) if colors else (INK, GRID)
    axis.grid(color=grid, linewidth=0.6)
    axis.set_axisbelow(True)
    axis.tick_params(which="both", color=grid, labelcolor=ink, labelsize=FONT_SIZE, length=0)
    for name in (axis.xaxis.label, axis.yaxis.label):
        name.set(color=ink, size=FONT_SIZE)
    axis.spines[:].set_visible(False)
    axis.spines[list(spines)].set(visible=True, color=grid)


def figure_png(figure: Figure, dpi: int = PNG_DPI) -> bytes:
    """Renders a figure on white.

    Args:
        figure: The figure.
        dpi: Pixels per inch.

    Returns:
        Content of a PNG file.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, facecolor="white", metadata={"Software": None})
    return buffer.getvalue()


def figure_svg(figure: Figure, salt: str) -> str:
    """Renders a figure as an <svg> element without background; the same figure gives the same text.

    Args:
        figure: The figure, drawn with the keys of ``PAGE_COLORS``.
        salt: Different for each figure of a page, so that identifiers do not collide.

    Returns:
        The element. Its colors are variables of the page, its text is text.
    """
    from matplotlib import rc_context

    buffer = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": salt}):
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    # A small figure stays small on a wide page.
    limit = f"max-width: {LARGEST_ZOOM * figure.get_figwidth():.1f}in"
    svg = buffer.getvalue().replace("<svg ", f'<svg style="{limit}" ', 1)
    for drawn, shown in PAGE_COLORS.items():
        svg = svg.replace(drawn, shown)
    # Hundredths of a point are enough, and only identifiers that are referred to are needed: a quarter less to load.
    svg = re.sub(r' d="[^"]*"', lambda match: re.sub(r"(\.\d\d)\d+", r"\1", match.group(0)), svg[svg.index("<svg"):])
    used = set(re.findall(r"#([\w-]+)", svg))
    return re.sub(r' id="([\w-]+)"', lambda match: match.group(0) if match.group(1) in used else "", svg).strip()


MAX_POINTS = 1600
MAX_MARKS = 250
FIRST_FRAME_EXCESS = 1.5


@dataclass(frozen=True)
class Panel:
    """One quantity over the frames of a run.

    Attributes:
        title: Name of the quantity, and its unit.
        values: float [frames]; nan where a frame has no value.
        percent: The values are shares from 0 to 1.
        counted: Large numbers are shown with a unit (k, M).
    """

    title: str
    values: np.ndarray
    percent: bool = False
    counted: bool = False


def per_frame_svg(panels: Sequence[Panel], refresh: np.ndarray, x_label: str = "frame") -> str:
    """Draws panels below each other over the same frames.

    A first frame far above all others, which is the usual case, is written over its panel and does not set the scale.

    Args:
        panels: From top to bottom.
        refresh: bool [frames]; refresh frames are marked unless there are too many.
        x_label: Name of the horizontal axis.

    Returns:
        An <svg> element that takes its colors from the page.
    """
    from matplotlib.ticker import EngFormatter, MaxNLocator

    figure = new_figure(8.4, 1.75 * len(panels))
    axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    axes[-1].set_xlabel(x_label)
    legend = "▾ refresh frame" if 0 < np.count_nonzero(refresh) <= MAX_MARKS else ""
    for axis, panel in zip(axes, panels):
        values = np.asarray(panel.values, float) * (100.0 if panel.percent else 1.0)
        _draw_panel(axis, panel.title, values, refresh)
        first = _set_scale(axis, values)
        # Over the panel, where it hides no value.
        text = first or (legend if axis is axes[0] else "")
        axis.set_title(text, loc="right", color=INK if first else MARK, fontsize=9)
        if panel.percent:
            axis.set_ylim(0, 104)
        if panel.counted:
            axis.yaxis.set_major_formatter(EngFormatter(sep=" "))
        axis.yaxis.set_major_locator(MaxNLocator(4))
    axes[-1].xaxis.set_major_locator(MaxNLocator(10, integer=True))
    axes[-1].set_xlim(-0.5, max(0.5, len(refresh) - 0.5))
    return figure_svg(figure, "per_frame")


def _draw_panel(axis: Axes, title: str, values: np.ndarray, refresh: np.ndarray) -> None:
    frames, envelope = _bin_envelope(values)
    axis.plot(frames, envelope, color=LINE, linewidth=1.2)
    axis.fill_between(frames, envelope, color=LINE, alpha=0.14, linewidth=0)
    marks = np.flatnonzero(refresh)
    if 0 < len(marks) <= MAX_MARKS:
        axis.plot(marks, np.ones(len(marks)), "v", color=MARK, markersize=3.5, clip_on=False,
                  transform=axis.get_xaxis_transform())
    axis.set_title(title, loc="left", color=INK, fontsize=10)
    style_axes(axis, spines=("bottom",))
    axis.grid(visible=False, axis="x")


def _set_scale(axis: Axes, values: np.ndarray) -> str:
    """Lets all frames but the first set the scale when the first is far above them, and returns a text for it."""
    from matplotlib.ticker import EngFormatter

    values = values[~np.isnan(values)]
    if not len(values):
        return ""
    highest = values[1:].max() if len(values) > 1 else values[0]
    is_far = values[0] > FIRST_FRAME_EXCESS * highest > 0.0
    if not is_far:
        highest = values.max()
    axis.set_ylim(0.0, 1.08 * highest if highest > 0.0 else 1.0)
    return f"first frame: {EngFormatter(places=1, sep=' ')(values[0])}" if is_far else ""


def _bin_envelope(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Frame numbers and values; of a long run the lowest and highest of each bin, so that no peak is lost."""
    if len(values) <= MAX_POINTS:
        return np.arange(len(values)), values
    starts = np.linspace(0, len(values), MAX_POINTS // 2, endpoint=False).astype(int)
    pairs = np.stack([np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)], axis=1)
    return np.repeat(starts, 2), pairs.ravel()


PANELS_PER_ROW = 2
_SHAPES = "o^DvPX<>p"


@dataclass(frozen=True)
class Point:
    """Accuracy and cost of one setting.

    Attributes:
        name: Name of the setting.
        x: Gain against the unmasked run, above 0.
        y: Mean drop of mAP, in points.
        y_low: Lower end of the drop's 90 % interval.
        y_high: Its upper end.
        family: What points that a line connects have in common; "" for a point that stands alone.
        is_baseline: Frame skipping, the unmasked run included; drawn as a line that masks must beat.
        is_published: A result of others, from other data and hardware.
    """

    name: str
    x: float
    y: float
    y_low: float
    y_high: float
    family: str = ""
    is_baseline: bool = False
    is_published: bool = False


@dataclass(frozen=True)
class TradeoffPanel:
    """Points under a title, such as those of one sequence.

    Attributes:
        title: Text above the panel.
        points: In any order.
    """

    title: str
    points: Sequence[Point]


def tradeoff_svg(points: Sequence[Point], x_label: str, salt: str) -> str:
    """Draws accuracy against cost for a page.

    Args:
        points: One for each setting.
        x_label: What the gain is measured in.
        salt: Different for each figure of a page.

    Returns:
        An <svg> element that takes its colors from the page.
    """
    own_colors = {color: color for color in PAGE_COLORS}
    return figure_svg(_draw_tradeoff([TradeoffPanel("", points)], x_label, own_colors), salt)


def tradeoff_png(panels: Sequence[TradeoffPanel], x_label: str) -> bytes:
    """Draws accuracy against cost, several panels side by side.

    Args:
        panels: One or more.
        x_label: What the gain is measured in.

    Returns:
        Content of a PNG file.
    """
    return figure_png(_draw_tradeoff(panels, x_label, PNG_COLORS))


def _draw_tradeoff(panels: Sequence[TradeoffPanel], x_label: str, colors: Mapping[str, str]) -> Figure:
    per_row = min(len(panels), PANELS_PER_ROW)
    rows = -(-len(panels) // per_row)
    figure = new_figure(4.2 * (1 + per_row), 4.6 * rows)
    axes = figure.subplots(rows, per_row, squeeze=False).ravel()
    for axis, panel in zip(axes, panels):
        axis.set_title(panel.title, color=colors[INK], fontsize=10)
        _draw_points(axis, panel.points, colors)
        _label_axes(axis, x_label, colors)
    for axis in axes[len(panels):]:
        axis.set_axis_off()
    # Names come last, when the layout is known; they do not change it.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axis, panel in zip(axes, panels):
        name_points(axis, [(point.name, point.x, -point.y) for point in panel.points], colors[INK])
    return figure


def _draw_points(axis: Axes, points: Sequence[Point], colors: Mapping[str, str]) -> None:
    points = sorted(points, key=lambda point: point.x)

    def connect(members: Sequence[Point], **style: Any) -> None:
        axis.plot([point.x for point in members], [-point.y for point in members], **style)

    connect([point for point in points if point.is_baseline], color=colors[MARK], linewidth=1.0, linestyle="--")
    families = dict.fromkeys(point.family for point in points if point.family)
    shapes = dict(zip(families, cycle(_SHAPES)))
    for family in families:
        connect([point for point in points if point.family == family], color=colors[LINE], linewidth=0.8, alpha=0.6)
    for point in points:
        color = colors[MARK if point.is_baseline or point.is_published else LINE]
        shape = "*" if point.is_published else "s" if point.is_baseline else shapes.get(point.family, "o")
        axis.plot([point.x] * 2, [-point.y_low, -point.y_high], color=color, linewidth=1.0, alpha=0.3)
        axis.plot([point.x], [-point.y], shape, color=color, markersize=9 if point.is_published else 5)


def _label_axes(axis: Axes, x_label: str, colors: Mapping[str, str]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.axhline(0.0, color=colors[GRID], linewidth=0.8)
    axis.set_xscale("log")
    axis.margins(x=0.12, y=0.08)
    axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 1.5, 2.0, 3.0, 5.0, 7.0)))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}x"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel(x_label)
    axis.set_ylabel("mAP@0.5, points against unmasked")
    style_axes(axis, colors)
