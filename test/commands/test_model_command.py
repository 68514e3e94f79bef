"""The command `model`: what it prints, installs and rejects."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from checkpoint_writer import checkpoint, small_yolo_kp
from python_process import run_python

from regionmask_ros.commands.model import main


@pytest.fixture
def small_file(tmp_path) -> Path:
    """A checkpoint of YOLO-KP with few channels."""
    file = tmp_path / "small.pt"
    file.write_bytes(checkpoint(small_yolo_kp()))
    return file


def test_inspect_reads_the_imported_file(small_file, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.delenv("REGIONMASK_NETWORK", raising=False)
    installed = tmp_path / "data/regionmask_ros/yolo_kp.pt"
    assert main(["import", str(small_file)]) == 0
    assert capsys.readouterr().out == f"YOLO-KP installed: {installed}\n"
    assert main(["inspect"]) == 0
    assert str(installed) in capsys.readouterr().out


def test_import_installs_to_the_given_path(small_file, tmp_path):
    assert main(["import", str(small_file), "--to", str(tmp_path / "there.pt")]) == 0
    assert (tmp_path / "there.pt").read_bytes() == small_file.read_bytes()


def test_inspect_gives_the_same_as_text_and_json(small_file, tmp_path, capsys):
    assert main(["inspect", str(small_file), "--json", str(tmp_path / "facts.json")]) == 0
    text, facts = capsys.readouterr().out, json.loads((tmp_path / "facts.json").read_text())
    assert (facts["name"], facts["file"], facts["total_stride"]) == ("YOLO-KP", str(small_file), 32)
    assert facts["sha256"] in text and facts["digest"] in text
    assert len(facts["labels"]) == 80 and "80, person to toothbrush" in text
    assert facts["layers"][0] == {
        "name": "conv1", "in": [448, 448, 3], "out": [224, 224, 2], "kernel": 3, "stride": 2, "padding": 1,
        "weights": 54, "dense_macs": 224 * 224 * 54, "threshold": 6,
    }
    assert facts["layers"][-1]["threshold"] is None
    assert facts["dense_macs"] == sum(layer["dense_macs"] for layer in facts["layers"])
    table = [line.split() for line in text.splitlines()]
    assert ["conv1", "448x448x3", "224x224x2", "3x3", "2", "54", f"{224 * 224 * 54:,}", "6"] in table
    assert ["all", f"{facts['weights']:,}", f"{facts['dense_macs']:,}"] in table


def test_the_trained_network_is_inspected(trained_file, capsys):
    assert main(["inspect", str(trained_file)]) == 0
    out = capsys.readouterr().out
    assert "7c527ccd386f2c802943ed493d6831b1b0025d8cc6d63ae27c092b067e86f7cd" in out
    assert "3,602,864  1,055,602,688" in out


@pytest.mark.parametrize("arguments, reason", [
    ([], "required: ACTION"),
    (["look"], "invalid choice: 'look'"),
    (["import"], "required: FILE"),
    (["import", "{tmp}/gone.whl"], "gone.whl: no such file or directory"),
    (["import", "{tmp}"], "this is a folder"),
    (["import", "{tmp}/small.pt", "--to", "{tmp}/small.pt/x.pt"], "small.pt/x.pt: cannot be written"),
    (["inspect", "{tmp}/gone.pt"], "gone.pt: no such file or directory"),
    (["inspect", "{tmp}/notes.txt"], "notes.txt: not a torch zip checkpoint (first bytes 68 65 6c 6c)"),
    (["inspect", "{tmp}/small.pt", "--json", "{tmp}/small.pt/facts.json"], "facts.json: cannot be written"),
    (["inspect", "{tmp}/small.pt", "--jso", "x"], "unrecognized arguments"),
])
def test_every_mistake_gives_one_line_and_status_2(small_file, tmp_path, capsys, arguments, reason):
    (tmp_path / "notes.txt").write_text("hello")
    assert main([argument.format(tmp=tmp_path) for argument in arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("regionmask_ros: error: ") and reason in printed.err
    assert len(printed.err.splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.txt", "small.pt"]


def test_inspect_imports_neither_ros_nor_torch_nor_lava(small_file):
    watch = (
        "import sys; from regionmask_ros.commands.model import main; status = main(sys.argv[1:]); "
        "sys.exit(status or any(name in sys.modules for name in ('torch', 'lava', 'rclpy')))"
    )
    done = run_python("-c", watch, "inspect", str(small_file))
    assert (done.returncode, done.stderr) == (0, "")
