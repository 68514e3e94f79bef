"""Tables as text and as Markdown."""

from __future__ import annotations

from regionmask_ros.lab.bench.sections import cold_table, layers_table, rows_table, streams_table, worst_table
from regionmask_ros.lab.bench.table import Column, Ratio, Table, as_markdown, as_text

TABLE = Table("Fruit", (
    Column("name", "name", words=True), Column("median", "ms", "{:.1f}", "measured, ms"),
    Column("p90", "p90", "{:.1f}", "measured, ms"), Column("k", "count", "{:.2f}", "counted", 1000.0),
    Ratio("pear", "ratio_to", "{:.1f}", of="pear"),
), (
    {"name": "apple", "ms": 1.25, "p90": 10.0, "count": 1500, "ratio_to": {"pear": 2.0}},
    {"name": "a|b", "ms": None, "count": 0, "ratio_to": {}},
))

ROW = {
    "sequence": "data/street/video.mp4", "setting": "unmasked", "engine": "event", "path": "avx2", "threads": 1,
    "input_size": "64x64", "frames": 9, "median_ms": 2.0, "p10_ms": 1.0, "p90_ms": 3.0,
    "median_wall_ms": 2.5, "synops_per_frame": 5e6,
    "events_per_frame": 7e3, "head_rms": 0.5, "calibration": None, "ratio_to": {"onnxruntime_int8": 1.5},
    "cold_ms": 4.0, "ratio_to_cold": {"onnxruntime_int8": 1.25},
}


def test_text_has_groups_above_their_columns_and_numbers_to_the_right():
    assert as_text(TABLE).splitlines() == [
        "Fruit",
        "       measured, ms  counted",
        "name   median   p90     k  pear",
        "apple     1.2  10.0  1.50   2.0",
        "a|b         -     -  0.00     -",
    ]


def test_markdown_names_groups_and_escapes_bars():
    assert as_markdown(TABLE).splitlines() == [
        "**Fruit**", "",
        "| name | measured, ms: median | measured, ms: p90 | counted: k | pear |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| apple | 1.2 | 10.0 | 1.50 | 2.0 |",
        "| a\\|b | - | - | 0.00 | - |",
    ]


def test_rows_show_accuracy_only_where_it_was_measured():
    assert "mAP" not in as_text(rows_table([ROW]))
    scored = {**ROW, "map50": 41.26, "map50_on": "data/pets/video.mp4", "accuracy_note": "3.0 points below fp32"}
    text = as_text(rows_table([ROW, scored]))
    assert "street, 64x64, 9 frames" in text and "mAP@0.5 on pets" in text
    assert text.splitlines()[-1].endswith("1.50  41.3  3.0 points below fp32")


def test_wall_time_is_shown_once_there_are_more_threads_than_one():
    assert "wall" not in as_text(rows_table([ROW]))
    baseline = {**ROW, "engine": "onnxruntime_int8", "setting": "dense", "threads": 2}
    assert "measured, wall ms" in as_text(rows_table([ROW, baseline]))


def test_what_is_measured_and_what_is_counted_have_columns_of_their_own():
    layer = {**ROW, "layer": "conv1", "share": 0.25}
    stream = {**ROW, "cameras": 2, "mean_ms": 2.0, "fps": 25.0, "cameras_per_core": {"at_fps": 20.0, "at_30": 16.7},
              "memory_mb": 30.0, "state_mb": 33.0}
    worst = {**ROW, "worst_ms": 9.0, "worst_frame": 0, "worst_kind": "first", "worst_to_int8": 1.2}
    for table, row in ((rows_table, ROW), (cold_table, ROW), (layers_table, layer), (streams_table, stream),
                       (worst_table, worst)):
        made = table([row])
        for column in made.columns:
            counted = column.key in ("synops_per_frame", "events_per_frame", "state_mb")
            measured = column.key.endswith("_ms") or column.key in ("share", "memory_mb")
            assert column.group.startswith("counted") == counted and column.group.startswith("measured") == measured
        assert "-" not in made.cells[0]
