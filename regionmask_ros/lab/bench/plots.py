"""The plots of ``bench``: time against size and operations, and against the baselines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ...report.plots import INK, PALETTE, new_figure, style_axes
from . import tables
from .candidates import EVENT, UNMASKED
from .clip import sequence_name
from .scaling import MEGA, fit_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIDE, DPI = 4.2, 110


def size_plot(result: Mapping[str, Any], colors: Mapping[str, str]) -> Figure:
    """Draws the median ms per frame against the pixels of the input: a line for each sequence and engine.

    Args:
        result: The JSON result.
        colors: Of text and grid, see ``report.plots``.

    Returns:
        The figure.
    """
    rows = result["scale"]
    figure = new_figure(1.7 * SIDE, SIDE)
    axis = figure.subplots()
    for number, sequence in enumerate(_distinct(rows, "sequence")):
        for engine in _distinct(rows, "engine"):
            line = [row for row in rows if (row["sequence"], row["engine"]) == (sequence, engine)]
            axis.plot([row["pixels"] / MEGA for row in line], [row["median_ms"] for row in line],
                      "o-" if engine == EVENT else "s:", color=_color(number), markersize=4,
                      label=f"{sequence_name(sequence)}, {engine}")
    _style_plot(axis, colors, "ms per frame against input size", "million pixels", "CPU ms per frame, median")
    return figure


def synops_plot(result: Mapping[str, Any], colors: Mapping[str, str]) -> Figure:
    """Draws ms against synops, a point for each measured frame, with fitted lines; a panel for each sequence.

    Args:
        result: The JSON result.
        colors: Of text and grid, see ``report.plots``.

    Returns:
        The figure.
    """
    series = result["frames"]
    sequences = _distinct(series, "sequence")
    count = max(1, len(sequences))
    figure = new_figure(count * SIDE, SIDE)
    for axis, sequence in zip(figure.subplots(1, count, squeeze=False)[0], sequences):
        members = [row for row in series if row["sequence"] == sequence]
        for number, size in enumerate(_distinct(members, "input_size")):
            _draw_points(axis, [row for row in members if row["input_size"] == size], _color(number))
        _style_plot(axis, colors, sequence_name(sequence), "million synops, counted", "CPU ms")
    return figure


def _draw_points(axis: Axes, rows: tables.Rows, color: str) -> None:
    """One input size in one color; hollow, with a dashed line, where masked."""
    for row in rows:
        x, plain = [count / MEGA for count in row["synops"]], row["setting"] == UNMASKED
        axis.scatter(x, row["ms"], s=11, facecolors=color if plain else "none", edgecolors=color, linewidths=0.7,
                     alpha=0.7, label=f"{row['input_size']}, {row['setting']}")
        line = fit_line(x, row["ms"])
        if line:
            ends = [min(x), max(x)]
            axis.plot(ends, [line.slope * end + line.intercept for end in ends], "-" if plain else "--", color=color,
                      linewidth=1)


def ratios_plot(result: Mapping[str, Any], colors: Mapping[str, str]) -> Figure:
    """Draws how many times as fast as each baseline our engine is: a group of bars for each of its rows.

    Args:
        result: The JSON result.
        colors: Of text and grid, see ``report.plots``.

    Returns:
        The figure.
    """
    rows = [row for row in result["rows"] if row["engine"] == EVENT]
    baselines = list(dict.fromkeys(name for row in rows for name in row["ratio_to"]))
    figure = new_figure(2.0 * SIDE, SIDE * (0.4 + 0.04 * max(8, len(rows) * (len(baselines) + 1))))
    axis = figure.subplots()
    height = 0.8 / max(1, len(baselines))
    for number, baseline in enumerate(baselines):
        at = [place - 0.4 + (number + 0.5) * height for place in range(len(rows))]
        ratios = [row["ratio_to"].get(baseline, 0.0) for row in rows]
        bars = axis.barh(at, ratios, height, color=_color(number), label=baseline)
        axis.bar_label(bars, fmt="%.2f", padding=2, fontsize=7, color=colors[INK])
    axis.axvline(1.0, color="#666666", linewidth=1)
    axis.set_yticks(range(len(rows)), [
        f"{sequence_name(row['sequence'])}\n{row['setting']}, {row['input_size']}" for row in rows], fontsize=8)
    axis.set_ylim(max(1, len(rows)) - 0.4, -0.6)
    _style_plot(axis, colors, "Event engine: times as fast as",
                "median of the baseline over ours; beyond 1 ours is faster", "")
    return figure


PLOTS: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, str]], Figure]] = {
    "performance_size.png": size_plot, "performance_synops.png": synops_plot, "performance_ratios.png": ratios_plot}
"""By the name of the file."""


def _distinct(rows: tables.Rows, key: str) -> list[str]:
    return list(dict.fromkeys(row[key] for row in rows))


def _color(number: int) -> str:
    return PALETTE[number % len(PALETTE)]


def _style_plot(axis: Axes, colors: Mapping[str, str], title: str, x_label: str, y_label: str) -> None:
    axis.set_title(title, loc="left", fontsize=10, color=colors[INK])
    axis.set_xlabel(x_label)
    axis.set_ylabel(y_label)
    axis.set_xlim(left=0)
    if y_label:
        axis.set_ylim(bottom=0)
    style_axes(axis, colors)
    if axis.get_legend_handles_labels()[0]:
        axis.legend(fontsize=7, frameon=False, labelcolor=colors[INK])
