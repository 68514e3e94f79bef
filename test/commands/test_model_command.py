"""The command `model`: what it prints, installs and rejects."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from checkpoint_writer import checkpoint, index, index_of, number, small_yolo_kp, tensors_of, text
from net_writer import write_net
from python_process import run_python

from regionmask_ros.commands.model import main
from regionmask_ros.network.files import load_network


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
    out, facts = capsys.readouterr().out, json.loads((tmp_path / "facts.json").read_text())
    assert (facts["name"], facts["file"], facts["total_stride"]) == ("YOLO-KP", str(small_file), 32)
    assert facts["sha256"] in out and facts["digest"] in out
    assert len(facts["labels"]) == 80 and "80, person to toothbrush" in out
    assert facts["layers"][0] == {
        "name": "conv1", "in": [448, 448, 3], "out": [224, 224, 2], "kernel": 3, "stride": 2, "padding": 1,
        "weights": 54, "dense_macs": 224 * 224 * 54, "threshold": 6, "groups": 1, "kind": "convolution",
    }
    assert facts["layers"][-1]["threshold"] is None
    assert facts["dense_macs"] == sum(layer["dense_macs"] for layer in facts["layers"])
    table = [line.split() for line in out.splitlines()]
    assert ["conv1", "448x448x3", "224x224x2", "3x3", "2", "1", "54", f"{224 * 224 * 54:,}", "6"] in table
    assert ["all", f"{facts['weights']:,}", f"{facts['dense_macs']:,}"] in table


def test_the_trained_network_is_inspected(trained_file, capsys):
    assert main(["inspect", str(trained_file)]) == 0
    out = capsys.readouterr().out
    assert "7c527ccd386f2c802943ed493d6831b1b0025d8cc6d63ae27c092b067e86f7cd" in out
    assert "3,602,864  1,055,602,688" in out


def saved_state(prefix: str = "module.") -> bytes:
    """The state dict of ``small_yolo_kp`` in an index, with the names of a parallel training."""
    return index({f"{prefix}{name}": value for name, value in tensors_of(small_yolo_kp()).items()})[2:-1]


OPTIMIZER = b"}(" + text("state") + b"}" + number(0) + b"](NG" + bytes(8) + b"\x88es" + text("lr") + b"Nu"
ARGS = b"cargparse\nNamespace\n)\x81}" + text("lr") + b"Nsb"


@pytest.mark.parametrize(("entries", "words"), [
    ({"model_state_dict": saved_state(), "optimizer_state_dict": OPTIMIZER, "epoch": number(7)},
     "from its entry model_state_dict, without the prefix 'module.' of all names, beside optimizer_state_dict, epoch"),
    ({"state_dict": saved_state("module._orig_mod."), "args": ARGS},
     "from its entry state_dict, without the prefix 'module._orig_mod.' of all names, beside args"),
    ({"model": saved_state(), "ema": b"}" + text("module") + saved_state("") + b"s"},
     "from its entry ema > module, beside model"),
])
def test_what_a_training_has_saved_is_unwrapped_and_said(tmp_path, capsys, entries, words):
    file, target = tmp_path / "last.pt", tmp_path / "there.pt"
    file.write_bytes(checkpoint(small_yolo_kp(), index(entries)))
    assert main(["import", str(file), "--to", str(target)]) == 0
    assert capsys.readouterr().err == f"regionmask_ros: weights {words}\n"
    plain = tmp_path / "plain.pt"
    plain.write_bytes(checkpoint(small_yolo_kp()))
    assert load_network(target).digest == load_network(plain).digest
    assert main(["inspect", str(target)]) == 0
    assert f"weights     {words}" in capsys.readouterr().out


def test_a_checkpoint_of_another_network_is_shown_and_not_imported(tmp_path, capsys):
    tensors = {"layer1.weight": np.zeros((4, 3), np.float32), "layer1.bias": np.zeros(4, np.float32)}
    file, target = tmp_path / "other.pt", tmp_path / "there.pt"
    file.write_bytes(checkpoint(tensors, index({"state_dict": index_of(tensors)[2:-1], "epoch": number(3)})))
    target.write_bytes(b"as it was")
    assert main(["inspect", str(file), "--json", str(tmp_path / "facts.json")]) == 0
    out = capsys.readouterr().out
    assert "16 in 2 tensors, from its entry state_dict, beside epoch" in out and "layer1.weight  float32  4x3" in out
    assert "cannot be used no tensor input_blocks.0.neuron.delta.threshold: not a YOLO-KP checkpoint" in out
    assert json.loads((tmp_path / "facts.json").read_text())["rows"][1] == ["layer1.bias", "float32", "4"]
    assert main(["import", str(file), "--to", str(target)]) == 2
    assert "other.pt: no tensor input_blocks" in capsys.readouterr().err and target.read_bytes() == b"as it was"


def test_a_name_in_a_file_cannot_write_to_the_terminal(tmp_path, capsys):
    (tmp_path / "x.pt").write_bytes(checkpoint({"a\x1b[31m\nb": np.zeros((4, 3), np.float32)}))
    assert main(["inspect", str(tmp_path / "x.pt")]) == 0
    assert "\na\\x1b[31m\\nb  float32  4x3\n" in capsys.readouterr().out


def test_a_whole_object_is_named_and_not_made(tmp_path, capsys):
    file = tmp_path / "best.pt"
    file.write_bytes(checkpoint({}, index({"model": b"cmodels.yolo\nDetectionModel\n)\x81}b"})))
    assert main(["import", str(file), "--to", str(tmp_path / "there.pt")]) == 2
    error = capsys.readouterr().err
    assert "models.yolo.DetectionModel; only plain tensors are supported: save the network's state_dict()" in error
    assert not (tmp_path / "there.pt").exists()


def test_a_network_without_boxes_is_shown_and_not_imported(tiny_network, tmp_path, capsys):
    h5py = pytest.importorskip("h5py", reason="h5py is missing: `make setup` brings it")
    file, target = tmp_path / "headless.net", tmp_path / "there.pt"
    with h5py.File(file, "w") as opened:
        write_net(opened, tiny_network)
    target.write_bytes(b"as it was")
    assert main(["inspect", str(file)]) == 0
    assert "none: its output has no boxes" in capsys.readouterr().out
    assert main(["import", str(file), "--to", str(target)]) == 2
    assert "output channels; a detector must have those of YOLO-KP, 3 and 255" in capsys.readouterr().err
    assert target.read_bytes() == b"as it was"


def test_layers_that_cannot_be_run_are_shown(tiny_network, tmp_path, capsys):
    h5py = pytest.importorskip("h5py", reason="h5py is missing: `make setup` brings it")
    file = tmp_path / "dense.net"
    with h5py.File(file, "w") as opened:
        write_net(opened, tiny_network)
        del opened["layer/1/type"]
        opened["layer/1"].create_dataset("type", (1,), "S10", [b"dense"])
    assert main(["inspect", str(file)]) == 0
    out = capsys.readouterr().out
    assert "cannot be used layer 1 is of type dense; only convolutions are supported" in out
    assert ["1", "dense", "SDNN"] in [line.split()[:3] for line in out.splitlines()]


@pytest.mark.parametrize("arguments, reason", [
    ([], "required: ACTION"),
    (["look"], "invalid choice: 'look'"),
    (["import"], "required: FILE"),
    (["import", "{tmp}/gone.whl"], "gone.whl: no such file or directory"),
    (["import", "{tmp}"], "this is a folder"),
    (["import", "{tmp}/small.pt", "--to", "{tmp}/small.pt/x.pt"], "small.pt/x.pt: cannot be written"),
    (["inspect", "{tmp}/gone.pt"], "gone.pt: no such file or directory"),
    (["inspect", "{tmp}/notes.txt"], "notes.txt: this is a text file, not a network"),
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
