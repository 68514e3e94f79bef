"""`bench --ros`: a short run through real topics, whose counts add up; its figures are for a machine that is idle."""

from __future__ import annotations

import json

import pytest
from python_process import run_python

from regionmask_ros.commands import bench
from regionmask_ros.ros.throughput import Report, reports_in_window


def test_every_published_image_is_accounted_for(trained_file, real_video, tmp_path):
    file = tmp_path / "bench.json"
    done = run_python(
        "-m", "regionmask_ros", "bench", "--ros", "--ros-seconds", "3", "--ros-masks", "dynamic",
        "--sequence", real_video("bikes.mp4"), "--json", str(file))
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(file.read_text())["ros"]
    assert row["published"] == 180 == row["lost"] + row["dropped"] + row["answered"]
    assert row["answered"] > 0 and row["lost"] >= 0
    assert 0 < row["pipeline_ms"][0] < row["node_ms"][0] < row["answer_ms"][0] + 50
    assert row["overhead_ms"] == pytest.approx(row["node_ms"][0] - row["pipeline_ms"][0])
    assert "180 images of 640x480" in done.stdout and "the node adds" in done.stdout


@pytest.mark.parametrize(("arguments", "words"), [
    (["--ros-masks", "all"], "--ros-masks 'all'"), (["--ros-seconds", "0"], "--ros-seconds 0.0"),
])
def test_bad_options_give_one_line(arguments, words, capsys):
    assert bench.main(["--ros", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_percentiles_are_of_reports_that_cover_five_seconds_of_the_run():
    reports = [Report(100.0 + second, {"at": str(second)}) for second in range(-2, 9)]
    assert [values["at"] for values in reports_in_window(reports, 100.0)] == ["5", "6", "7", "8"]
    assert [values["at"] for values in reports_in_window(reports[:5], 100.0)] == ["2"]
    assert reports_in_window([], 100.0) == []
