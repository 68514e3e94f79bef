"""The command `model` with dense networks: import, list, inspect, remove."""

from __future__ import annotations

import json
import sys

import pytest

onnx = pytest.importorskip("onnx", reason="onnx is missing: `make runtimes` brings it")
pytest.importorskip("onnxruntime", reason="onnxruntime is missing: `make runtimes` brings it")

from detector_graphs import classifier_model, detector_model  # noqa: E402

from regionmask_ros.commands.model import main  # noqa: E402


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with small.onnx and names.txt, which is also the user's data folder; no network is installed."""
    (tmp_path / "small.onnx").write_bytes(detector_model().SerializeToString())
    (tmp_path / "names.txt").write_text("person\ncar\ncat\n")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.delenv("REGIONMASK_NETWORK", raising=False)
    monkeypatch.setattr("regionmask_ros.network.cards._PACKAGED", tmp_path / "packaged")
    return tmp_path


def test_a_network_is_imported_listed_inspected_and_removed(folder, capsys):
    place = folder / "data/regionmask_ros/networks/street"
    assert main(["import", str(folder / "small.onnx"), "--name", "street", "--labels", str(folder / "names.txt")]) == 0
    printed = capsys.readouterr()
    assert printed.out == (
        f"street installed: {place}\nyolox head, 3 classes, input any multiple of 32, bgr,0..255, fp32; "
        "use it with --network street\ntile engine: not calibrated, bikes.mp4 of the set-up is not there: import it "
        "again with --calibrate SOURCE\n")
    assert printed.err == ""

    assert main(["list", "--json", str(folder / "list.json")]) == 0
    header, row = capsys.readouterr().out.splitlines()
    assert header.split() == ["name", "head", "classes", "input", "pixels", "precision", "source"]
    assert row.split() == ["street", "yolox", "3", "any", "multiple", "of", "32", "bgr,0..255", "fp32",
                           str(folder / "small.onnx")]
    assert json.loads((folder / "list.json").read_text())[0]["name"] == "street"

    assert main(["inspect", "street", "--json", str(folder / "facts.json")]) == 0
    text, facts = capsys.readouterr().out, json.loads((folder / "facts.json").read_text())
    assert (facts["name"], facts["head"], facts["labels"]) == ("street", "yolox", ["person", "car", "cat"])
    assert facts["operators"]["Conv"] == 9 and facts["input_size"] == [416, 416] and facts["dense_macs"] > 1e6
    for words in (facts["sha256"], facts["digest"], "3, person to cat", "yolox, strides 8 16 32", "9 Conv",
                  f"{facts['weights']:,}", f"{facts['dense_macs']:,} at an input of 416x416", "tile engine can run it"):
        assert words in text
    assert facts["tile_engine_obstacle"] == ""

    assert main(["remove", "street"]) == 0
    assert capsys.readouterr().out == "street removed\n" and not place.exists()
    assert main(["list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_a_network_that_cannot_detect_is_shown_with_the_reason(folder, capsys):
    file = str(folder / "classes.onnx")
    (folder / "classes.onnx").write_bytes(classifier_model().SerializeToString())
    assert main(["inspect", file, "--json", str(folder / "facts.json")]) == 0
    text, facts = capsys.readouterr().out, json.loads((folder / "facts.json").read_text())
    assert "1 GlobalAveragePool" in text and "1x3x64x64" in text and facts["format"] == "ONNX"
    assert facts["reason"].startswith("no boxes: ") and facts["file"] == file


@pytest.mark.parametrize("arguments, reason", [
    (["import", "{tmp}/small.onnx", "--name", "../x"], "name '../x': 1 to 64 letters"),
    (["import", "{tmp}/small.onnx", "--name", "yolo_kp"], "name 'yolo_kp' has another meaning"),
    (["import", "{tmp}/small.onnx", "--to", "{tmp}/x"], "--to: only for YOLO-KP"),
    (["import", "{tmp}/small.onnx", "--preprocess", "rgb"], "--preprocess 'rgb': give either"),
    (["import", "{tmp}/gone.onnx"], "gone.onnx: no such file"),
    (["import", "{tmp}/names.txt", "--labels", "coco"], "--labels: only for ONNX files, but {tmp}/names.txt is none"),
    (["remove", "../data"], "'../data': no imported network of this name"),
    (["remove"], "required: NAME"),
])
def test_mistakes_are_one_line_and_change_nothing(folder, capsys, arguments, reason):
    assert main([argument.format(tmp=folder) for argument in arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1 and reason.format(tmp=folder) in printed.err
    assert not (folder / "data").exists()


def test_a_damaged_card_is_a_line_of_the_list(folder, capsys):
    card = folder / "data/regionmask_ros/networks/bad/card.json"
    card.parent.mkdir(parents=True)
    card.write_text("[]")
    assert main(["list"]) == 0
    assert "bad/card.json: damaged card; import the network again" in capsys.readouterr().err
