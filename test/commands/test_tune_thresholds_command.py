"""The command `tune_thresholds`, on a drawn street, and its one-line errors."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from video_writer import write_video

from regionmask_ros.commands.tune_thresholds import main
from regionmask_ros.network.thresholds import get_thresholds, read_tuned

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lab" / "evaluation"))
import drawn_street

QUICK = ["--frames", "8", "--stretches", "1", "--rounds", "1", "--max-pixels", "60000"]


@pytest.fixture(scope="module")
def street(tmp_path_factory):
    """Two videos of the drawn street that differ in their noise."""
    folder = tmp_path_factory.mktemp("streets")
    for seed, name in enumerate(("one.mp4", "two.mp4")):
        write_video(folder / name, drawn_street.frames(seed)[0], 10.0)
    return folder


def test_the_result_is_the_same_after_an_interruption(trained, street, tmp_path, capfd, monkeypatch):
    target = tmp_path / "tuned.json"
    arguments = [str(street / "one.mp4"), "--hold-out", str(street / "two.mp4"), "--cut", "one:10", *QUICK,
             "--output", str(target)]
    assert main(arguments) == 0
    printed, first = capfd.readouterr(), read_tuned(target)
    assert "held-out: synops gain" in printed.out and str(target) in printed.out and "Traceback" not in printed.err
    assert first.network == trained.digest and list(first.thresholds) == list(get_thresholds(trained))
    assert first.made["tuning"]["clips"] == ["one.mp4"] and first.made["held_out"]["clips"] == ["two.mp4"]
    assert first.made["trials"] > 10 and not list(tmp_path.glob("*.journal"))
    target.unlink()
    after_six = iter([None] * 6)

    def interrupt(*_):
        if next(after_six, "stop") == "stop":
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("tqdm.std.tqdm.set_postfix_str", interrupt)
        assert main(arguments) == 130
    assert not target.exists() and len(json.loads((tmp_path / "tuned.json.journal").read_text())["trials"]) >= 5
    assert main(arguments) == 0
    assert "are known from an earlier run" in capfd.readouterr().out
    assert read_tuned(target).thresholds == first.thresholds


@pytest.mark.parametrize("wrong, message", [
    (["--cut", "three:5"], "--cut three:5"), (["--cut", "one:x"], "--cut one:x"), (["--start", "1,2"], "--start 1,2"),
    (["--start", ",".join(["99"] * 10)], "from 1 to 31"), (["--frames", "1"], "--frames 1"),
    (["--slack", "nan"], "--slack nan"), (["--hold-out", "other/one.mp4"], "two clips have the same name"),
    (["--arithmetic", "lava"], "invalid choice"), (["--network", "missing.pt"], "missing.pt"),
    (["--frames", "15", "--cut", "one:10"], "no shot of 15 frames"),
])
def test_every_mistake_gives_one_line(trained, street, tmp_path, capfd, wrong, message):
    target = tmp_path / "tuned.json"
    assert main([str(street / "one.mp4"), *QUICK, "--output", str(target), *wrong]) == 2
    err = capfd.readouterr().err.splitlines()
    complaints = [line for line in err if line.startswith("regionmask_ros: error: ")]
    assert len(complaints) == 1 and message in complaints[0] and "Traceback" not in "".join(err)
    assert not target.exists()


def test_a_clip_without_objects_is_refused(trained, make_clip, tmp_path, capfd):
    assert main([make_clip(10, 0), *QUICK, "--output", str(tmp_path / "t.json")]) == 2
    assert "finds hardly anything" in capfd.readouterr().err
