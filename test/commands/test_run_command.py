"""`run` as a user meets it: the files it leaves, and one line for every mistake."""

from __future__ import annotations

import contextlib
import csv
import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path

import cv2
import numpy as np
import pytest

from regionmask_ros.__main__ import main as dispatch
from regionmask_ros.commands.run import main
from regionmask_ros.mask.schedule import PRESETS
from regionmask_ros.mask.static import save_static_mask

FRAMES, SIZE_WH = 12, (160, 96)


def test_a_run_leaves_all_its_files(trained, clip, half, tmp_path, capfd):
    out, head, figures = tmp_path / "deep" / "out", tmp_path / "head.npz", tmp_path / "figures.json"
    assert main([clip, "-q", "--output", str(out), "--mask", "static", "--static-mask", half, "--refresh-period", "4",
                 "--score-threshold", "0.05", "--dump-head", str(head), "--json", str(figures)]) == 0
    assert capfd.readouterr() == ("", "")
    assert sorted(p.name for p in out.iterdir()) == ["annotated.mp4", "detections.csv", "report.html"]

    with np.load(head) as dump:
        assert dump["head"].shape == (FRAMES, 3, 5, 255) and dump["head"].dtype == np.int32
        masked = dump["masked"]
    assert masked.shape == (FRAMES, 6, 10) and masked.dtype == bool
    for t in range(FRAMES):
        assert masked[t].any() == (t % 4 != 0)
        assert t % 4 == 0 or (masked[t] == [[False] * 5 + [True] * 5]).all()

    summary = json.loads(figures.read_text())
    assert summary["frames"] == FRAMES and summary["input_size"] == "160x96"
    assert summary["masked_share"] == pytest.approx(masked[1:].mean())
    assert summary["backend"] == "cpu" and summary["arithmetic"] == "carry" and summary["network"]
    assert os.path.exists(summary["network_file"]) and summary["version"]
    for stage in ("total", "mask", "encode", "engine", "decode"):
        assert 0 <= summary["ms"][stage]["median"] <= summary["ms"][stage]["p90"]
    assert summary["events_per_frame"] > 0 and summary["synops_per_frame"] > summary["events_per_frame"]

    rows = list(csv.DictReader((out / "detections.csv").open()))
    assert list(rows[0]) == ["frame", "stamp_ns", "class", "score", "x", "y", "w", "h", "track"]
    assert len(rows) == summary["detections"] > 0
    for row in rows:
        assert int(row["stamp_ns"]) == int(row["frame"]) * 50_000_000
        assert 0 <= float(row["x"]) and float(row["x"]) + float(row["w"]) <= SIZE_WH[0] + 0.02
        assert row["class"] in trained.labels and float(row["score"]) >= 0.05

    capture = cv2.VideoCapture(str(out / "annotated.mp4"))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == FRAMES
    page = (out / "report.html").read_text()
    assert "<svg" in page and "data:video/mp4" in page and "--refresh-period 4" in page
    assert 'src="http' not in page and 'href="http' not in page, "the page must need nothing from elsewhere"


@pytest.fixture
def images(tmp_path) -> Path:
    """A folder of three images."""
    folder = tmp_path / "images"
    folder.mkdir()
    for t in range(3):
        cv2.imwrite(str(folder / f"{t}.png"), np.full((64, 64, 3), 60 * t, np.uint8))
    return folder


def test_a_folder_of_images_is_a_source(trained, images, tmp_path):
    assert main([str(images), "--output", str(tmp_path / "out"), "--no-video", "--json", str(tmp_path / "j")]) == 0
    assert json.loads((tmp_path / "j").read_text())["frames"] == 3
    assert not (tmp_path / "out" / "annotated.mp4").exists()


def test_outputs_may_lie_in_the_new_output_folder_and_frames_be_asked_for_without_end(trained, clip, tmp_path):
    out = tmp_path / "out"
    assert main([clip, "--output", str(out), "--json", str(out / "run.json"), "--dump-head", str(out / "head.npz"),
                 "--no-video", "--max-frames", "9" * 30]) == 0
    assert json.loads((out / "run.json").read_text())["frames"] == FRAMES
    assert np.load(out / "head.npz")["head"].shape[0] == FRAMES


def test_names_that_are_not_utf8_are_refused(trained, clip, tmp_path, capfd):
    bad = os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff.mp4")
    os.link(clip, bad)
    assert "not valid UTF-8" in complaint(capfd, ["run", bad, "--output", str(tmp_path / "out")])
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/out\xff")
    assert "not valid UTF-8" in complaint(capfd, ["run", clip, "--output", folder])
    assert not os.path.exists(folder)


def test_images_of_the_source_are_never_replaced(trained, images, tmp_path, capfd):
    before = (images / "1.png").read_bytes()
    argv = ["run", str(images), "--output", str(tmp_path / "out"), "--json", str(images / "1.png")]
    assert "would replace the input" in complaint(capfd, argv)
    assert (images / "1.png").read_bytes() == before


def test_max_frames_and_arithmetic_apply(trained, clip, tmp_path):
    heads = {}
    for rule in ("lava", "carry"):
        file = tmp_path / f"{rule}.npz"
        assert main([clip, "--output", str(tmp_path / "out"), "--no-video", "--mask", "none", "--arithmetic", rule,
                     "--max-frames", "5", "--input-size", "96x64", "--dump-head", str(file)]) == 0
        heads[rule] = np.load(file)["head"]
        assert heads[rule].shape == (5, 2, 3, 255)
    assert (heads["lava"] != heads["carry"]).any()


def test_a_preset_decides_what_is_sent(trained, clip, tmp_path):
    figures = tmp_path / "figures.json"
    assert main([clip, "--output", str(tmp_path / "out"), "--preset", "fast", "--json", str(figures)]) == 0
    summary = json.loads(figures.read_text())
    assert summary["mask"] == "fast" and summary["refresh_period"] == PRESETS["fast"].refresh_period
    assert summary["masked_share"] > 0.3


def test_a_mask_that_learns_and_a_target_that_is_held(trained, clip, half, tmp_path):
    figures = tmp_path / "figures.json"

    def masked(*options: str) -> float:
        assert main([clip, "--output", str(tmp_path / "out"), "--no-video", "--json", str(figures), *options]) == 0
        return json.loads(figures.read_text())["masked_share"]

    # 11 frames count, one of them a refresh frame.
    assert masked("--mask", "adaptive", "--static-mask", half, "--score-threshold", "1") == pytest.approx(0.5 * 10 / 11)
    assert masked("--mask", "static", "--static-mask", half, "--target-masked", "0.7") == pytest.approx(
        0.7 * 8 / 7 * 10 / 11)
    assert masked("--preset", "fast", "--preset-refresh-period", "1") == 0.0


def test_the_loihi_2_table_is_modelled_from_what_was_counted(trained, clip, tmp_path, capfd):
    table, figures, given = tmp_path / "table.json", tmp_path / "j", ["--output", str(tmp_path / "out"), "--no-video"]
    assert main([clip, *given, "--loihi2-table", str(table), "--json", str(figures)]) == 0
    modelled, summary = json.loads(table.read_text()), json.loads(figures.read_text())
    assert modelled["kind"] == "modelled" and modelled["steps"] == FRAMES - 1
    assert sum(core["synops"] for core in modelled["cores"]) == pytest.approx(summary["synops_per_frame"])
    assert str(table) in capfd.readouterr().out
    told = complaint(capfd, ["run", clip, *given, "--loihi2-table", str(table), "--backend", "loihi2"])
    assert "--loihi2-profile true" in told


def complaint(capfd, argv: list[str]) -> str:
    """The one line on stderr of a call that must fail with status 2."""
    assert dispatch_with(argv) == 2
    out, err = capfd.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith("regionmask_ros: error: "), err
    return err


def dispatch_with(argv: list[str]) -> int:
    before, sys.argv = sys.argv, ["regionmask_ros", *argv]
    try:
        return dispatch()
    finally:
        sys.argv = before


@pytest.mark.parametrize("wrong, said", [
    (["--mask", "both"], "--mask-mode 'both': unknown; use one of preset, preset+static, none"),
    (["--mask", "static"], "mask static: needs a static mask file"),
    (["--mask", "preset+static"], "mask balanced+static: needs a static mask file"),
    (["--mask", "dynamic", "--static-mask", "HALF"], "not used with --mask dynamic"),
    (["--mask", "dynamic", "--dynamic", "magic"], "unknown; use one of tracking, mgnet"),
    (["--mask", "dynamic", "--dynamic", "mgnet", "--mgnet-weights", "/nowhere.npz"], "/nowhere.npz: no such file"),
    (["--preset", "fast", "--mask", "dynamic"], "--preset fast: not used with --mask dynamic"),
    (["--refresh-period", "-1"], "--refresh-period -1: must be 0 to 2147483647"),
    (["--mask", "dynamic", "--target-masked", "0.9"], "out of reach"),
    (["--mask", "adaptive", "--adaptive-half-life", "0"], "--adaptive-half-life 0.0: must be 0.1 to 1000000"),
    (["--mask", "none", "--preset-border-period", "2"], "--preset-border-period 2: not used with --mask none"),
    (["--input-size", "448x450"], "multiples of 32"),
    (["--score-threshold", "2"], "--score-threshold 2.0"),
    (["--max-frames", "0"], "--max-frames 0"),
    (["--loop"], "set --max-frames"),
    (["--topic", "/cam"], "has no topics"),
    (["--compressed"], "has no topics"),
    (["--classes", "unicorn"], "unicorn"),
    (["--class-thresholds", "person"], "write class:score"),
    (["--backend-option", "conv=gemm"], "of a certain backend only; set the option backend"),
    (["--backend-option", "conv=gemm", "--backend", "cpu"], "the cpu backend does not have it"),
    (["--backend-option", "conv"], "NAME=VALUE"),
    (["--input-size", "65536x65536"], "more than"),
    (["--backend", "abacus"], "--backend 'abacus'"),
    (["--network", "missing.pt"], "missing.pt"),
    (["--network", "HALF"], "half.png"),
    (["--static-mask", "missing.png"], "missing.png: no such file"),
    (["--static-mask", "CLIP"], "this is an MP4 or QuickTime video, not a mask"),
    (["--json", "/proc/nowhere.json"], "/proc/nowhere.json"),
    (["--dump-head", "missing/folder/head.npz"], "missing/folder/head.npz"),
    (["--frames", "3"], "unrecognized arguments: --frames 3"),
    (["--output"], "expected one argument"),
])
def test_wrong_options_give_one_line_and_leave_nothing(trained, clip, half, tmp_path, capfd, wrong, said):
    out = tmp_path / "out"
    words = {"HALF": half, "CLIP": clip}
    line = complaint(capfd, ["run", clip, "--output", str(out), *[words.get(w, w) for w in wrong]])
    assert said in line and not out.exists()


def test_a_mask_of_another_grid_is_refused(trained, clip, tmp_path, capfd):
    save_static_mask(str(tmp_path / "m.npz"), np.ones((6, 11), bool), 16)
    line = complaint(capfd, ["run", clip, "--output", str(tmp_path / "out"), "--static-mask", str(tmp_path / "m.npz")])
    assert "made for 6x11 regions" in line and not (tmp_path / "out").exists()


@pytest.mark.parametrize("content, said", [
    (lambda whole: None, "no such file"),
    (lambda whole: b"", "empty"),
    (lambda whole: b"plain words, not a video\n" * 40, "not a video"),
    (lambda whole: whole[:len(whole) // 2], "truncated"),
])
def test_a_video_that_cannot_be_read_gives_one_line(trained, clip, tmp_path, capfd, content, said):
    data = content(Path(clip).read_bytes())
    if data is not None:
        (tmp_path / "bad.mp4").write_bytes(data)
    line = complaint(capfd, ["run", str(tmp_path / "bad.mp4"), "--output", str(tmp_path / "out")])
    assert "bad.mp4" in line and said in line and not (tmp_path / "out").exists()


def test_an_output_that_cannot_be_written_gives_one_line(trained, clip, tmp_path, capfd):
    (tmp_path / "file").write_text("in the way")
    assert "not a folder" in complaint(capfd, ["run", clip, "--output", str(tmp_path / "file")])
    assert (tmp_path / "file").read_text() == "in the way"
    assert "cannot make this folder" in complaint(capfd, ["run", clip, "--output", "/proc/nowhere/out"])


@pytest.mark.parametrize("argv, said", [
    ([], "no command given"),
    (["rum"], "unknown command 'rum'"),
    (["run"], "the following arguments are required"),
    (["run", "x.mp4"], "x.mp4: no such file"),
])
def test_a_wrong_command_gives_one_line(argv, said, capfd):
    assert said in complaint(capfd, argv)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_run_leaves_nothing(trained, tmp_path, number):
    images, out = tmp_path / "noise", tmp_path / "out"
    images.mkdir()
    # One large image under many names: minutes of work, whatever the processor.
    noise = np.random.default_rng(0).integers(0, 255, (1200, 1600, 3)).astype(np.uint8)
    cv2.imwrite(str(images / "0.png"), noise)
    for t in range(1, 3000):
        os.link(images / "0.png", images / f"{t}.png")
    reader, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))  # a progress bar needs room
    with subprocess.Popen([sys.executable, "-m", "regionmask_ros", "run", str(images), "--output", str(out)],
                          stderr=terminal) as process, open(reader, "rb", buffering=0) as printed:
        os.close(terminal)
        text = b""
        while b"frame/s" not in text:  # the progress bar: outputs are open, frames are processed
            text += printed.read(1000)
        assert any(out.iterdir())
        process.send_signal(number)
        with contextlib.suppress(OSError):  # how a terminal ends
            while part := printed.read(1000):
                text += part
    assert process.returncode == 128 + number and text.endswith(b"regionmask_ros: interrupted\r\n")
    assert not out.exists()
