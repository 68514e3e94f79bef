"""`evaluate` as a user meets it: rows, figures, page, and one line for every mistake."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bag_writer import START_NS, STEP_NS, detections, image, write_bag

from regionmask_ros.backends.runtimes import RUNTIMES
from regionmask_ros.commands.evaluate import main
from regionmask_ros.sources import open_source

KEYS = {"sequence", "setting", "map50", "map50_ci90", "ap50", "masked_share", "encoder_events_per_frame",
        "synops_per_frame", "synops_gain", "edp_gain_modelled", "cpu_ms_median", "cpu_ms_mean", "cpu_ms_p95",
        "cpu_gain", "cpu_p95_ratio", "new_object_delay_frames", "frames", "input_size", "network", "backend"}


@pytest.fixture(scope="module")
def street(make_clip, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "street"
    folder.mkdir()
    (folder / "video.mp4").write_bytes(Path(make_clip(16, 8)).read_bytes())
    lines = [f"{t},person,{8 * t},30,40,40,0,1\n{t},any,0,0,160,20,1,-1" for t in range(16)]
    (folder / "gt.csv").write_text("frame,class,x,y,w,h,ignore,track\n" + "\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module", params=["mcap", "sqlite3"])
def street_bag(request, street, tmp_path_factory):
    """The same street and the same labels, as a bag."""
    with open_source(str(street / "video.mp4")) as source:
        images = [frame.bgr() for frame in source.frames()]
    stamps = [START_NS + t * STEP_NS for t in range(len(images))]
    truth = [
        detections(stamp, ("1", "person", 1.0, 8 * t, 30, 40, 40), ("", "any", 1.0, 0, 0, 160, 20))
        for t, stamp in enumerate(stamps)
    ]
    return write_bag(tmp_path_factory.mktemp("bags") / "street", {
        "/cam/image_raw": [image(p, s) for p, s in zip(images, stamps)], "/truth": truth, "/detections": truth[:2],
    }, request.param)


NAMES = ["unmasked", "tracking", "skip2", "oracle@0.5", "static-labels"]


def test_rows_figures_and_page_are_written(trained, street, tmp_path, capfd):
    out, figures = tmp_path / "out", tmp_path / "rows.json"
    assert main(["--dataset", f"csv:{street}", "--settings", ", ".join(NAMES),
                 "--json", str(figures), "--output", str(out)]) == 0
    said = capfd.readouterr()
    assert "regionmask_ros:" not in said.err and "modeled EDP gain" in said.out
    assert "street, YOLO-KP on cpu, 160x96, 11 frames from frame 5 on" in said.out
    result = json.loads(figures.read_text())
    assert [row["setting"] for row in result["rows"]] == NAMES
    for row in result["rows"]:
        assert KEYS <= set(row) and row["sequence"] == "street" and row["frames"] == 11
        assert 0 <= row["map50"] <= 100 and list(row["ap50"]) == ["person"] and len(row["map50_ci90"]) == 2
        assert set(row["edp_gain_modelled"]) == {"rows_low", "rows_high", "even"}
        assert set(row["new_object_delay_frames"]) == {"median", "p95", "tracks"}
        assert row["backend"] == "cpu" and 0 < row["cpu_ms_median"] <= row["cpu_ms_p95"]
    by_name = {row["setting"]: row for row in result["rows"]}
    assert by_name["unmasked"]["edp_gain_modelled"]["even"] == pytest.approx(1.0)
    gains = by_name["skip2"]["edp_gain_modelled"]
    assert 1.0 < gains["rows_low"] <= gains["rows_high"] and by_name["skip2"]["masked_share"] == 0.5
    assert result["summary"][0]["map50_drop_mean"] == 0.0 and result["machine"]["cores"] >= 1
    page = (out / "report.html").read_text()
    assert page.count("<svg") == 3 and "static-labels" in page and "--settings" in page
    assert 'src="http' not in page and 'href="http' not in page, "the page must need nothing from elsewhere"
    for name in ("map_vs_edp.png", "map_vs_cpu.png", "map_vs_ms.png"):
        assert (out / name).read_bytes().startswith(b"\x89PNG")


def test_a_bag_is_scored_as_the_same_files_are(trained, street, street_bag, tmp_path):
    rows = []
    for words in (["--dataset", f"csv:{street}"],
                  ["--dataset", f"bag:{street_bag}", "--topic", "/cam/image_raw", "--truth-topic", "truth"]):
        figures = tmp_path / "rows.json"
        assert main([*words, "--settings", "tracking,static-labels", "--json", str(figures)]) == 0
        rows.append(json.loads(figures.read_text())["rows"])
    of_files, of_bag = ([{k: v for k, v in row.items() if not {"cpu", "ms"} & set(k.split("_"))} for row in one]
                        for one in rows)
    assert of_bag == of_files and of_bag[1]["map50"] > 0


def test_networks_are_compared_in_one_run(trained, street, tmp_path, capfd):
    for package in ("onnx", *RUNTIMES):
        pytest.importorskip(package, reason=f"no {package}: `make runtimes` brings it")
    from dense_networks import make_block_detector, with_names

    detector, figures = tmp_path / "blocks.onnx", tmp_path / "rows.json"
    detector.write_bytes(with_names(make_block_detector(), ("person", "car")))
    assert main(["--dataset", f"csv:{street}", "--networks", f"yolo_kp,{detector}", "--backend", "onnxruntime",
                 "--arithmetic", "carry", "--settings", "unmasked,unmasked-tuned,skip2", "--json", str(figures)]) == 0
    said = capfd.readouterr()
    assert "regionmask_ros: blocks has no thresholds: unmasked-tuned left out" in said.err.splitlines()
    assert "Networks on 1 sequence: means" in said.out
    result = json.loads(figures.read_text())
    assert [(row["network"], row["backend"], row["setting"]) for row in result["summary"]] == [
        ("YOLO-KP", "cpu", "unmasked"), ("YOLO-KP", "cpu", "unmasked-tuned"), ("YOLO-KP", "cpu", "skip2"),
        ("blocks", "onnxruntime", "unmasked"), ("blocks", "onnxruntime", "skip2")]
    assert list(result["digests"]) == ["YOLO-KP", "blocks"] and len(result["rows"]) == 5
    unmasked, skipping = result["rows"][3:]
    assert unmasked["map50"] > 50 and skipping["map50"] > 50 and skipping["synops_gain"] is None
    assert main(["--dataset", f"csv:{street}", "--network", str(detector), "--settings", "skip2:trained"]) == 2
    assert "blocks has no thresholds" in capfd.readouterr().err


def test_a_slower_camera_gives_every_nth_frame(trained, street, tmp_path):
    figures = tmp_path / "rows.json"
    assert main(["--dataset", f"csv:{street}", "--settings", "unmasked", "--every", "3", "--json", str(figures)]) == 0
    result = json.loads(figures.read_text())
    assert result["every"] == 3 and [row["frames"] for row in result["rows"]] == [4], "of frames 0, 3, ..., 15"


@pytest.mark.parametrize("wrong, said", [
    (["--truth-topic", "/truth"], "no --dataset is bag:PATH"),
    (["--dataset", "bag:/nowhere"], "/nowhere: no such file"),
    (["--settings", "magic"], "setting 'magic': unknown"),
    (["--settings", "mgnet", "--mgnet-weights", "/nowhere.npz"], "/nowhere.npz: no such file"),
    (["--settings", "unmasked", "--mgnet-weights", "a.npz"], "no setting with mgnet is evaluated"),
    (["--settings", "unmasked", "--threads", "2"], "--threads 2: for the backend openvino and onnxruntime"),
    (["--settings", "static", "--calibration-share", "0"], "static must learn first"),
    (["--calibration-share", "1.5"], "--calibration-share 1.5"),
    (["--every", "0"], "--every 0: must be between 1 and 1000"),
    (["--every", "9"], "2 frames are too few to learn on 1"),
    (["--shift-view", "1.5"], "--shift-view 1.5"),
    (["--shift-view", "0.3"], "after the view has moved are too few"),
    (["--dataset", "csv:/nowhere"], "no such file"),
    (["--arithmetic", "float"], "--arithmetic 'float'"),
    (["--network", "missing.pt"], "missing.pt"),
    (["--backend", "abacus"], "--backend 'abacus'"),
    (["--networks", "yolo_kp,missing.pt"], "missing.pt"),
    (["--networks", ","], "names no network"),
])
def test_one_line_for_every_mistake(trained, street, tmp_path, capfd, wrong, said):
    out = tmp_path / "out"
    assert main(["--dataset", f"csv:{street}", "--output", str(out), *wrong]) == 2
    err = capfd.readouterr().err.splitlines()
    complaints = [line for line in err if line.startswith("regionmask_ros: error: ")]
    assert len(complaints) == 1 and said in complaints[0] and "Traceback" not in "".join(err)
    assert not out.exists()
