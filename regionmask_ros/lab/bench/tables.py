"""Every section of a result as a table; measured and counted values never share a group of columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...report.tables import Column, Table, make_table
from .clip import sequence_name
from .scaling import AREA

Rows = Sequence[Mapping[str, Any]]

MEASURED, COUNTED, TIMES = "measured, CPU ms", "counted, per frame", "times as fast as"


def _text(name: str, key: str, group: str = "") -> Column:
    return Column(name, key, group=group, is_text=True)


def _ms(name: str, key: str) -> Column:
    return Column(name, key, "{:.3f}", MEASURED)


ENGINE = (_text("engine", "engine"), _text("setting", "setting"), _text("path", "path"))
SPREAD = (_ms("median", "median_ms"), _ms("p10", "p10_ms"), _ms("p90", "p90_ms"))
COUNTS = (Column("M synops", "synops_per_frame", lambda count: f"{count / 1e6:.2f}", COUNTED),
          Column("k events", "events_per_frame", lambda count: f"{count / 1e3:.1f}", COUNTED))
SEQUENCE = Column("sequence", "sequence", sequence_name, is_text=True)
INPUT = Column("input", "input_size")


def _ratios(rows: Rows, key: str) -> list[Column]:
    """A column for each baseline in the ratios of the rows."""
    return [Column(name, (key, name), "{:.2f}", TIMES) for name in sorted({name for row in rows for name in row[key]})]


def rows_table(rows: Rows) -> Table:
    """Returns the table of one sequence at one input size."""
    # With one thread, wall time differs from processor time only by what else the machine does.
    wall = [Column("median", "median_wall_ms", "{:.3f}", "measured, wall ms")]
    scored_on = _scored_on(rows)
    group = f"mAP@0.5 on {scored_on}"
    columns = [
        *ENGINE, Column("threads", "threads"), *SPREAD, *(wall if any(row["threads"] > 1 for row in rows) else ()),
        *COUNTS, Column("head RMS", "head_rms", "{:.3f}"), *_ratios(rows, "ratio_to"),
        *((Column("%", "map50", "{:.1f}", group), _text("note", "accuracy_note", group)) if scored_on else ()),
    ]
    return make_table(f"{_about(rows)}, {rows[0]['frames']} frames{_calibration(rows)}", columns, rows)


def summary_table(rows: Rows) -> Table:
    """Returns one row for each sequence and input size: the median of each engine, without other kernel sets."""
    shown = [row for row in rows if ":" not in row["engine"]]
    names = dict.fromkeys(f"{row['engine']} {row['setting']}" for row in shown)
    clips: dict[tuple[str, str], dict[str, Any]] = {}
    for row in shown:
        place = {"sequence": row["sequence"], "input_size": row["input_size"]}
        clip = clips.setdefault((row["sequence"], row["input_size"]), place)
        clip[f"{row['engine']} {row['setting']}"] = row["median_ms"]
    return make_table("Median of a frame", [SEQUENCE, INPUT, *(_ms(name, name) for name in names)], [*clips.values()])


def networks_table(rows: Rows) -> Table:
    """Returns the table of networks side by side, of one sequence."""
    scored_on = _scored_on(rows)
    columns = [
        _text("network", "network"), *ENGINE, Column("threads", "threads"), INPUT, _ms("median", "median_ms"),
        _ms("mean", "mean_ms"), _ms("p95", "p95_ms"),
        *((Column("%", "map50", "{:.1f}", f"mAP@0.5 on {scored_on}"),) if scored_on else ()),
    ]
    name = sequence_name(rows[0]["sequence"])
    return make_table(f"{name}: networks side by side, {rows[0]['frames']} frames{_calibration(rows)}", columns, rows)


def onnx_table(rows: Rows) -> Table:
    """Returns the table of engines that compute one ONNX network, of one sequence at one input size."""
    scored_on = _scored_on(rows)
    group = f"counted on {scored_on}, %"
    columns = [
        *ENGINE, Column("threads", "threads"), _ms("mean", "mean_ms"), *SPREAD, _ms("p95", "p95_ms"),
        Column("MACs", "mac_share", "{:.1%}", COUNTED), *_ratios(rows, "ratio_to"),
        *((Column("mAP@0.5", "map50", "{:.1f}", group), Column("agreement", "agreement", "{:.1f}", group))
          if scored_on else ()),
    ]
    about = f"{_about(rows)}, {rows[0]['network']}, {rows[0]['frames']} frames{_calibration(rows)}"
    return make_table(about, columns, rows)


def cold_table(rows: Rows) -> Table:
    """Returns the table of the first frames of turns, of one sequence at one input size."""
    columns = [*ENGINE, _ms("median", "cold_ms"), *_ratios(rows, "ratio_to_cold")]
    return make_table(f"{_about(rows)}: the first frame of every turn", columns, rows)


def worst_table(rows: Rows) -> Table:
    """Returns the table of the slowest frames, of one sequence at one input size; see `add_worst`."""
    columns = [
        *ENGINE, _ms("worst", "worst_ms"), _ms("median", "median_ms"),
        Column("worst / median of int8", "worst_to_int8", "{:.2f}"), Column("frame", "worst_frame"),
        _text("kind", "worst_kind"),
    ]
    return make_table(f"{_about(rows)}: the slowest frame, first and refresh frames included", columns, rows)


def layers_table(rows: Rows) -> Table:
    """Returns the table of layers, of one sequence at one input size."""
    columns = [_text("layer", "layer"), *ENGINE, *SPREAD, Column("share", "share", "{:.1%}", MEASURED), *COUNTS]
    return make_table(f"{_about(rows)}: layer by layer, in a replay of its own", columns, rows)


def tile_layers_table(rows: Rows) -> Table:
    """Returns the table of the tile engine's layers, of one sequence at one input size."""
    columns = [
        _text("layer", "layer"), _text("operator", "operator"), _text("setting", "setting"),
        Column("output", "output_size"), Column("M MACs, dense", "dense_macs", lambda count: f"{count / 1e6:.3f}"),
        Column("computed", "computed_share", "{:.1%}", COUNTED),
        Column("of all MACs", "mac_share", "{:.2%}", COUNTED), Column("tiles", "tiles_per_frame", "{:.1f}", COUNTED),
        Column("kB moved", "bytes_per_frame", lambda count: f"{count / 1e3:.1f}", COUNTED),
    ]
    about = f"{_about(rows)}, {rows[0]['network']}, {rows[0]['frames']} frames"
    return make_table(f"{about}: layer by layer, in a replay of its own", columns, rows)


def streams_table(rows: Rows) -> Table:
    """Returns the table of several cameras."""
    per_core, memory = "cameras per core, from the mean", "measured, MB"
    columns = [
        SEQUENCE, INPUT, _text("setting", "setting"), Column("cameras", "cameras"), _ms("mean", "mean_ms"), *SPREAD,
        Column("at the sequence's rate", ("cameras_per_core", "at_fps"), "{:.1f}", per_core),
        Column("at 30 fps", ("cameras_per_core", "at_30"), "{:.1f}", per_core), Column("fps", "fps", "{:.1f}"),
        Column("one more camera", "memory_mb", "{:.1f}", memory), Column("arrays", "state_mb", "{:.1f}", "counted, MB"),
    ]
    return make_table("Several cameras in one process, weights shared", columns, rows)


def stages_table(rows: Rows) -> Table:
    """Returns the table of the stages before the network."""
    columns = [_text("stage", "stage"), SEQUENCE, _text("setting", "setting"), Column("image", "picture"), INPUT,
               *SPREAD, Column("target", "limit_ms", "{:.1f}")]
    return make_table("Before the network", columns, rows)


def start_table(rows: Rows) -> Table:
    """Returns the table of new processes."""
    seconds = "measured, s"
    columns = [
        _text("start", "start"), _text("path", "path"), Column("image", "picture"), Column("repeats", "repeats"),
        Column("wall", "wall_s", "{:.2f}", seconds), Column("CPU", "cpu_s", "{:.2f}", seconds),
        Column("target", "limit_s", "{:.0f}"),
    ]
    return make_table("From the start of a process to its first result", columns, rows)


def scale_table(rows: Rows) -> Table:
    """Returns the table of input sizes, of one sequence."""
    columns = [INPUT, *ENGINE, Column("Mpixel", "pixels", lambda count: f"{count / 1e6:.3f}"), *SPREAD, *COUNTS]
    name = sequence_name(rows[0]["sequence"])
    return make_table(f"{name}: from small inputs to large ones, {rows[0]['frames']} frames each", columns, rows)


def linearity_table(rows: Rows) -> Table:
    """Returns the table of fitted lines."""
    columns = [
        SEQUENCE, INPUT, _text("engine", "engine"), _text("setting", "setting"), _text("against", "against"),
        Column("per unit", "slope_ms", "{:.4f}", "fitted, ms"),
        Column("at zero", "intercept_ms", "{:.3f}", "fitted, ms"),
        Column("R2", "r2", "{:.3f}"), Column("points", "points"),
    ]
    return make_table(f"Lines of least squares ({AREA.split(',')[0]}: a million pixels)", columns, rows)


def drift_table(rows: Rows) -> Table:
    """Returns the table of a long run, of one sequence at one input size."""
    distance = "distance, raw units"
    columns = [
        Column("frames played", "played"), Column("image", "picture"),
        Column("head to dense, RMS", "head_rms", "{:.3f}", distance),
        Column("dense head, RMS", "output_rms", "{:.2f}", distance),
    ]
    return make_table(f"{_about(rows)}, forwards and backwards: distance from the dense evaluation", columns, rows)


def accuracy_table(rows: Rows) -> Table:
    """Returns the table of accuracy on the labeled sequence."""
    columns = [*ENGINE, Column("mAP@0.5, %", "map50", "{:.1f}"),
               Column("agreement with fp32, %", "agreement", "{:.1f}"), _text("note", "accuracy_note")]
    return make_table(f"Accuracy on {_about(rows)}, {rows[0]['frames']} frames{_calibration(rows)}", columns, rows)


def _about(rows: Rows) -> str:
    return f"{sequence_name(rows[0]['sequence'])}, {rows[0]['input_size']}"


def _scored_on(rows: Rows) -> str:
    """On what rows were scored; "" if they were not."""
    scored = next((row for row in rows if row.get("map50_on")), None)
    return f"{sequence_name(scored['map50_on'])}, {scored['map50_frames']} frames" if scored else ""


def _calibration(rows: Rows) -> str:
    names = sorted({sequence_name(row["calibration"]) for row in rows if row["calibration"]})
    return f"; int8 baselines calibrated on {', '.join(names)}" if names else ""
