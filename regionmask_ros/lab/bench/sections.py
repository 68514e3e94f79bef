"""Every part of a result as a table: what was measured and what was counted never share a column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .clip import sequence_name
from .quality import AREA
from .table import Column, Ratio, Table

MEASURED, COUNTED, TIMES = "measured, CPU ms", "counted, a frame", "times as fast as"
MILLION, THOUSAND = 1e6, 1e3
ENGINE = (Column("engine", "engine", words=True), Column("setting", "setting", words=True),
          Column("path", "path", words=True))
SPREAD = (Column("median", "median_ms", "{:.3f}", MEASURED), Column("p10", "p10_ms", "{:.3f}", MEASURED),
          Column("p90", "p90_ms", "{:.3f}", MEASURED))
COUNTS = (Column("M synops", "synops_per_frame", "{:.2f}", COUNTED, MILLION),
          Column("k events", "events_per_frame", "{:.1f}", COUNTED, THOUSAND))
SEQUENCE = Column("sequence", "name", words=True)
INPUT = Column("input", "input_size")


def rows_table(rows: Sequence[Mapping]) -> Table:
    """The rows of one sequence at one input size."""
    baselines = sorted({name for row in rows for name in row["ratio_to"]})
    # With one thread only what else the machine does lies between both.
    wall = (Column("median", "median_wall_ms", "{:.3f}", "measured, wall ms"),)
    shown = wall if any(row["threads"] > 1 for row in rows) else ()
    columns = (
        *ENGINE, Column("threads", "threads"), *SPREAD, *shown, *COUNTS, Column("head RMS", "head_rms", "{:.3f}"),
        *(Ratio(name, "ratio_to", "{:.2f}", TIMES, of=name) for name in baselines), *_accuracy_columns(rows),
    )
    return Table(f"{_of(rows)}, {rows[0]['frames']} frames{_calibrate(rows)}", columns, tuple(rows))


def cold_table(rows: Sequence[Mapping]) -> Table:
    """The turns' first frames, of one sequence at one input size."""
    baselines = sorted({name for row in rows for name in row["ratio_to_cold"]})
    columns = (*ENGINE, Column("median", "cold_ms", "{:.3f}", MEASURED),
               *(Ratio(name, "ratio_to_cold", "{:.2f}", TIMES, of=name) for name in baselines))
    return Table(f"{_of(rows)}: the first frame of every turn", columns, tuple(rows))


def _accuracy_columns(rows: Sequence[Mapping]) -> tuple[Column, ...]:
    scored_on = next((row["map50_on"] for row in rows if row.get("map50_on")), None)
    if scored_on is None:
        return ()
    group = f"mAP@0.5 on {sequence_name(scored_on)}"
    return Column("%", "map50", "{:.1f}", group), Column("note", "accuracy_note", group=group, words=True)


def worst_table(rows: Sequence[Mapping]) -> Table:
    """What ``add_worst`` has given to the rows of one sequence at one input size."""
    columns = (
        *ENGINE, Column("worst", "worst_ms", "{:.3f}", MEASURED), Column("median", "median_ms", "{:.3f}", MEASURED),
        Column("worst / int8's median", "worst_to_int8", "{:.2f}"), Column("in frame", "worst_frame"),
        Column("which is", "worst_kind", words=True),
    )
    return Table(f"{_of(rows)}: the slowest frame, first and refresh frames included", columns, tuple(rows))


def _of(rows: Sequence[Mapping]) -> str:
    return f"{sequence_name(rows[0]['sequence'])}, {rows[0]['input_size']}"


def _calibrate(rows: Sequence[Mapping]) -> str:
    names = sorted({sequence_name(row["calibration"]) for row in rows if row["calibration"]})
    return f"; int8 peers calibrated on {', '.join(names)}" if names else ""


def layers_table(rows: Sequence[Mapping]) -> Table:
    """Of one sequence at one input size."""
    columns = (Column("layer", "layer", words=True), *ENGINE, *SPREAD, Column("share", "share", "{:.1%}", MEASURED),
               *COUNTS)
    return Table(f"{_of(rows)}: layer by layer, in a replay of its own", columns, tuple(rows))


def streams_table(rows: Sequence[Mapping]) -> Table:
    per_core, memory = "cameras a core, from the mean", "measured, MB"
    columns = (
        SEQUENCE, INPUT, Column("setting", "setting", words=True), Column("cameras", "cameras"),
        Column("mean", "mean_ms", "{:.3f}", MEASURED), *SPREAD,
        Ratio("at the sequence's rate", "cameras_per_core", "{:.1f}", per_core, of="at_fps"),
        Ratio("at 30 a second", "cameras_per_core", "{:.1f}", per_core, of="at_30"), Column("rate", "fps", "{:.1f}"),
        Column("one more camera", "memory_mb", "{:.1f}", memory),
        Column("arrays", "state_mb", "{:.1f}", "counted, MB"),
    )
    return Table("Several cameras in one process, weights shared", columns, _with_sequence_name(rows))


def stages_table(rows: Sequence[Mapping]) -> Table:
    columns = (Column("stage", "stage", words=True), SEQUENCE, Column("setting", "setting", words=True),
               Column("picture", "picture"), INPUT, *SPREAD, Column("aim: at most", "limit_ms", "{:.1f}"))
    return Table("Before the network", columns, _with_sequence_name(rows))


def start_table(rows: Sequence[Mapping]) -> Table:
    seconds = "measured, s"
    columns = (
        Column("start", "start", words=True), Column("path", "path", words=True), Column("picture", "picture"),
        Column("times", "repeats"), Column("wall", "wall_s", "{:.2f}", seconds),
        Column("CPU", "cpu_s", "{:.2f}", seconds), Column("aim: at most", "limit_s", "{:.0f}"),
    )
    return Table("From the start of a process to its first result", columns, tuple(rows))


def scale_table(rows: Sequence[Mapping]) -> Table:
    """Of one sequence."""
    columns = (INPUT, *ENGINE, Column("Mpixel", "pixels", "{:.3f}", scale=MILLION), *SPREAD, *COUNTS)
    name = sequence_name(rows[0]["sequence"])
    return Table(f"{name}: from small inputs to large ones, {rows[0]['frames']} frames each", columns, tuple(rows))


def linearity_table(rows: Sequence[Mapping]) -> Table:
    per = "fitted, ms"
    columns = (
        SEQUENCE, INPUT, Column("engine", "engine", words=True), Column("setting", "setting", words=True),
        Column("against", "against", words=True),
        Column("for each unit", "slope_ms", "{:.4f}", per), Column("at zero", "intercept_ms", "{:.3f}", per),
        Column("R2", "r2", "{:.3f}"), Column("points", "points"),
    )
    return Table(f"Straight lines of least squares ({AREA.split(',')[0]}: a million pixels)", columns, _with_sequence_name(rows))


def drift_table(rows: Sequence[Mapping]) -> Table:
    """Of one sequence at one input size."""
    distance = "distance, raw units"
    columns = (
        Column("frames played", "played"), Column("picture", "picture"),
        Column("head to dense, RMS", "head_rms", "{:.3f}", distance),
        Column("dense head, RMS", "output_rms", "{:.2f}", distance),
    )
    return Table(f"{_of(rows)}, forth and back: how far the head is from the dense evaluation", columns, tuple(rows))


def accuracy_table(rows: Sequence[Mapping]) -> Table:
    columns = (*ENGINE, Column("mAP@0.5, %", "map50", "{:.1f}"), Column("note", "accuracy_note", words=True))
    return Table(f"Accuracy on {_of(rows)}, {rows[0]['frames']} frames{_calibrate(rows)}", columns, tuple(rows))


def _with_sequence_name(rows: Sequence[Mapping]) -> tuple[Mapping, ...]:
    """With the sequence's name; rows without a sequence stay as they are."""
    return tuple({**row, "name": sequence_name(row["sequence"])} if row.get("sequence") else row for row in rows)
