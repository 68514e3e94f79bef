"""`bench` as a user meets it: its rows, and one line for every mistake."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest
from python_process import run_python

from regionmask_ros.backends.runtimes import RUNTIMES
from regionmask_ros.commands import evaluate
from regionmask_ros.commands.bench import main
from regionmask_ros.engine.engine import KERNEL_SET_VARIABLE, available_kernel_sets
from regionmask_ros.lab.bench.baselines import BASELINES
from regionmask_ros.lab.bench.tiles import TILE_SETTINGS
from regionmask_ros.tiles.engine import KERNELS_KEY, choose_kernel_set

FRAMES = 20
KEYS = {
    "sequence", "network", "backend", "setting", "engine", "path", "threads", "input_size", "frames", "median_ms",
    "p10_ms", "p90_ms", "p95_ms", "cold_ms", "median_wall_ms", "synops_per_frame", "events_per_frame", "head_rms",
    "calibration", "ratio_to", "ratio_to_cold",
}


@pytest.fixture(scope="module")
def clip(make_clip) -> str:
    return make_clip(FRAMES, 6)


@pytest.fixture(scope="module")
def result(clip, trained_file, tmp_path_factory) -> dict:
    target = tmp_path_factory.mktemp("result") / "bench.json"
    arguments = ["--sequence", clip, "--engines", "event", "--paths", "portable", "--max-pixels", "9216"]
    arguments += ["--json", str(target)]
    assert main(arguments) == 0
    return json.loads(target.read_text())


def test_rows_have_every_key_and_say_what_was_measured(result, clip):
    rows = result["rows"]
    assert [(row["engine"], row["setting"]) for row in rows] == [
        ("event", "unmasked"), ("event", "masked60"), ("event:portable", "unmasked"), ("event:portable", "masked60"),
    ]
    for row in rows:
        assert set(row) == KEYS
        assert row["sequence"] == clip and row["input_size"] == "96x64" and row["threads"] == 1
        assert 0 < row["p10_ms"] <= row["median_ms"] <= row["p90_ms"] and row["median_wall_ms"] > 0
        assert row["cold_ms"] > 0 and row["ratio_to_cold"] == {}
        assert row["frames"] == FRAMES // 2 and row["ratio_to"] == {} and row["calibration"] is None
    assert [row["path"] for row in rows] == [available_kernel_sets()[0]] * 2 + ["portable"] * 2


def test_kernel_sets_count_the_same_and_a_mask_counts_less(result):
    full, masked, full_portable, masked_portable = result["rows"]
    for name in ("synops_per_frame", "events_per_frame", "head_rms"):
        assert full[name] == full_portable[name] and masked[name] == masked_portable[name]
    assert masked["synops_per_frame"] < full["synops_per_frame"]
    assert full["head_rms"] > 0 and masked["head_rms"] is None


def test_the_machine_is_described(result):
    machine = result["machine"]
    assert {"cpu", "flags", "cores", "os", "python", "numpy", "numba"} <= set(machine)
    assert machine["numpy"] == np.__version__ and machine["cores"] >= 1 and machine["cpu"]


def test_table_keeps_measured_and_counted_apart(clip, trained_file, capsys):
    assert main(["--sequence", clip, "--engines", "event", "--settings", "unmasked", "--frames", "3"]) == 0
    title, groups, heads, row, *cold = capsys.readouterr().out.strip().splitlines()
    assert title == "a clip.mp4, 160x96, 3 frames"
    assert cold[-4] == "a clip.mp4, 160x96: the first frame of every turn" and cold[-1].startswith("event")
    assert groups.index("measured") < groups.index("counted")
    assert heads.split()[:2] == ["engine", "setting"] and row.split()[:2] == ["event", "unmasked"]


def test_baselines_are_measured_in_the_same_run(clip, trained_file, real_video, tmp_path, capfd):
    for package in ("onnx", "onnxruntime", "openvino"):
        pytest.importorskip(package, reason=f"no {package}: `make runtimes` brings it")
    real_video("bikes.mp4")
    target = tmp_path / "bench.json"
    names = ["onnxruntime_fp32", "onnxruntime_int8", "openvino_int8"]
    arguments = ["--sequence", clip, "--settings", "unmasked", "--engines", ",".join(["event", *names])]
    assert main([*arguments, "--frames", "5", "--worst", "--json", str(target)]) == 0
    rows = json.loads(target.read_text())["rows"]
    assert [row["engine"] for row in rows] == ["event", *names]
    event, fp32, *int8 = rows
    assert {row["setting"] for row in rows[1:]} == {"dense"} and set(event["ratio_to"]) == set(names)
    assert event["ratio_to"]["onnxruntime_fp32"] == pytest.approx(fp32["median_ms"] / event["median_ms"], abs=1e-3)
    assert [os.path.basename(row["calibration"]) for row in int8] == ["bikes.mp4"] * 2 and fp32["calibration"] is None
    # Rounding to 8 bits costs something, and little against heads that spread over several units.
    assert fp32["head_rms"] < 0.1 and all(fp32["head_rms"] < row["head_rms"] < 0.6 for row in int8)
    assert event["worst_to_int8"] == pytest.approx(event["worst_ms"] / int8[0]["median_ms"], abs=1e-3)
    assert all(row["worst_ms"] > 0.5 * row["median_ms"] for row in rows)
    assert (event["worst_kind"] == "first") == (event["worst_frame"] == 0)
    assert capfd.readouterr().err == ""


def test_other_networks_are_measured_beside_the_engines(clip, trained_file, tmp_path, capfd):
    for package in ("onnx", *RUNTIMES):
        pytest.importorskip(package, reason=f"no {package}: `make runtimes` brings it")
    from dense_networks import make_block_detector, with_names

    detector, target = tmp_path / "blocks.onnx", tmp_path / "bench.json"
    detector.write_bytes(with_names(make_block_detector(), ("person", "car")))
    arguments = ["--sequence", clip, "--engines", "event", "--settings", "unmasked", "--frames", "3"]
    arguments += ["--backend", "onnxruntime"]
    assert main([*arguments, "--networks", f"yolo_kp,{detector}", "--json", str(target)]) == 0
    result = json.loads(target.read_text())
    assert [(row["network"], row["backend"], row["setting"], row["map50"]) for row in result["networks"]] == [
        ("YOLO-KP", "cpu", "unmasked", None), ("blocks", "onnxruntime", "dense", None)]
    assert len(result["rows"]) == 1 and list(result["digests"]) == ["YOLO-KP", "blocks"]
    assert "a clip.mp4: networks side by side, 3 frames" in capfd.readouterr().out
    for wrong, said in ((["--networks", str(detector), "--layers"], "--layers: needs a sigma-delta network"),
                        (["--networks", f"yolo_kp,{trained_file}"], "two of them are called YOLO-KP")):
        assert main([*arguments, *wrong]) == 2
        assert said in capfd.readouterr().err


def test_layers_of_an_onnx_network_are_counted_without_and_with_the_tracking_mask(
        clip, tmp_path, monkeypatch, capfd):
    for package in ("onnx", *RUNTIMES):
        pytest.importorskip(package, reason=f"no {package}: `make runtimes` brings it")
    from tile_networks import tiled_block_network

    from regionmask_ros.network.cards import store_network

    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    network, target = tiled_block_network(), tmp_path / "bench.json"
    store_network(network)
    arguments = ["--sequence", clip, "--network", network.name, "--engines", "tiles", "--frames", "3", "--layers"]
    assert main([*arguments, "--json", str(target)]) == 0
    result = json.loads(target.read_text())
    rows = result["tile_layers"]
    assert list(dict.fromkeys(row["setting"] for row in rows)) == ["unmasked", "tracking"]
    for setting in ("unmasked", "tracking"):
        (whole,) = [row["mac_share"] for row in result["rows"] if row["setting"] == setting]
        assert sum(row["mac_share"] for row in rows if row["setting"] == setting) == pytest.approx(whole, abs=1e-3)
    assert "layer by layer" in capfd.readouterr().out
    for row in rows:
        assert not any(key.endswith("_ms") for key in row), "the engine measures no time of a node"


def test_engines_of_one_onnx_network_are_measured_in_the_same_run(clip, real_video, tmp_path, monkeypatch, capfd):
    for package in ("onnx", *RUNTIMES):
        pytest.importorskip(package, reason=f"no {package}: `make runtimes` brings it")
    from dense_networks import make_block_detector, with_names

    real_video("bikes.mp4")
    for variable in ("ONEDNN_MAX_CPU_ISA", KERNEL_SET_VARIABLE, KERNELS_KEY):
        monkeypatch.delenv(variable, raising=False)
    detector, target, street = tmp_path / "blocks.onnx", tmp_path / "bench.json", tmp_path / "street"
    detector.write_bytes(with_names(make_block_detector(), ("disc", "car")))
    street.mkdir()
    shutil.copy(clip, street / "video.mp4")
    labels = [f"{frame},disc,{6 * frame},30,40,40,0,1" for frame in range(FRAMES)]
    (street / "gt.csv").write_text("frame,class,x,y,w,h,ignore,track\n" + "\n".join(labels) + "\n")
    arguments = ["--sequence", clip, "--network", str(detector), "--frames", "3", "--json", str(target)]
    assert main([*arguments, "--isa", "avx512_vnni", "--accuracy", str(street)]) == 0
    rows = json.loads(target.read_text())["rows"]
    assert [(row["engine"], row["setting"], row["network"]) for row in rows] == [
        (engine, "dense", "blocks") for engine in ("openvino_int8", "openvino_fp32", "onnxruntime_fp32")]
    for row in rows:
        assert set(row) - KEYS == {"mean_ms", "ratio_to_mean", "mac_share", "agreement", "map50", "map50_on",
                                   "map50_frames", "accuracy_note"}
        assert row["mac_share"] == 1.0 and row["threads"] == 1 and row["input_size"] == "160x96"
        others = {other["engine"]: other["median_ms"] for other in rows if other is not row}
        assert row["ratio_to"] == pytest.approx({name: ms / row["median_ms"] for name, ms in others.items()}, rel=0.1)
    int8, *fp32 = rows
    assert os.path.basename(int8["calibration"]) == "bikes.mp4" and all(row["calibration"] is None for row in fp32)
    assert fp32[0]["agreement"] == fp32[1]["agreement"] == 100.0 and fp32[0]["map50"] == fp32[1]["map50"] > 0
    assert os.environ["ONEDNN_MAX_CPU_ISA"] == "AVX512_CORE_VNNI" and os.environ.get(KERNEL_SET_VARIABLE) != "amx"
    assert choose_kernel_set() != "amx_int8"
    assert "a clip.mp4, 160x96, blocks, 3 frames" in capfd.readouterr().out
    for wrong, said in ((["--engines", "event"], "event does not compute blocks, which is an ONNX network"),
                        (["--backend", "openvino"], "choose what computes blocks with --engines")):
        assert main([*arguments, *wrong]) == 2
        assert said in capfd.readouterr().err


@pytest.fixture
def street(clip, tmp_path):
    """The clip with labels: its square is a disc, and there is one more that nobody can see."""
    folder = tmp_path / "street"
    folder.mkdir()
    shutil.copy(clip, folder / "video.mp4")
    labels = [f"{frame},disc,{6 * frame},30,40,40,0,1\n{frame},disc,100,2,20,20,0,2" for frame in range(FRAMES)]
    (folder / "gt.csv").write_text("frame,class,x,y,w,h,ignore,track\n" + "\n".join(labels) + "\n")
    return folder


def test_the_measured_frames_of_a_labeled_sequence_are_scored_as_evaluate_does(
        clip, street, tmp_path, monkeypatch, capfd):
    for package in ("onnx", *RUNTIMES):
        pytest.importorskip(package, reason=f"no {package}: `make runtimes` brings it")
    from dense_networks import make_block_detector, with_names
    from tile_networks import tiled_block_network

    from regionmask_ros.network.cards import store_network

    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    detector, target = tmp_path / "blocks.onnx", tmp_path / "bench.json"
    detector.write_bytes(with_names(make_block_detector(), ("disc", "car")))
    network = replace(tiled_block_network(), labels=("disc", "car"))
    store_network(network)
    # Half of the sequence warms up, and the other half is what is measured and scored.
    arguments = ["--sequence", f"csv:{street}", "--sequence", clip, "--network", network.name, "--frames", "10"]
    arguments += ["--engines", "tiles,openvino_fp32,onnxruntime_fp32"]
    assert main([*arguments, "--json", str(target)]) == 0
    rows = json.loads(target.read_text())["rows"]
    assert "counted on street, 10 frames, %" in capfd.readouterr().out
    labelled, plain = rows[:5], rows[5:]
    assert [(row["engine"], row["setting"]) for row in labelled] == [
        *(("tiles", setting) for setting in TILE_SETTINGS), ("openvino_fp32", "dense"), ("onnxruntime_fp32", "dense")]
    for row in labelled:
        assert row["sequence"] == row["map50_on"] == f"csv:{street}" and row["map50_frames"] == row["frames"] == 10
        assert 30.0 < row["map50"] < 70.0, "it finds every second object"
    assert len(plain) == 5 and all("map50" not in row and row["sequence"] == clip for row in plain)

    evaluate.main(["--dataset", f"csv:{street}", "--network", str(detector), "--settings", "unmasked", "--json",
                   str(target), "--backend", "onnxruntime", "--calibration-share", "0.5"])
    (row,) = json.loads(target.read_text())["rows"]
    assert row["frames"] == 10 and row["map50"] == labelled[-1]["map50"] == labelled[-2]["map50"]


def test_sequences_of_one_data_set_keep_their_names(street, trained_file, tmp_path, capfd):
    for name in ("0003", "0017"):
        frames, labels = tmp_path / "image_02" / name, tmp_path / "label_02"
        frames.mkdir(parents=True)
        labels.mkdir(exist_ok=True)
        for number in range(3):
            cv2.imwrite(str(frames / f"{number:06d}.png"), np.full((64, 96, 3), 60 * number, np.uint8))
        lines = [f"{frame} 1 Car 0 0 0 1 1 30 30 0 0 0 0 0 0 0\n" for frame in (0, 2)]
        (labels / f"{name}.txt").write_text("".join(lines))
    target = tmp_path / "bench.json"
    arguments = ["--sequence", f"kitti:{tmp_path}", "--engines", "event", "--settings", "unmasked", "--json"]
    assert main([*arguments, str(target)]) == 0
    rows = json.loads(target.read_text())["rows"]
    assert [row["sequence"] for row in rows] == [f"kitti:{tmp_path}/0003", f"kitti:{tmp_path}/0017"]
    assert all(row["map50"] is not None and row["accuracy_note"] == "fp32 not run" for row in rows)
    assert "0017, 96x64, 2 frames" in capfd.readouterr().out
    for labels in (tmp_path / "label_02" / "0003.txt", street / "gt.csv"):
        spec = f"kitti:{tmp_path}" if labels.suffix == ".txt" else f"csv:{street}"
        assert main(["--sequence", spec, "--engines", "event", "--json", str(labels)]) == 2
        assert labels.name in capfd.readouterr().err, "inputs are not overwritten"


def test_a_real_sequence_is_scored(labelled_clip, public_network, tmp_path, capfd):
    for package in ("onnx", *RUNTIMES):
        pytest.importorskip(package, reason=f"no {package}: `make runtimes` brings it")
    folder, target = os.path.dirname(labelled_clip("tud-campus")), tmp_path / "bench.json"
    arguments = ["--sequence", f"csv:{folder}", "--network", public_network("yolox_nano.onnx"), "--frames", "6"]
    arguments += ["--max-pixels", "184320", "--engines", "openvino_fp32,onnxruntime_fp32", "--json", str(target)]
    assert main(arguments) == 0
    rows = json.loads(target.read_text())["rows"]
    assert [row["map50"] > 85.0 for row in rows] == [True, True] and rows[0]["map50_frames"] == 6
    assert rows[0]["map50"] == pytest.approx(rows[1]["map50"], abs=0.5)


@pytest.mark.parametrize("arguments, words", [
    (["--accuracy", "elsewhere"], ("--accuracy elsewhere", "labels of its own")),
    (["--ros"], ("--ros", "csv:", "video")),
    (["--network", "yolo_kp"], ("class 'disc'", "does not know it")),
    (["--sequence", "csv:/no/such/folder"], ("/no/such/folder/gt.csv",)),
    (["--sequence", "coco:"], ("coco:", "KIND:PATH")),
])
def test_a_labeled_sequence_that_cannot_be_scored_gives_one_line(arguments, words, street, trained_file, capsys):
    assert main(["--sequence", f"csv:{street}", "--engines", "event", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("regionmask_ros: error: ")
    assert captured.err.count("\n") == 1 and all(word in captured.err for word in words)


def test_a_baseline_that_is_not_installed_is_left_out_with_one_line(clip, trained_file, tmp_path):
    """In a Python that cannot find the packages of the baselines, whether they are installed or not."""
    hide = (
        "import sys\n"
        "for name in ('torch', 'onnx', 'onnxruntime', 'openvino'): sys.modules[name] = None\n"
        "from regionmask_ros.commands.bench import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    engines = "event,onnxruntime_fp32,torch_fp32"
    arguments = ["-c", hide, "--sequence", clip, "--sequence", os.path.dirname(clip) + "/./a clip.mp4"]
    done = run_python(*arguments, "--engines", engines, "--frames", "2")
    assert done.returncode == 0 and "onnxruntime_fp32" not in done.stdout
    lines = done.stderr.splitlines()
    assert len(lines) == 2 and "make runtimes" in lines[0] and "install torch" in lines[1]
    done = run_python(*arguments, "--engines", "torch_fp32")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("regionmask_ros: error: none of the engines")


@pytest.mark.parametrize("arguments, words", [
    (["--settings", "masked70"], ("--settings", "masked70", "masked60")),
    (["--engines", "event,"], ("--engines", "openvino_int8")),
    (["--paths", "sse2"], ("--paths", "sse2", "portable")),
    (["--paths", "portable", "--engines", BASELINES[0]], ("--paths", "event")),
    (["--engines", "openvino_fp32"], ("--engines", "openvino_fp32", "sigma-delta", "event")),
    (["--isa", "sse2"], ("--isa", "avx512_vnni")),
    (["--threads", "0"], ("--threads 0",)),
    (["--frames", "-3"], ("--frames -3",)),
    (["--frames", "many"], ("--frames",)),
    (["--input-size", "100x100"], ("100x100", "32")),
    (["--sequence", "/no/such.mp4"], ("/no/such.mp4", "no such file")),
    (["--streams", "-1"], ("--streams -1",)),
    (["--streams", "2", "--engines", BASELINES[0]], ("--streams", "event")),
    (["--layers", "--engines", BASELINES[0]], ("--layers", "event")),
    (["--input-size", "auto,"], ("input size ''",)),
    (["--accuracy", "/no/such/folder"], ("/no/such/folder/gt.csv",)),
])
def test_each_mistake_gives_one_line(arguments, words, capsys, trained_file):
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("regionmask_ros: error: ")
    assert captured.err.count("\n") == 1 and all(word in captured.err for word in words)


def test_one_frame_is_not_enough(tmp_path, capsys, trained_file):
    cv2.imwrite(str(tmp_path / "one.png"), np.zeros((64, 64, 3), np.uint8))
    assert main(["--sequence", str(tmp_path), "--engines", "event"]) == 2
    assert "at least 2 frames" in capsys.readouterr().err


def test_interrupt_leaves_no_file(clip, trained_file, real_video, tmp_path):
    """After the first of two sequences."""
    command = [sys.executable, "-m", "regionmask_ros", "bench", "--sequence", clip, "--sequence"]
    command += [real_video("bikes.mp4"), "--engines", "event", "--paths", "portable"]
    command += ["--json", str(tmp_path / "bench.json")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline().startswith("a clip.mp4")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
    assert process.returncode == 130 and err.splitlines()[-1] == "regionmask_ros: interrupted"
    assert "Traceback" not in err and list(tmp_path.iterdir()) == []
