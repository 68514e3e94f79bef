"""`bench` with everything switched on, as it makes docs/PERFORMANCE.md."""

from __future__ import annotations

import json
import re
import shutil

import cv2
import numpy as np
import pytest
from browser import check_page

from regionmask_ros.commands.bench import main
from regionmask_ros.lab.bench import session
from regionmask_ros.lab.bench.html_page import make_page
from regionmask_ros.lab.bench.page import format_page
from regionmask_ros.lab.bench.plots import PLOTS
from regionmask_ros.lab.bench.scaling import SIZES as ALL_SIZES
from regionmask_ros.lab.bench.tables import cold_table, layers_table, rows_table, streams_table, worst_table
from regionmask_ros.report.plots import PNG_COLORS, figure_png
from regionmask_ros.report.tables import format_text

SIZES = ALL_SIZES[:3]
"""Enough for a line through them; the largest take as long as all else that is measured."""

SECTIONS = {"rows", "frames", "layers", "streams", "scale", "linearity", "accuracy"}


@pytest.fixture(scope="module")
def folder(make_clip, trained_file, tmp_path_factory):
    """Where bench has written result.json and docs/."""
    folder = tmp_path_factory.mktemp("everything")
    sequence = folder / "labelled" / "video.mp4"
    sequence.parent.mkdir()
    shutil.move(make_clip(6, 6), sequence)
    (sequence.parent / "gt.csv").write_text("frame,class,x,y,w,h,ignore\n2,person,10,10,40,40,0\n")
    arguments = ["--sequence", str(sequence), "--engines", "event", "--input-size", "96x64,auto", "--frames", "3"]
    arguments += ["--layers", "--streams", "2", "--worst", "--accuracy", str(sequence.parent)]
    with pytest.MonkeyPatch.context() as changes:
        changes.setattr(session, "SIZES", SIZES)
        assert main([*arguments, "--json", str(folder / "result.json"), "--output", str(folder / "docs")]) == 0
    return folder


@pytest.fixture(scope="module")
def result(folder) -> dict:
    return json.loads((folder / "result.json").read_text())


def test_every_section_is_in_the_json(result):
    assert SECTIONS < set(result) and "stages" not in result
    kinds = [(row["setting"], row["input_size"]) for row in result["rows"]]
    assert kinds == [(setting, size) for size in ("96x64", "160x96") for setting in ("unmasked", "masked60")]
    for row in result["rows"]:
        assert row["worst_ms"] > 0 and row["worst_to_int8"] is None and row["map50"] is not None
    assert [(row["setting"], row["input_size"]) for row in result["streams"]] == kinds
    assert {(row["setting"], row["input_size"]) for row in result["layers"]} == set(kinds)
    assert [(row["setting"], row["input_size"]) for row in result["accuracy"]] == kinds
    assert [row["pixels"] for row in result["scale"]] == [width * height for width, height in SIZES]
    assert {row["against"] for row in result["linearity"]} == {"Mpixel, by size", "Msynop, by size", "Msynop, by frame"}
    assert all(len(row["ms"]) == len(row["synops"]) == 3 for row in result["frames"])


def test_the_page_is_made_from_the_json(folder, result):
    written = (folder / "docs" / "PERFORMANCE.md").read_text()
    assert written == format_page(result)
    assert result["machine"]["cpu"] in written and result["machine"]["kernels"][0] in written
    for row in result["rows"]:
        assert f"| {row['median_ms']:.3f} |" in written and f"| {row['worst_ms']:.3f} |" in written
    # A page is for others: no folder of this machine is in it.
    assert "labelled/video.mp4" in written and str(folder) not in written
    others = ("|", "Measured on ", "Kernels: ")
    prose = [line for line in written.splitlines() if not line.startswith(others) and " -m regionmask_ros " not in line]
    assert max(map(len, prose)) <= 120


def test_networks_side_by_side_are_on_the_page(result):
    assert "## Networks side by side" not in format_page(result)
    row = {**result["rows"][0], "network": "nano", "mean_ms": 2.5, "p95_ms": 3.25, "map50": 71.5, "map50_on": "a/b.mp4",
           "map50_frames": 9}
    page = format_page({**result, "networks": [row]})
    assert "## Networks side by side" in page and "| nano |" in page and "| 3.250 |" in page and "| 71.5 |" in page


def test_the_pages_say_which_frames_were_scored(result):
    """Where the rows' own sequence has labels, instead of one of --accuracy."""
    words = "over all measured frames and no others"
    assert words not in format_page(result) and all(words not in table.note for table in make_page(result).tables)
    labelled = {key: rows for key, rows in result.items() if key != "accuracy"}
    page = make_page(labelled)
    assert words in format_page(labelled) and [words in table.note for table in page.tables[:2]] == [False, True]


def test_plots_are_images_and_the_page_shows_them(folder):
    shown = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", (folder / "docs" / "PERFORMANCE.md").read_text())
    assert sorted(shown) == sorted(PLOTS) == sorted(path.name for path in (folder / "docs").glob("*.png"))
    for name in PLOTS:
        image = cv2.imread(str(folder / "docs" / name))
        assert min(image.shape[:2]) > 200 and np.ptp(image) > 100


def test_the_page_in_html_is_in_order_in_a_browser(folder, result, browser):
    check_page(browser, folder / "docs" / "report.html")
    page = (folder / "docs" / "report.html").read_text()
    assert page.count("<svg") == len(PLOTS) - 1 and "Saved by a mask" in page and str(folder) not in page
    assert f"{result['rows'][0]['median_ms']:.3f}" in page and "Cameras in one process" in page


def test_plots_are_drawn_without_our_engine(result):
    """As after --engines onnxruntime_int8: what was measured is drawn."""
    baseline = {"engine": "onnxruntime_int8", "setting": "dense"}
    bare = {**result, "frames": [], "rows": [{**row, **baseline} for row in result["rows"]],
            "scale": [{**row, **baseline} for row in result["scale"]]}
    for draw in PLOTS.values():
        assert figure_png(draw(bare, PNG_COLORS)).startswith(b"\x89PNG")


MEASURED_COLUMNS = {"median", "p10", "p90", "mean", "worst", "share", "one more camera"}

ROW = {
    "sequence": "data/street/video.mp4", "setting": "unmasked", "engine": "event", "path": "avx2", "threads": 1,
    "input_size": "64x64", "frames": 9, "median_ms": 2.0, "p10_ms": 1.0, "p90_ms": 3.0,
    "median_wall_ms": 2.5, "synops_per_frame": 5e6,
    "events_per_frame": 7e3, "head_rms": 0.5, "calibration": None, "ratio_to": {"onnxruntime_int8": 1.5},
    "cold_ms": 4.0, "ratio_to_cold": {"onnxruntime_int8": 1.25},
}


def test_rows_show_accuracy_only_where_it_was_measured():
    assert "mAP" not in format_text(rows_table([ROW]))
    scored = {**ROW, "map50": 41.26, "map50_on": "data/pets/video.mp4", "map50_frames": 7,
              "accuracy_note": "3.0 points below fp32"}
    text = format_text(rows_table([ROW, scored]))
    assert "street, 64x64, 9 frames" in text and "mAP@0.5 on pets, 7 frames" in text
    assert text.splitlines()[-1].endswith("1.50  41.3  3.0 points below fp32")


def test_wall_time_is_shown_once_there_are_more_threads_than_one():
    assert "wall" not in format_text(rows_table([ROW]))
    baseline = {**ROW, "engine": "onnxruntime_int8", "setting": "dense", "threads": 2}
    assert "measured, wall ms" in format_text(rows_table([ROW, baseline]))


def test_what_is_measured_and_what_is_counted_have_columns_of_their_own():
    layer = {**ROW, "layer": "conv1", "share": 0.25}
    stream = {**ROW, "cameras": 2, "mean_ms": 2.0, "fps": 25.0, "cameras_per_core": {"at_fps": 20.0, "at_30": 16.7},
              "memory_mb": 30.0, "state_mb": 33.0}
    worst = {**ROW, "worst_ms": 9.0, "worst_frame": 0, "worst_kind": "first", "worst_to_int8": 1.2}
    for make, row in ((rows_table, ROW), (cold_table, ROW), (layers_table, layer), (streams_table, stream),
                      (worst_table, worst)):
        table = make([row])
        for name, group in zip(table.columns, table.groups):
            counted, measured = name in ("M synops", "k events", "arrays"), name in MEASURED_COLUMNS
            assert group.startswith("counted") == counted and group.startswith("measured") == measured
        assert "-" not in table.rows[0]
