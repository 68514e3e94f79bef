"""``run`` with many sources: the files of single runs, in one folder, whatever interrupts it."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from regionmask_ros.commands.run import main
from regionmask_ros.mask.static import read_static_mask


def detections(folder: Path) -> dict[str, bytes]:
    """By path of the source."""
    summary = json.loads((folder / "summary.json").read_text())
    return {row["source"]: (folder / "detections" / f"{row['name']}.csv").read_bytes() for row in summary["sources"]}


@pytest.fixture(scope="module")
def damaged(day, tmp_path_factory) -> Path:
    """The day, with one file that is no video."""
    folder = tmp_path_factory.mktemp("damaged") / "day"
    shutil.copytree(day, folder)
    (folder / "rear" / "b.mp4").write_bytes(b"not a video at all")
    return folder


def test_a_folder_gives_the_detections_of_single_runs_a_summary_masks_and_a_page(
        damaged, day, singles, tmp_path, capfd):
    """And the file that is no video is named, while the others go on."""
    out = tmp_path / "out"
    assert main([str(damaged), "--output", str(out), "--jobs", "2", "--json", str(tmp_path / "figures.json")]) == 0
    said = capfd.readouterr()
    assert "4 of 4 units (100%)" in said.err and " frames/s, 1 failed" in said.err
    assert "regionmask_ros: 1 of 4 units failed: " in said.err and f"{damaged}/rear/b.mp4" in said.err
    assert said.out.startswith("3 sources, 15 frames") and f"open {out}/report.html" in said.out
    assert {path.replace(str(damaged), str(day)): content for path, content in detections(out).items()} == singles
    summary = json.loads((out / "summary.json").read_text())
    assert summary == json.loads((tmp_path / "figures.json").read_text())
    total = summary["total"]
    assert total["units"] == 3 and total["failed"] == 1 and total["frames"] == 15 and 0 < total["masked_share"] < 1
    assert total["cpu_s"] > 0 and all(row["cpu_s"] > 0 and row["kernels"] for row in summary["sources"])
    (failure,) = summary["failures"]
    assert failure["source"] == f"{damaged}/rear/b.mp4" and failure["why"].startswith(failure["source"])
    assert {row["camera"]: row["frames"] for row in summary["cameras"]} == {"front": 11, "rear": 4}
    assert {path.name for path in (out / "detections").iterdir()} == {
        f"{row['name']}.csv" for row in summary["sources"]}
    for row in summary["cameras"]:
        mask = read_static_mask(str(out / row["mask"]))
        assert mask.attended.mean() == row["kept_share"] and 0 < row["kept_share"] < 1
    page = (out / "report.html").read_text()
    assert "3 sources: objects and masks" in page and page.count("<img") == 4 and 'src="http' not in page
    assert "b.mp4" in page


def wait_for(condition) -> None:
    end = time.monotonic() + 120
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    assert condition()


def entries(out: Path) -> dict[str, int]:
    """Units in the journal, and when each was written."""
    return {path.name: path.stat().st_mtime_ns for path in (out / "journal").glob("[!.]*.json")}


def test_an_interrupted_run_goes_on_where_it_stopped(day, singles, tmp_path, capfd):
    """Ctrl-C after the first unit, then to the end."""
    out, scratch = tmp_path / "out", tmp_path / "scratch"
    scratch.mkdir()
    command = [sys.executable, "-m", "regionmask_ros", "run", str(day), "--output", str(out), "--jobs", "1"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
                               env={**os.environ, "TMPDIR": str(scratch)})
    wait_for(lambda: len(entries(out)) == 1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and "units are done; the same command with --resume and --output" in said
    assert said.endswith("regionmask_ros: interrupted\n") and "Traceback" not in said
    assert not list(scratch.iterdir()), "workers have removed their files"
    before = entries(out)
    assert not (out / "summary.json").exists() and len(before) < 3
    assert main([str(day), "--output", str(out), "--jobs", "1"]) == 2
    assert "an earlier run has begun there: give --resume to go on with it" in capfd.readouterr().err
    assert main([str(day), "--output", str(out), "--jobs", "1", "--resume", "--preset", "fast"]) == 2
    assert "--resume: the earlier run differs in options: give the same" in capfd.readouterr().err
    later = str(shutil.copy(day / "rear" / "a.mp4", tmp_path / "later.mp4"))
    assert main([str(day), later, "--output", str(out), "--jobs", "1", "--resume"]) == 0
    assert f"{len(before)} of 4 units are done from an earlier run" in capfd.readouterr().err
    assert {name: time for name, time in entries(out).items() if name in before} == before, "not done again"
    assert detections(out) == {**singles, later: singles[str(day / "rear" / "a.mp4")]}, "a source was added"


def test_slices_start_afresh_and_are_joined(day, singles, tmp_path, trained):
    clip, out = day / "front" / "a.mp4", tmp_path / "out"
    long = tmp_path / "long.mp4"
    from drawn_street import frames
    from video_writer import write_video

    images, _ = frames()
    write_video(long, [*images, *images[::-1], *images[:10]], 20.0)
    assert main([str(long), "--output", str(tmp_path / "whole"), "--no-video", "--quiet", "--mask", "none"]) == 0
    assert main([str(long), str(clip), "--output", str(out), "--slice", "1", "--jobs", "1", "--mask", "none",
                 "--quiet"]) == 0
    summary = json.loads((out / "summary.json").read_text())
    assert [(row["name"], row["slices"], row["frames"]) for row in summary["sources"]] == [("long", 2, 50), ("a", 1, 6)]
    read = [list(csv.DictReader((folder / name).read_text().splitlines()))
            for folder, name in ((tmp_path / "whole", "detections.csv"), (out / "detections", "long.csv"))]
    whole, sliced = ([row for row in rows if int(row["frame"]) < 20] for rows in read)
    assert sliced == whole, "the first slice is as the whole"
    frames_of = [np.unique([int(row["frame"]) for row in rows]) for rows in read]
    assert set(frames_of[1]) == set(frames_of[0]), "the others find objects in the same frames"
    assert {row["stamp_ns"] for row in read[1]} <= {str(round(n * 5e7)) for n in range(50)}


@pytest.mark.parametrize(("words", "said"), [
    (["--against", "none"], "--against: for one source"), (["--rerun", "a.rrd"], "--rerun: for one source"),
    (["--jobs", "-1"], "--jobs -1: must be between 1 and 1024"), (["--slice", "0.5"], "--slice 0.5: must be 1 second"),
    (["--ray", "a.mp4"], "--ray a.mp4: no address of a cluster"),
    (["--ray", "head:6379", "--jobs", "2"], "--jobs 2: for worker processes or a local Ray"),
    (["--resume"], "--resume: name the folder of the earlier run with --output"),
])
def test_options_that_mean_nothing_for_many_sources_are_refused(day, tmp_path, monkeypatch, capfd, words, said):
    monkeypatch.chdir(tmp_path)
    assert main([str(day), *words]) == 2
    assert said in capfd.readouterr().err and not list(tmp_path.iterdir())
