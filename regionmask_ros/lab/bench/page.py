"""The result as a page in Markdown, PERFORMANCE.md, and its plots as PNG files beside it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from ...report.plots import PALETTE, PNG_COLORS, figure_png, new_figure, style_axes
from ...report.tables import Table, format_markdown
from . import tables
from .accuracy import ALLOWED_POINTS, SCORE_THRESHOLD
from .candidates import EVENT, UNMASKED
from .clip import sequence_name
from .measure import FRAMES_PER_TURN, WARM_UP
from .scaling import FRAMES, MEGA, STEADY_FPS, fit_line
from .speed import REFRESH_PERIOD, REPLAYS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PAGE = "PERFORMANCE.md"

NOT_RUN = "<!-- not run: needs the sequences and the runtimes, and measures for a long time -->"
"""For the test that runs the commands of the documentation."""

SUMMARY = """\
Processor time of a frame; less is better. `event` is the engine of this package, with every region observed
(`unmasked`) and with 60 % masked (`masked60`). All others compute the same network densely. What masks cost in
accuracy, the command `evaluate` says. The rest of this page has the spread, other kernel sets, the first and the
slowest frames, and the accuracy of every engine.
"""

MEASURED = f"""\
All engines compute the same network with the same weights, one image at a time, and take turns, in an order that
changes. A time is the processor time of the whole process, all its threads, from the network's uint8 input to the
output of the head. It includes mask and encoder, or the normalization; it excludes decoding, resizing and boxes. A turn
has {FRAMES_PER_TURN} frames. The first {WARM_UP} frames of a sequence, half of a short one, warm up and are not
measured.

Within a turn an engine finds its data in the caches, as where frames follow each other. In the first frame of a turn it
finds what the others have left there, as where a robot does much else between two frames. Medians are over all frames
of all turns; a table of its own holds the first ones.

The event engine has one thread, computes in `carry` arithmetic and does not count operations while time is measured;
its first frame is never masked. `unmasked`: neither is any other. `masked60`: the mask keeps the 40 % of regions in
which the unmasked detector finds most over the clip, always the same ones, without refresh frames. `dense`: a runtime
that computes everything. Integer baselines are quantized per channel and calibrated on another clip.

*Measured* are times and resident memory, *counted* are events and synops (one event times one weight), as means over
the frames. `head RMS` is the distance of the last head from the dense evaluation of the whole image; masked rows have
none.
"""

WORST = f"""\
Of all frames, those that warm up included; the time of a frame is the least of {REPLAYS} replays of the clip from the
start. Masked rows were also replayed with a refresh frame every {REFRESH_PERIOD} frames, and the slower of both counts.
The last columns compare with the median of ONNX Runtime int8 in the table above and name the frame.
"""

ACCURACY = f"""\
Over the whole labeled sequence, all scores above {SCORE_THRESHOLD}, at each input size by itself. A row that is more
than {ALLOWED_POINTS:.0f} points below ONNX Runtime fp32 says so, here and above.
"""

LAYERS = """\
A replay of its own, in which the clock is read after every layer. *input* is how the events get into the engine,
*output* how the head gets out. The synops of a layer are those that it does, its events those that it sends. Other
kernels than the default are in the JSON result only.
"""

DRIFT = """\
The clip is played forwards and backwards. Whenever its last image comes, the head is compared with the dense evaluation
of that image by the same integer weights. Only thresholds separate the two; a distance that grows would be drift.
"""

STREAMS = f"""\
Each camera has a state and a place in the clip of its own. The time of a camera is that of the first table: decoding,
resizing and drawing boxes come on top. *One more camera* is the growth of the process's resident memory with each
camera that has run; *arrays* is what the arrays of one camera take if every page is touched. The steady rate is
{STEADY_FPS:.0f} frames per second.
"""

SIZES = f"""\
Every sequence is resized to inputs from 320x192 to 1920x1088, {FRAMES} measured frames each, nothing masked.
"""

START = """\
`cold` compiles the kernels into an empty folder, `warm` finds them there. Both count from the start of the process to
the first result, imports included.
"""

NETWORKS = """\
Networks in ONNX files on their runtimes, beside the network of this package on the engines above, all in turn. Each has
the input that `--input-size` gives it, or the only one that its file allows. A time is that of the whole image, from
the network's uint8 input to its outputs.
"""

_BY_SIZE = ("sequence", "input_size")

# Heading, text, key of the result, table, and the keys by which its rows are split into tables.
_SECTIONS: Sequence[tuple[str, str, str, Callable[[tables.Rows], Table], tuple[str, ...]]] = (
    ("## Networks side by side", NETWORKS, "networks", tables.networks_table, ("sequence",)),
    ("## Accuracy", ACCURACY, "accuracy", tables.accuracy_table, _BY_SIZE),
    ("## Layers", LAYERS, "layers", tables.layers_table, _BY_SIZE),
    ("## Cameras in one process", STREAMS, "streams", tables.streams_table, ()),
    ("## Long runs", DRIFT, "drift", tables.drift_table, _BY_SIZE),
    ("## Size", SIZES, "scale", tables.scale_table, ("sequence",)),
    ("## Straight lines", "", "linearity", tables.linearity_table, ()),
    ("## Start", START, "start", tables.start_table, ()),
    ("## Before the network", "", "stages", tables.stages_table, ()),
)

_PLOTTED = {
    "scale": ("Time against pixels", "performance_size.png"),
    "linearity": ("Time against synops, every measured frame; hollow: masked", "performance_synops.png"),
}


def format_page(result: Mapping[str, Any]) -> str:
    """Writes everything that the JSON result holds in words and tables, with links to the plots beside the page.

    Args:
        result: The JSON result.

    Returns:
        The page in Markdown.
    """
    machine = result["machine"]
    parts = [
        "# Performance",
        "## In short", SUMMARY, format_markdown(tables.summary_table(result["rows"])),
        "## How it was measured",
        f"Measured on {machine['cpu']} ({machine['cores']} cores; {', '.join(machine['flags'])}) by",
        f"{NOT_RUN}\n```\n{portable_command(result['command'])}\n```",
        f"Kernels: {machine['kernels'][0]} (of {', '.join(machine['kernels'])}). {_versions(result)}",
        "## What is measured", MEASURED,
        "## Engines in turn", *_tables(result, "rows", tables.rows_table, _BY_SIZE),
        _plot_link("How many times as fast as each baseline", "performance_ratios.png"),
        "## First frames of turns", *_tables(result, "rows", tables.cold_table, _BY_SIZE),
    ]
    if any("worst_ms" in row for row in result["rows"]):
        parts += ["## Slowest frames", WORST, *_tables(result, "rows", tables.worst_table, _BY_SIZE)]
    shown = {**result, "layers": [row for row in result.get("layers", []) if row["engine"] == EVENT]}
    for heading, words, section, table, keys in _SECTIONS:
        if shown.get(section):
            parts += [heading, words, *_tables(shown, section, table, keys)]
            parts += [_plot_link(*_PLOTTED[section])] if section in _PLOTTED else []
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def portable_command(command: str) -> str:
    """Returns a command line in which paths outside the working folder are cut to their last two parts.

    >>> portable_command("python3 -m regionmask_ros bench --sequence /mnt/a/b/street/video.mp4 --json ../c/d/x.json")
    'python3 -m regionmask_ros bench --sequence street/video.mp4 --json d/x.json'
    """
    def shorten(word: str) -> str:
        outside = os.path.isabs(word) or word.startswith(os.path.join("..", ""))
        return str(PurePath(*PurePath(word).parts[-2:])) if outside else word

    return shlex.join(map(shorten, shlex.split(command)))


def _versions(result: Mapping[str, Any]) -> str:
    machine = result["machine"]
    names = ("python", "numpy", "numba", "opencv", "onnxruntime", "openvino", "torch")
    versions = ", ".join(f"{name} {machine[name]}" for name in names if machine.get(name))
    return (f"regionmask_ros {result['version']}, {versions}; {machine['os']}, huge pages: "
            f"{machine['huge_pages'] or 'unknown'}.")


def _tables(result: Mapping[str, Any], section: str, table: Callable[[tables.Rows], Table],
            keys: Iterable[str]) -> list[str]:
    """One table for each group of rows with equal keys."""
    groups = groupby(result[section], lambda row: tuple(row[key] for key in keys))
    return [format_markdown(table(list(rows))) for _, rows in groups]


def _plot_link(caption: str, name: str) -> str:
    return f"![{caption}]({name})"


SIDE, DPI = 4.2, 110


def size_plot(result: Mapping[str, Any]) -> bytes:
    """Draws the median ms per frame against the pixels of the input: a line for each sequence and engine.

    Args:
        result: The JSON result.

    Returns:
        Content of a PNG file.
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
    _style_plot(axis, "ms per frame against input size", "million pixels", "CPU ms per frame, median")
    return figure_png(figure, DPI)


def synops_plot(result: Mapping[str, Any]) -> bytes:
    """Draws ms against synops, a point for each measured frame, with fitted lines; a panel for each sequence.

    Args:
        result: The JSON result.

    Returns:
        Content of a PNG file.
    """
    series = result["frames"]
    sequences = _distinct(series, "sequence")
    count = max(1, len(sequences))
    figure = new_figure(count * SIDE, SIDE)
    for axis, sequence in zip(figure.subplots(1, count, squeeze=False)[0], sequences):
        members = [row for row in series if row["sequence"] == sequence]
        for number, size in enumerate(_distinct(members, "input_size")):
            _draw_points(axis, [row for row in members if row["input_size"] == size], _color(number))
        _style_plot(axis, sequence_name(sequence), "million synops, counted", "CPU ms")
    return figure_png(figure, DPI)


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


def ratios_plot(result: Mapping[str, Any]) -> bytes:
    """Draws how many times as fast as each baseline our engine is: a group of bars for each of its rows.

    Args:
        result: The JSON result.

    Returns:
        Content of a PNG file.
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
        axis.bar_label(bars, fmt="%.2f", padding=2, fontsize=7)
    axis.axvline(1.0, color="#666666", linewidth=1)
    axis.set_yticks(range(len(rows)), [
        f"{sequence_name(row['sequence'])}\n{row['setting']}, {row['input_size']}" for row in rows], fontsize=8)
    axis.set_ylim(max(1, len(rows)) - 0.4, -0.6)
    _style_plot(axis, "Event engine: times as fast as", "median of the baseline over ours; beyond 1 ours is faster", "")
    return figure_png(figure, DPI)


PLOTS: Mapping[str, Callable[[Mapping[str, Any]], bytes]] = {
    "performance_size.png": size_plot, "performance_synops.png": synops_plot, "performance_ratios.png": ratios_plot}
"""By the name of the file."""


def _distinct(rows: tables.Rows, key: str) -> list[str]:
    return list(dict.fromkeys(row[key] for row in rows))


def _color(number: int) -> str:
    return PALETTE[number % len(PALETTE)]


def _style_plot(axis: Axes, title: str, x_label: str, y_label: str) -> None:
    axis.set_title(title, loc="left", fontsize=10)
    axis.set_xlabel(x_label)
    axis.set_ylabel(y_label)
    axis.set_xlim(left=0)
    if y_label:
        axis.set_ylim(bottom=0)
    style_axes(axis, PNG_COLORS)
    if axis.get_legend_handles_labels()[0]:
        axis.legend(fontsize=7, frameon=False)
