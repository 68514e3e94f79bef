"""``evaluate`` and ``calibrate`` with workers give what they give in one process, in every bit but for times."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn_street import frames
from video_writer import write_video

from regionmask_ros.commands import calibrate, evaluate, tune_thresholds


@pytest.fixture(scope="module")
def streets(tmp_path_factory) -> Path:
    """Two labeled sequences."""
    folder = tmp_path_factory.mktemp("streets")
    for number, count in enumerate((8, 7)):
        images, labels = frames(number)
        (folder / f"street{number}").mkdir()
        write_video(folder / f"street{number}" / "video.mp4", images[:count], 20.0)
        rows = [f"{row.frame},{row.name},{row.x},{row.y},{row.width},{row.height},0,{row.track}"
                for row in labels if row.frame < count]
        (folder / f"street{number}" / "gt.csv").write_text(
            "\n".join(["frame,class,x,y,w,h,ignore,track", *rows]) + "\n")
    return folder


def without_times(value: Any) -> Any:
    """JSON without what is measured."""
    if isinstance(value, dict):
        return {key: without_times(one) for key, one in value.items()
                if not {"cpu", "ms", "s"} & set(key.split("_")) and key != "machine"}
    return [without_times(one) for one in value] if isinstance(value, list) else value


def test_evaluate_scores_as_one_process_does(trained, streets, tmp_path, capfd):
    words = ["--settings", "static@0.5"]
    one, many = tmp_path / "one.json", tmp_path / "many.json"
    assert evaluate.main([*words, "--dataset", f"csv:{streets}/street1", "--json", str(one)]) == 0
    said = capfd.readouterr().out
    assert evaluate.main([*words, "--dataset", f"csv:{streets}/*1", "--dataset", "csv:/nowhere", "--jobs", "1",
                          "--json", str(many), "--output", str(tmp_path / "out")]) == 0
    told = capfd.readouterr()
    serial, shared = json.loads(one.read_text()), json.loads(many.read_text())
    assert "1 of 2 units failed: " in told.err and shared.pop("failures")[0]["source"] == "csv:/nowhere"
    assert shared.pop("place") == "1 worker process" and shared.pop("frames") == 7 and shared.pop("cpu_s") > 0
    assert without_times(shared) == without_times(serial)
    assert [row["sequence"] for row in shared["rows"]] == ["street1"]
    assert shared["summary"][0]["map50_drop_ci90"] is not None
    assert [line.split("  ")[0] for line in told.out.splitlines()[:len(said.splitlines())]] == [
        line.split("  ")[0] for line in said.splitlines()]
    assert json.loads((tmp_path / "out" / "summary.json").read_text()) == json.loads(many.read_text())
    assert "csv:/nowhere" in (tmp_path / "out" / "report.html").read_text()


def arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as read:
        return {name: read[name] for name in read.files}


def test_calibrate_makes_the_mask_of_one_process_and_one_for_each_camera(trained, day, streets, tmp_path, capfd):
    clips = [str(path) for path in sorted(day.rglob("*.mp4"))]
    words = ["--keep", "0.4", "--score-threshold", "0.2"]
    assert calibrate.main([*clips, *words, "--output", str(tmp_path / "one")]) == 0
    assert calibrate.main([str(day), *words, "--output", str(tmp_path / "many"), "--jobs", "1"]) == 0
    one, many = (arrays(tmp_path / name / "static_mask.npz") for name in ("one", "many"))
    assert one.keys() == many.keys() and all(one[name].tobytes() == many[name].tobytes() for name in one)
    summary = json.loads((tmp_path / "many" / "summary.json").read_text())
    assert summary["frames"] == 15 and summary["objects"] > 0 and summary["failures"] == []
    assert "Objects lost" in (tmp_path / "many" / "report.html").read_text()
    shutil.copytree(tmp_path / "many" / "journal", tmp_path / "cameras" / "journal")
    capfd.readouterr()
    assert calibrate.main([str(day), *words, "--output", str(tmp_path / "cameras"), "--by-camera", "--resume"]) == 0
    assert "3 of 3 units are done from an earlier run" in capfd.readouterr().err
    front = [clip for clip in clips if "/front/" in clip]
    assert calibrate.main([*front, *words, "--output", str(tmp_path / "front")]) == 0
    alone, camera = (arrays(tmp_path / name / "static_mask.npz") for name in ("front", "cameras/front"))
    assert all(alone[name].tobytes() == camera[name].tobytes() for name in alone)
    assert {row["camera"] for row in json.loads((tmp_path / "cameras" / "summary.json").read_text())["cameras"]} == {
        "front", "rear"}


def test_calibrate_with_labels_makes_the_mask_of_one_process(streets, tmp_path):
    words = [word for number in (0, 1) for word in ("--labels", f"csv:{streets}/street{number}/gt.csv")]
    clips = [f"{streets}/street{number}/video.mp4" for number in (0, 1)]
    assert calibrate.main([*clips, *words, "--output", str(tmp_path / "one")]) == 0
    assert calibrate.main([*clips, *words, "--output", str(tmp_path / "many"), "--jobs", "1"]) == 0
    one, many = (arrays(tmp_path / name / "static_mask.npz") for name in ("one", "many"))
    assert all(one[name].tobytes() == many[name].tobytes() for name in one)


def test_tune_thresholds_finds_what_one_process_finds(trained, tmp_path, capfd):
    (tmp_path / "clips").mkdir()
    for seed, name in enumerate(("one.mp4", "two.mp4")):
        write_video(tmp_path / "clips" / name, frames(seed)[0], 10.0)
    (tmp_path / "clips" / "bad.mp4").write_bytes(b"not a video at all")
    words = ["--frames", "8", "--stretches", "1", "--rounds", "0", "--max-pixels", "60000"]
    clips = [str(tmp_path / "clips" / name) for name in ("one.mp4", "two.mp4")]
    assert tune_thresholds.main([*clips, *words, "--output", str(tmp_path / "one.json")]) == 0
    capfd.readouterr()
    assert tune_thresholds.main(
        [str(tmp_path / "clips"), *words, "--jobs", "1", "--output", str(tmp_path / "many.json")]) == 0
    assert "1 of 3 units failed" in capfd.readouterr().err
    one, many = (json.loads((tmp_path / name).read_text()) for name in ("one.json", "many.json"))
    del one["made"]["command"], many["made"]["command"]
    assert without_times(one) == without_times(many) and many["made"]["tuning"]["clips"] == ["one.mp4", "two.mp4"]
