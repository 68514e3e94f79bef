"""`bench` with everything switched on, as it makes docs/PERFORMANCE.md."""

from __future__ import annotations

import json
import re
import shutil

import cv2
import numpy as np
import pytest

from regionmask_ros.commands.bench import main
from regionmask_ros.lab.bench.page import page
from regionmask_ros.lab.bench.plots import PLOTS
from regionmask_ros.lab.bench.quality import SIZES

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
    assert {row["against"] for row in result["linearity"]} == {
        "Mpixel, by size", "Msynop, by size", "Msynop, by frame",
    }
    assert all(len(row["ms"]) == len(row["synops"]) == 3 for row in result["frames"])


def test_the_page_is_made_from_the_json(folder, result):
    written = (folder / "docs" / "PERFORMANCE.md").read_text()
    assert written == page(result)
    assert result["machine"]["cpu"] in written and result["machine"]["kernels"][0] in written
    for row in result["rows"]:
        assert f"| {row['median_ms']:.3f} |" in written and f"| {row['worst_ms']:.3f} |" in written
    # A page is for others: no folder of this machine is in it.
    assert "labelled/video.mp4" in written and str(folder) not in written
    others = ("|", "Measured on ", "Kernels: ")
    prose = [line for line in written.splitlines() if not line.startswith(others) and " -m regionmask_ros " not in line]
    assert max(map(len, prose)) <= 120


def test_plots_are_pictures_and_the_page_shows_them(folder):
    shown = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", (folder / "docs" / "PERFORMANCE.md").read_text())
    assert sorted(shown) == sorted(PLOTS) == sorted(path.name for path in (folder / "docs").glob("*.png"))
    for name in PLOTS:
        image = cv2.imread(str(folder / "docs" / name))
        assert min(image.shape[:2]) > 200 and np.ptp(image) > 100


def test_plots_without_our_engine(result):
    """As after --engines onnxruntime_int8: what is there is drawn."""
    baseline = {"engine": "onnxruntime_int8", "setting": "dense"}
    bare = {**result, "frames": [], "rows": [{**row, **baseline} for row in result["rows"]],
            "scale": [{**row, **baseline} for row in result["scale"]]}
    for draw in PLOTS.values():
        assert draw(bare).startswith(b"\x89PNG")
