"""Plots of a result, as PNG files."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .clip import sequence_name
from .engine import EVENT
from .masks import UNMASKED
from .quality import MEGA, fit

# On a fresh machine matplotlib tells on the terminal that it collects fonts.
logging.getLogger("matplotlib").setLevel(logging.ERROR)

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe and Ito's, which the colour-blind can tell apart."""
SIDE, DPI = 4.2, 110


def size_plot(result: Mapping[str, Any]) -> bytes:
    """Median ms of a frame against the input's pixels: a line for each sequence and engine."""
    rows = result["scale"]
    figure = _figure(1, 1.7)
    axis = figure.subplots()
    sequences = _distinct(row["sequence"] for row in rows)
    for number, sequence in enumerate(sequences):
        for engine in _distinct(row["engine"] for row in rows):
            line = [row for row in rows if (row["sequence"], row["engine"]) == (sequence, engine)]
            axis.plot([row["pixels"] / MEGA for row in line], [row["median_ms"] for row in line],
                      "o-" if engine == EVENT else "s:", color=_colour(number), markersize=4,
                      label=f"{sequence_name(sequence)}, {engine}")
    _style_axes(axis, "ms a frame against input size", "million pixels", "CPU ms a frame, median")
    return _png(figure)


def synops_plot(result: Mapping[str, Any]) -> bytes:
    """ms against synops, every measured frame a point, with lines of least squares; a panel for each sequence."""
    series = result["frames"]
    sequences = _distinct(row["sequence"] for row in series)
    figure = _figure(max(1, len(sequences)))
    for axis, sequence in zip(figure.subplots(1, max(1, len(sequences)), squeeze=False)[0], sequences):
        here = [row for row in series if row["sequence"] == sequence]
        for size_number, size in enumerate(_distinct(row["input_size"] for row in here)):
            group = [row for row in here if row["input_size"] == size]
            _points(axis, group, size_number)
        _style_axes(axis, sequence_name(sequence), "million synops, counted", "CPU ms")
    return _png(figure)


def _points(axis: Axes, group: Sequence[Mapping], size_number: int) -> None:
    """One input size: a colour; hollow and with a broken line where masked."""
    colour = _colour(size_number)
    for row in group:
        x, plain = [count / MEGA for count in row["synops"]], row["setting"] == UNMASKED
        axis.scatter(x, row["ms"], s=11, facecolors=colour if plain else "none", edgecolors=colour, linewidths=0.7,
                     alpha=0.7, label=f"{row['input_size']}, {row['setting']}")
        line = fit(x, row["ms"])
        if line:
            ends = [min(x), max(x)]
            axis.plot(ends, [line.slope * end + line.intercept for end in ends], "-" if plain else "--", color=colour,
                      linewidth=1)


def ratios_plot(result: Mapping[str, Any]) -> bytes:
    """How many times as fast as each peer, a group of bars for each row of our engine."""
    rows = [row for row in result["rows"] if row["engine"] == EVENT]
    baselines = _distinct(name for row in rows for name in row["ratio_to"])
    figure = _figure(1, 2.0, 0.4 + 0.04 * max(8, len(rows) * (len(baselines) + 1)))
    axis = figure.subplots()
    height = 0.8 / max(1, len(baselines))
    for number, baseline in enumerate(baselines):
        at = [place - 0.4 + (number + 0.5) * height for place in range(len(rows))]
        ratios = [row["ratio_to"].get(baseline, 0.0) for row in rows]
        bars = axis.barh(at, ratios, height, color=_colour(number), label=baseline)
        axis.bar_label(bars, fmt="%.2f", padding=2, fontsize=7)
    axis.axvline(1.0, color="#666666", linewidth=1)
    axis.set_yticks(range(len(rows)), [
        f"{sequence_name(row['sequence'])}\n{row['setting']}, {row['input_size']}" for row in rows
    ], fontsize=8)
    axis.set_ylim(max(1, len(rows)) - 0.4, -0.6)
    _style_axes(axis, "Event engine: times as fast as", "peer's median over ours; right of 1 ours is faster", "")
    return _png(figure)


PLOTS: Mapping[str, Callable[[Mapping[str, Any]], bytes]] = {
    "performance_size.png": size_plot, "performance_synops.png": synops_plot, "performance_ratios.png": ratios_plot,
}
"""By the name of the file."""


def _distinct(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def _figure(panels: int, width: float = 1.0, height: float = 1.0) -> Figure:
    return Figure(figsize=(SIDE * panels * width, SIDE * height), layout="constrained")


def _style_axes(axis: Axes, title: str, x_label: str, y_label: str) -> None:
    axis.set_title(title, loc="left", fontsize=10)
    axis.set_xlabel(x_label)
    axis.set_ylabel(y_label)
    axis.set_xlim(left=0)
    if y_label:
        axis.set_ylim(bottom=0)
    axis.grid(color="#dddddd", linewidth=0.6)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    if axis.get_legend_handles_labels()[0]:
        axis.legend(fontsize=7, frameon=False)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    with rc_context({"font.family": "sans-serif"}):
        figure.savefig(buffer, format="png", dpi=DPI, facecolor="white", metadata={"Software": None})
    return buffer.getvalue()
