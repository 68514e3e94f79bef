"""`run --against none`: the unmasked twin beside the run, and what its page shows."""

from __future__ import annotations

import csv
import json

import pytest
from browser import check_page

from regionmask_ros.commands.run import main
from regionmask_ros.sources import open_source


@pytest.fixture(scope="module")
def folder(trained, clip, tmp_path_factory):
    """Outputs of a run with half of the image masked, and of the twin by itself in the folder ``alone``."""
    folder = tmp_path_factory.mktemp("against")
    given = ["--score-threshold", "0.05", "--json"]
    masked = ["--mask", "preset", "--preset", "fast", "--against", "none"]
    assert main([clip, "-o", str(folder / "out"), *masked, *given, str(folder / "run.json")]) == 0
    alone = ["--mask", "none", "--no-video"]
    assert main([clip, "-o", str(folder / "alone"), *alone, *given, str(folder / "alone.json")]) == 0
    return folder


def test_the_twin_is_the_run_without_a_mask(folder):
    summary, alone = (json.loads((folder / name).read_text()) for name in ("run.json", "alone.json"))
    twin = summary["against"]
    assert "against" not in alone and alone["mask"] == twin["mask"] == "none"
    assert twin["detections"] == alone["detections"] == twin["found"] + twin["missed"] > 0
    assert twin["synops_per_frame"] == alone["synops_per_frame"]
    assert twin["saved_share"] == pytest.approx(1 - summary["synops_per_frame"] / alone["synops_per_frame"])
    assert summary["detections"] == twin["found"] + twin["extra"]
    rows = list(csv.DictReader((folder / "out" / "detections.csv").open()))
    assert len(rows) == summary["detections"]


def test_the_videos_show_the_run_alone_and_both(folder):
    with open_source(str(folder / "out" / "annotated.mp4")) as one, \
            open_source(str(folder / "out" / "comparison.mp4")) as both:
        assert (one.size_wh, both.size_wh) == ((160, 96), (320, 96)) and one.frame_count == both.frame_count


def test_its_page_and_one_without_a_video_are_in_order(folder, browser):
    page = (folder / "out" / "report.html").read_text()
    assert "Saved by masks" in page and "Missed by masks" in page and "truth here" in page
    check_page(browser, folder / "out" / "report.html")
    alone = (folder / "alone" / "report.html").read_text()
    assert "<video" not in alone and "data:image/jpeg" in alone and "truth here" not in alone


def test_the_lines_at_the_end_say_what_was_saved_and_where_to_look(trained, clip, tmp_path, capsys):
    out = tmp_path / "out"
    assert main([clip, "-o", str(out), "--against", "none", "--no-video"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("against the unmasked twin: ") and lines[-1] == f"open {out / 'report.html'}"
    assert not (out / "comparison.mp4").exists()


@pytest.mark.parametrize(("options", "words"), [
    (["--mask", "none", "--against", "none"], "--against none: this run is unmasked itself"),
    (["--against", "static"], "invalid choice: 'static'"),
])
def test_a_twin_that_makes_no_sense_is_refused(clip, tmp_path, capsys, options, words):
    assert main([clip, "-o", str(tmp_path / "out"), *options]) == 2
    assert words in capsys.readouterr().err and not (tmp_path / "out").exists()
