"""A picture that cannot be used ends no command: it is dropped, counted and named; --strict changes the exit status."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from video_writer import encode_video

from regionmask_ros.backends import BACKENDS
from regionmask_ros.backends.cpu import CpuBackend
from regionmask_ros.commands import calibrate, compare, evaluate, run
from regionmask_ros.commands._parser import build_parser
from regionmask_ros.datasets import open_dataset
from regionmask_ros.lab.tuning.trial import read_segments
from regionmask_ros.sources import Reading, open_source

FRAMES, BROKEN = 8, 3
DROPPED = {"dropped_images": 1, "dropped_reasons": {"empty": 1}}

READERS = ("run", "play", "demo", "calibrate", "tune_thresholds", "train_mgnet", "distill", "evaluate", "compare",
           "bench")


@pytest.fixture(scope="module")
def street(make_clip, tmp_path_factory):
    """A labeled folder of 8 pictures, the fourth of which is empty. A person is at column 8 t of picture t."""
    folder = tmp_path_factory.mktemp("data") / "street"
    folder.mkdir()
    with open_source(make_clip(FRAMES, 8)) as source:
        for t, frame in enumerate(source.frames()):
            cv2.imwrite(str(folder / f"{t}.png"), frame.bgr())
    (folder / f"{BROKEN}.png").write_bytes(b"")
    lines = [f"{t},person,{8 * t},30,40,40,0,1" for t in range(FRAMES)]
    (folder / "gt.csv").write_text("frame,class,x,y,w,h,ignore,track\n" + "\n".join(lines) + "\n")
    return folder


@pytest.mark.parametrize("name", READERS)
def test_every_command_that_reads_pictures_can_be_strict(name):
    parser = build_parser(name)
    assert {"--strict", "--max-image-pixels"} <= set(parser._option_string_actions)


def calls(street, tmp_path):
    """Arguments by command; each writes its figures to figures.json."""
    return {
        "run": (run, [str(street), "--output", str(tmp_path / "out"), "--no-video", "--input-size", "96x64"]),
        "calibrate": (calibrate, [str(street), "--labels", f"csv:{street}", "--output", str(tmp_path / "out")]),
        "evaluate": (evaluate, ["--dataset", f"csv:{street}", "--settings", "oracle@0.5", "--input-size", "96x64"]),
        "compare": (compare, [str(street), "--backends", "cpu,same", "--input-size", "96x64"]),
    }


@pytest.mark.parametrize("name", ["run", "calibrate", "evaluate", "compare"])
def test_a_command_answers_the_other_pictures(name, street, tmp_path, trained_file, monkeypatch, capsys):
    monkeypatch.setitem(BACKENDS, "same", type("SameAgain", (CpuBackend,), {}))
    command, arguments = calls(street, tmp_path)[name]
    arguments += ["--network", str(trained_file), "--json", str(tmp_path / "figures.json")]
    assert command.main([*arguments, "--strict"]) == 3
    facts = json.loads((tmp_path / "figures.json").read_text())
    assert {key: facts[key] for key in DROPPED} == DROPPED
    assert facts["dropped_first"] == [f"{street}/{BROKEN}.png: empty file"]
    if name == "evaluate":
        assert facts["rows"][0]["frames"] == FRAMES - round(0.33 * FRAMES) - 1
    elif name != "calibrate":
        assert facts["frames"] == FRAMES - 1
    assert f"dropped 1 picture (1 empty): {street}/{BROKEN}.png: empty file" in capsys.readouterr().err


def test_labels_and_cuts_count_dropped_pictures(street):
    reading = Reading()
    (sequence,) = open_dataset(f"csv:{street}", reading=reading)
    with sequence.open() as source:
        numbers = [number for number, _ in source.numbered()]
    assert numbers == [t for t in range(FRAMES) if t != BROKEN] and len(reading.dropped) == 1
    drawn = read_segments(str(street), (5,), 3, 9, 307_200, np.random.default_rng(0), reading=reading)
    assert [segment.first for segment in drawn] == [0, 4], "the cut before picture 5 is before the fifth good one"
    assert len(reading.dropped) == 1


def test_exit_status_is_0_without_strict(street, tmp_path):
    assert calibrate.main([str(street), "--labels", f"csv:{street}", "--output", str(tmp_path / "out")]) == 0


def test_nothing_answered_is_an_error(tmp_path, capsys):
    for name in ("a", "b"):
        (tmp_path / f"{name}.jpg").write_bytes(b"")
    assert run.main([str(tmp_path), "--output", str(tmp_path / "out"), "--strict"]) == 2
    assert "none of 2 images can be used, the first: " in capsys.readouterr().err


def test_a_truncated_video_answers_the_frames_that_are_there(trained_file, tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (FRAMES, 64, 96, 3), np.uint8)
    path = encode_video(tmp_path / "a.mp4", images, container_options={"movflags": "+faststart"})
    data = (tmp_path / "a.mp4").read_bytes()
    (tmp_path / "a.mp4").write_bytes(data[: len(data) * 7 // 10])
    figures = tmp_path / "figures.json"
    arguments = [path, "--output", str(tmp_path / "out"), "--no-video", "--input-size", "96x64", "--json", str(figures),
                 "--network", str(trained_file)]
    assert run.main(arguments) == 0
    found = json.loads(figures.read_text())
    assert 0 < found["frames"] < FRAMES and found["frames"] + found["dropped_images"] == FRAMES
