"""The result as a page in Markdown, PERFORMANCE.md."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import PurePath
from typing import Any

from . import sections
from .engine import EVENT
from .measure import FRAMES_PER_TURN, WARM_UP
from .quality import ALLOWED_POINTS, FRAMES, SCORE_THRESHOLD
from .speed import REFRESH_PERIOD, REPLAYS, STEADY_FPS
from .table import Table, as_markdown

PAGE = "PERFORMANCE.md"

MEASURED = f"""\
All engines compute the same network with the same weights, one picture at a time, and take turns of {FRAMES_PER_TURN} frames, in
an order that changes. A time is the processor time of the whole process, all its threads, from the network's uint8
input to the head's output: encoder or normalisation included; decoding, resize and boxes left out. The first {WARM_UP}
frames of a sequence (half of a short one) warm up and are not measured. Within a turn an engine finds its data in the
caches, as where frames follow each other; in a turn's first frame it finds what the others have left there, as where a
robot does much else between two frames. Medians are over all frames of all turns; a table of their own tells the first
ones.

The event engine has one thread, computes in `carry` arithmetic and, while time is measured, does not count what it
does; its first frame is attended as a whole. `unmasked`: so are all others. `masked60`: the 40 % of regions where the
unmasked detector sees most over the clip are attended, always the same ones, without refresh frames. `dense`: a runtime
that computes everything. Integer peers are quantised per channel, calibrated on another clip.

*Measured* are times and resident memory, *counted* are events and synops (one event times one weight), as means over
the frames. `head RMS` is the distance of the last head from the dense evaluation of the whole picture; masked rows have
none.
"""

WORST = f"""\
Of all frames, those that warm up included; a frame's time is the least of {REPLAYS} replays of the clip from the start.
Masked rows were also replayed with a refresh frame every {REFRESH_PERIOD} frames, and the slower of both counts. The
last columns compare with ONNX Runtime int8's median of the table above and tell which frame it was.
"""

ACCURACY = f"""\
Over the whole labelled sequence, all scores above {SCORE_THRESHOLD}; at each input size its own. A row that is more
than {ALLOWED_POINTS:.0f} points below ONNX Runtime fp32 says so, here and above.
"""

LAYERS = """\
A replay of its own, in which the clock is read after every layer. *input* is how the events get into the engine,
*output* how the head gets out. A layer's synops are those that it does, its events those that it sends. Forced paths
are in the JSON result only.
"""

DRIFT = """\
The clip is played forth and back; whenever its last picture comes, the head is compared with the dense evaluation of
that picture by the same integer weights. Thresholds alone keep both apart; what a long run adds would be drift.
"""

STREAMS = f"""\
Each camera has a state and a place in the clip of its own. A camera's time is that of the first table: what it takes to
decode and resize pictures and to draw boxes comes on top. *One more camera* is how much the process's resident memory
grows with each camera that has run; *arrays* is what one camera's arrays could take if every page were touched. The
steady rate is {STEADY_FPS:.0f} frames a second.
"""

SIZES = f"""\
Every sequence is resized to inputs from 320x192 to 1920x1088, {FRAMES} measured frames each, nothing masked.
"""

START = """\
`cold` compiles the kernels into an empty folder, `warm` finds them there; both count from the start of the process to
the first result, imports included.
"""


# Heading, words, key of the result, table, and the keys by which its rows are split into tables.
_SECTIONS: Sequence[tuple[str, str, str, Callable[[Sequence[Mapping]], Table], tuple[str, ...]]] = (
    ("## Accuracy", ACCURACY, "accuracy", sections.accuracy_table, ("sequence", "input_size")),
    ("## Layers", LAYERS, "layers", sections.layers_table, ("sequence", "input_size")),
    ("## Cameras in one process", STREAMS, "streams", sections.streams_table, ()),
    ("## Long runs", DRIFT, "drift", sections.drift_table, ("sequence", "input_size")),
    ("## Size", SIZES, "scale", sections.scale_table, ("sequence",)),
    ("## Straight lines", "", "linearity", sections.linearity_table, ()),
    ("## Start", START, "start", sections.start_table, ()),
    ("## Before the network", "", "stages", sections.stages_table, ()),
)

_PLOTTED = {
    "scale": ("Time against pixels", "performance_size.png"),
    "linearity": ("Time against synops, every measured frame; hollow: masked", "performance_synops.png"),
}


def page(result: Mapping[str, Any]) -> str:
    """Everything that the JSON result holds, in words, tables and plots that lie beside the page."""
    machine = result["machine"]
    parts = [
        "# Performance",
        f"Measured on {machine['cpu']} ({machine['cores']} cores; {', '.join(machine['flags'])}) by",
        f"```\n{portable_command(result['command'])}\n```",
        f"Kernels: {machine['kernels'][0]} (of {', '.join(machine['kernels'])}). {_versions(result)}",
        "## What is measured", MEASURED,
        "## Engines in turn", *_tables(result, "rows", sections.rows_table, ("sequence", "input_size")),
        _plot("How many times as fast as each peer", "performance_ratios.png"),
    ]
    parts += ["## Turns' first frames", *_tables(result, "rows", sections.cold_table, ("sequence", "input_size"))]
    if any("worst_ms" in row for row in result["rows"]):
        parts += ["## Slowest frames", WORST]
        parts += _tables(result, "rows", sections.worst_table, ("sequence", "input_size"))
    shown = {**result, "layers": [row for row in result.get("layers", []) if row["engine"] == EVENT]}
    for heading, words, section, table, keys in _SECTIONS:
        if shown.get(section):
            parts += [heading, words, *_tables(shown, section, table, keys)]
            parts += [_plot(*_PLOTTED[section])] if section in _PLOTTED else []
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def portable_command(command: str) -> str:
    """The command line, with what lies outside the working folder cut to the last two parts of its path.

    >>> portable_command("python3 -m regionmask_ros bench --sequence /mnt/a/b/street/video.mp4 --json ../c/d/x.json")
    'python3 -m regionmask_ros bench --sequence street/video.mp4 --json d/x.json'
    """
    return shlex.join(_inside(word) for word in shlex.split(command))


def _inside(word: str) -> str:
    outside = os.path.isabs(word) or word.startswith(os.path.join("..", ""))
    return str(PurePath(*PurePath(word).parts[-2:])) if outside else word


def _versions(result: Mapping[str, Any]) -> str:
    names = ("python", "numpy", "numba", "opencv", "onnxruntime", "openvino", "torch")
    told = [f"{name} {result['machine'][name]}" for name in names if result["machine"].get(name)]
    return f"regionmask_ros {result['version']}, {', '.join(told)}; {result['machine']['os']}, huge "\
           f"pages: {result['machine']['huge_pages'] or 'unknown'}."


def _tables(result: Mapping[str, Any], section: str, table: Callable[[Sequence[Mapping]], Table],
            keys: Iterable[str]) -> list[str]:
    """One table for each group of rows with equal keys."""
    groups = groupby(result[section], lambda row: tuple(row[key] for key in keys))
    return [as_markdown(table(list(rows))) for _, rows in groups]


def _plot(caption: str, name: str) -> str:
    return f"![{caption}]({name})"
