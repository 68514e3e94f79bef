"""The result as a page in Markdown, PERFORMANCE.md."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import PurePath
from typing import Any

from ...datasets import is_dataset
from ...report.tables import Table, format_markdown
from . import tables
from .accuracy import ALLOWED_POINTS, SCORE_THRESHOLD
from .candidates import EVENT
from .measure import FRAMES_PER_TURN, WARM_UP
from .scaling import FRAMES, STEADY_FPS
from .speed import REFRESH_PERIOD, REPLAYS

PAGE = "PERFORMANCE.md"

NOT_RUN = "<!-- not run: needs the sequences and the runtimes, and measures for a long time -->"
"""For the test that runs the commands of the documentation."""

SUMMARY = """\
Processor time of a frame; less is better. `event` is the engine of this package, with every region observed
(`unmasked`) and with 60 % masked (`masked60`). All others compute the same network densely. What masks cost in
accuracy, the command `evaluate` says. The rest of this page has the spread, other kernel sets, the first and the
slowest frames, and the accuracy of every engine.

The tile engine, for networks in ONNX files, is measured in docs/RESULTS.md. Its kernels for AMX are compiled and tested
by emulation, never timed on hardware.
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

MEASURED_ACCURACY = f"""\
mAP is counted on the labels of the sequence, over all measured frames and no others, scores above {SCORE_THRESHOLD}, in
a replay from the first frame on. `evaluate` scores the last two thirds of a sequence instead. A row that is more than
{ALLOWED_POINTS:.0f} points below ONNX Runtime fp32 says so.
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

BY_SIZE = ("sequence", "input_size")

# Heading, text, key of the result, table, and the keys by which its rows are split into tables.
SECTIONS: Sequence[tuple[str, str, str, Callable[[tables.Rows], Table], tuple[str, ...]]] = (
    ("Networks side by side", NETWORKS, "networks", tables.networks_table, ("sequence",)),
    ("Accuracy", ACCURACY, "accuracy", tables.accuracy_table, BY_SIZE),
    ("Layers", LAYERS, "layers", tables.layers_table, BY_SIZE),
    ("Cameras in one process", STREAMS, "streams", tables.streams_table, ()),
    ("Long runs", DRIFT, "drift", tables.drift_table, BY_SIZE),
    ("Size", SIZES, "scale", tables.scale_table, ("sequence",)),
    ("Straight lines", "", "linearity", tables.linearity_table, ()),
    ("Start", START, "start", tables.start_table, ()),
    ("Before the network", "", "stages", tables.stages_table, ()),
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
        describe_programs(result),
        "## What is measured", MEASURED, describe_accuracy(result),
        "## Engines in turn", *map(format_markdown, make_tables(result, "rows", tables.rows_table, BY_SIZE)),
        _plot_link("How many times as fast as each baseline", "performance_ratios.png"),
        "## First frames of turns", *map(format_markdown, make_tables(result, "rows", tables.cold_table, BY_SIZE)),
    ]
    if any("worst_ms" in row for row in result["rows"]):
        slowest = make_tables(result, "rows", tables.worst_table, BY_SIZE)
        parts += ["## Slowest frames", WORST, *map(format_markdown, slowest)]
    shown = shown_rows(result)
    for heading, words, section, table, keys in SECTIONS:
        if shown.get(section):
            parts += [f"## {heading}", words, *map(format_markdown, make_tables(shown, section, table, keys))]
            parts += [_plot_link(*_PLOTTED[section])] if section in _PLOTTED else []
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def describe_accuracy(result: Mapping[str, Any]) -> str:
    """Returns which frames the mAP in the rows is from; "" if it has a section of its own, or nothing was scored."""
    is_scored = any(row.get("map50_on") for row in result["rows"])
    return MEASURED_ACCURACY if is_scored and "accuracy" not in result else ""


def portable_command(command: str) -> str:
    """Returns a command line in which paths outside the working folder are cut to their last two parts.

    >>> portable_command("python3 -m regionmask_ros bench --sequence csv:/mnt/a/b/street")
    'python3 -m regionmask_ros bench --sequence csv:b/street'
    >>> portable_command("python3 -m regionmask_ros bench --sequence /mnt/a/b/street/video.mp4 --json ../c/d/x.json")
    'python3 -m regionmask_ros bench --sequence street/video.mp4 --json d/x.json'
    """
    def shorten(word: str) -> str:
        kind, colon, path = word.partition(":") if is_dataset(word) else ("", "", word)
        outside = os.path.isabs(path) or path.startswith(os.path.join("..", ""))
        return f"{kind}{colon}{PurePath(*PurePath(path).parts[-2:])}" if outside else word

    return shlex.join(map(shorten, shlex.split(command)))


def describe_programs(result: Mapping[str, Any]) -> str:
    """Returns the kernels and the versions that were measured, as text."""
    machine = result["machine"]
    names = ("python", "numpy", "numba", "opencv", "onnxruntime", "openvino", "torch")
    versions = ", ".join(f"{name} {machine[name]}" for name in names if machine.get(name))
    return (f"Kernels: {machine['kernels'][0]} (of {', '.join(machine['kernels'])}). "
            f"regionmask_ros {result['version']}, {versions}; {machine['os']}, huge pages: "
            f"{machine['huge_pages'] or 'unknown'}.")


def shown_rows(result: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the result with the layers of the default kernels only."""
    return {**result, "layers": [row for row in result.get("layers", []) if row["engine"] == EVENT]}


def make_tables(result: Mapping[str, Any], section: str, table: Callable[[tables.Rows], Table],
                keys: Iterable[str]) -> list[Table]:
    """Makes the tables of a section.

    Args:
        result: The JSON result.
        section: Key of the section.
        table: Makes a table of rows.
        keys: Rows with equal values of these keys share a table.

    Returns:
        One table for each group of rows.
    """
    groups = groupby(result[section], lambda row: tuple(row[key] for key in keys))
    return [table(list(rows)) for _, rows in groups]


def _plot_link(caption: str, name: str) -> str:
    return f"![{caption}]({name})"
