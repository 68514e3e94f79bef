"""`run` with a network in an ONNX file: the same files, and null for what such networks do not have."""

from __future__ import annotations

import csv
import json

import cv2
import numpy as np
import pytest
from video_writer import write_video

from regionmask_ros.backends.runtimes import RUNTIMES
from regionmask_ros.commands import model, run

for package in ("onnx", *RUNTIMES):
    pytest.importorskip(package, reason=f"no {package}: `make runtimes` brings it")

from dense_camera import block_box, block_frames  # noqa: E402
from dense_networks import make_block_detector  # noqa: E402

FRAMES = 12


@pytest.fixture(scope="module")
def data_home(tmp_path_factory):
    """A user's data folder with the imported network `blocks`; its file lies beside it."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "blocks.onnx").write_bytes(make_block_detector())
    (folder / "names.txt").write_text("square\ndisc\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(folder))
        assert model.main(["import", str(folder / "blocks.onnx"), "--labels", str(folder / "names.txt")]) == 0
    return folder


@pytest.fixture
def video(data_home, tmp_path, monkeypatch) -> str:
    """A bright block moves to the right. The user's data folder is the one above."""
    monkeypatch.setenv("XDG_DATA_HOME", str(data_home))
    return write_video(tmp_path / "blocks.mp4", [frame.pixels for frame in block_frames(FRAMES)], 20.0)


@pytest.fixture
def run_blocks(video, tmp_path, capfd):
    """A function that runs a network on the video; returns the figures, the rows, and what was printed."""
    def call(*options: str, network: str = "blocks"):
        out, figures = tmp_path / "out", tmp_path / "figures.json"
        cache = [] if "cpu" in options else ["--model-cache", "none"]
        assert run.main([video, "-q", "-o", str(out), "--network", network, "--json", str(figures), *cache,
                         "--score-threshold", "0.3", *options]) == 0
        rows = list(csv.DictReader((out / "detections.csv").open()))
        return json.loads(figures.read_text()), rows, capfd.readouterr()

    return call


def is_the_block(row: dict[str, str]) -> bool:
    box = np.array([float(row[name]) for name in ("x", "y", "w", "h")])
    wanted = block_box(int(row["frame"]))
    return bool(np.abs(box[:2] + box[2:] / 2 - (wanted[:2] + wanted[2:]) / 2).max() < 8.0)


def test_a_run_by_name_leaves_all_its_files(run_blocks, tmp_path):
    summary, rows, printed = run_blocks("--preset", "fast", "--preset-guard", "0")
    assert printed.err == "" and "synops" not in printed.out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "annotated.mp4", "detections.csv", "report.html"]
    for name in ("mac_share", "tiles_per_frame", "synops_per_frame", "events_per_frame", "encoder_events_per_frame",
                 "arithmetic", "thresholds"):
        assert summary[name] is None
    assert (summary["network"], summary["backend"], summary["input_size"]) == ("blocks", "openvino", "192x128")
    assert summary["kernels"].startswith("openvino") and summary["refresh_period"] == 6 and summary["mask"] == "fast"
    assert summary["masked_share"] == pytest.approx(10 / 11) and summary["latency_steps"] == 0
    assert [int(row["frame"]) for row in rows] == list(range(FRAMES)) and all(map(is_the_block, rows))
    assert {row["class"] for row in rows} == {"square"} and {row["track"] for row in rows} == {"0"}
    report = (tmp_path / "out" / "report.html").read_text()
    assert "blocks" in report and "synops per frame" not in report


def test_a_file_runs_as_it_is(run_blocks, data_home):
    summary, rows, _ = run_blocks("--mask", "none", "--no-video", "--backend", "onnxruntime",
                                  network=str(data_home / "blocks.onnx"))
    assert summary["backend"] == "onnxruntime" and summary["network_file"] == str(data_home / "blocks.onnx")
    assert len(rows) == FRAMES and all(map(is_the_block, rows)) and {row["class"] for row in rows} == {"class_0"}
    assert summary["masked_share"] == 0.0


def test_the_tile_engine_shows_its_share_of_macs_and_what_a_mask_saves_of_them(run_blocks, tmp_path):
    summary, _, _ = run_blocks("--backend", "cpu", "--preset", "fast", "--against", "none")
    share, twin = summary["mac_share"], summary["against"]
    assert 0.0 < share < 1.0 and summary["synops_per_frame"] is None and summary["tiles_per_frame"] > 0
    assert summary["moved_bytes_per_frame"] > 0
    assert twin["saved"] == "macs"
    assert twin["saved_share"] == pytest.approx(1.0 - summary["macs_per_frame"] / twin["macs_per_frame"])
    report = (tmp_path / "out" / "report.html").read_text()
    assert "share of the dense MACs" in report and "MACs, counted" in report and "synops per frame" not in report


def test_values_of_a_preset_without_effect_are_refused(video, tmp_path, data_home, capfd):
    assert run.main([video, "-o", str(tmp_path / "out"), "--network", "blocks", "--preset-work", "3"]) == 2
    assert capfd.readouterr().err == "regionmask_ros: error: --preset-work 3: not for ONNX networks; leave it out\n"


def test_detections_that_were_not_observed_can_be_dropped(run_blocks):
    _, rows, _ = run_blocks("--preset", "fast", "--preset-guard", "0", "--no-video", "--stale-detections", "drop")
    assert [row["frame"] for row in rows] == ["0", "6"]


@pytest.mark.parametrize("options, reason", [
    (["--dump-head", "head.npz"], "--dump-head head.npz: only for sigma-delta networks"),
    (["--loihi2-table", "table.json"], "--loihi2-table table.json: only for sigma-delta networks"),
    (["--arithmetic", "snap"], "arithmetic snap: not for ONNX networks"),
    (["--thresholds", "tuned"], "thresholds tuned: not for ONNX networks"),
    (["--tiles", "12x2"], "tiles '12x2'"),
    (["--device", "CUDA"], "device CUDA: the openvino backend has"),
    (["--classes", "unicorn"], "unicorn"),
    (["--input-size", "100x100"], "multiples of 32"),
])
def test_what_means_nothing_here_is_refused(video, tmp_path, monkeypatch, capfd, options, reason):
    monkeypatch.chdir(tmp_path)
    assert run.main([video, "--output", "out", "--network", "blocks", *options]) == 2
    out, err = capfd.readouterr()
    assert reason in err and err.count("\n") == 1 and out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["blocks.mp4"]


def test_a_folder_with_images_of_several_sizes_keeps_the_first_input(video, tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    for t, size_wh in enumerate(((192, 128), (320, 200), (100, 90), (40, 30))):
        cv2.imwrite(str(images / f"{t}.png"), np.full((size_wh[1], size_wh[0], 3), 40 * t, np.uint8))
    figures = tmp_path / "f.json"
    assert run.main([str(images), "--output", str(tmp_path / "out"), "--network", "blocks", "--json", str(figures),
                     "--model-cache", "none"]) == 0
    assert json.loads(figures.read_text())["input_size"] == "192x128"
