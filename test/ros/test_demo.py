"""The demo as a user runs it, on one second of video: every frame is accounted for, and it always stops cleanly."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from itertools import islice
from pathlib import Path

import cv2
import pytest
import yaml
from rosbags.highlevel import AnyReader
from video_writer import write_video

from regionmask_ros.commands import demo as command
from regionmask_ros.sources import open_source

REPOSITORY = Path(__file__).resolve().parents[2]
FRAMES = 25
EXTRA_FRAMES = 5
SIZE_WH = (320, 128)


@pytest.fixture(scope="module")
def clip(tmp_path_factory, real_video) -> Path:
    """A short street scene of FRAMES + EXTRA_FRAMES small frames, in a file with spaces in its name."""
    with open_source(real_video("bikes.mp4")) as source:
        shown = islice(source.frames(), 105, 105 + FRAMES + EXTRA_FRAMES)
        images = [cv2.resize(frame.pixels, SIZE_WH) for frame in shown]
    return Path(write_video(tmp_path_factory.mktemp("clip") / "my street.mp4", images, 25.0))


def demo(*arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "regionmask_ros", "demo", *arguments], cwd=REPOSITORY, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )


def test_every_frame_played_is_accounted_for(trained_file, clip, tmp_path):
    output = tmp_path / "demo output"
    process = demo("--output", str(output), "--video", str(clip), "--max-frames", str(FRAMES))
    said, errors = process.communicate()
    assert process.returncode == 0, errors
    summary = json.loads((output / "summary.json").read_text())
    kinds = ("answered", "dropped_overwritten", "dropped_broken", "lost_before_node")
    assert summary["played"] == FRAMES == sum(summary[kind] for kind in kinds)
    assert summary["answered"] >= FRAMES // 2
    assert summary["mask"] == "balanced"
    line = f"{FRAMES} frames played = {summary['answered']} answered"
    assert line in said and line in (output / "report.html").read_text()
    made = {path.name for path in output.iterdir()}
    assert {"report.html", "annotated.mp4", "comparison.mp4", "detections.csv", "summary.json", "bag"} <= made
    found, saved, look = said.splitlines()[-3:]
    twin = summary["against"]
    assert found.startswith(f"found: {summary['detections']} detections")
    assert f"missed: {twin['missed']} of its {twin['found'] + twin['missed']} detections" in saved
    assert look.startswith(f"open {output / 'report.html'}") and summary["detections"] == twin["found"] + twin["extra"]
    with AnyReader([output / "bag"]) as reader:
        counts = {connection.topic: connection.msgcount for connection in reader.connections}
    assert counts["/detections"] == counts["/mask"] == counts["/overlay"] == summary["answered"]
    assert counts["/label_info"] == 1 and counts["/diagnostics"] >= 1
    metadata = yaml.safe_load((output / "bag" / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert metadata["storage_identifier"] == "mcap"
    with open_source(str(output / "annotated.mp4")) as video:
        assert video.size_wh == SIZE_WH and len(list(video.frames())) == summary["answered"]


@pytest.mark.parametrize(("arguments", "words"), [
    (["--video", "/no/such.mp4"], "/no/such.mp4: no such file"),
    (["--video", __file__], "test_demo.py"),
    (["--video", ""], "--video"),
    (["--rate", "0"], "--rate 0.0"),
    (["--max-frames", "0"], "--max-frames 0"),
])
def test_bad_input_gives_one_line_before_any_process_starts(arguments, words, tmp_path, capsys):
    assert command.main(["--output", str(tmp_path / "out"), *arguments]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1 and words in said[0]
    assert list(tmp_path.iterdir()) == []


def test_the_first_default_video_that_exists_is_played(tmp_path, monkeypatch):
    first, second = tmp_path / "first.avi", tmp_path / "second.mp4"
    monkeypatch.setattr(command, "DEFAULT_VIDEOS", (first, second))
    assert command.default_video() == str(first)
    second.touch()
    assert command.default_video() == str(second)
    first.touch()
    assert command.default_video() == str(first)


def children(pid: int) -> list[int]:
    """Returns the running child processes of a process."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture
def playing(trained_file, clip, tmp_path):
    """A demo that is playing slowly, and the processes that it has started."""
    process = demo("--output", str(tmp_path / "out"), "--video", str(clip), "--rate", "0.1")
    for line in process.stderr:
        if line.startswith("playing: ") and not line.startswith("playing: 0 "):
            break
    started = children(process.pid)
    assert len(started) == 2
    yield process, started
    process.kill()
    process.wait()


def test_ctrl_c_stops_all_three_processes_and_leaves_no_partial_output(playing, wait_for, tmp_path):
    process, started = playing
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130 and "Traceback" not in errors
    wait_for(lambda: are_gone(started))
    assert list(tmp_path.iterdir()) == []


def test_node_that_dies_gives_one_line_and_leaves_no_process(playing, wait_for, tmp_path):
    process, started = playing
    os.kill(min(started), signal.SIGKILL)
    _, errors = process.communicate()
    assert process.returncode == 2
    assert [line for line in errors.splitlines() if "the node ended with status -9" in line] == errors.splitlines()[-1:]
    wait_for(lambda: are_gone(started))
    assert list(tmp_path.iterdir()) == []


def are_gone(pids: list[int]) -> bool:
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)
