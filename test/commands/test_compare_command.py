"""`compare`: equal backends, a differing one, and invalid options."""

from __future__ import annotations

import json

import numpy as np
import pytest
from bag_writer import START_NS, image, write_bag

from regionmask_ros.backends import BACKENDS
from regionmask_ros.backends.cpu import CpuBackend
from regionmask_ros.commands.compare import main
from regionmask_ros.core.grid import RegionGrid


class SameAgain(CpuBackend):
    """The CPU engine under another name."""


class OtherRule(CpuBackend):
    """The CPU engine with another arithmetic than requested."""

    def __init__(self, network, input_wh, arithmetic, *others) -> None:
        super().__init__(network, input_wh, "snap", *others)


@pytest.fixture
def named(monkeypatch):
    monkeypatch.setitem(BACKENDS, "same", SameAgain)
    monkeypatch.setitem(BACKENDS, "other", OtherRule)


def outcome(tmp_path, *arguments) -> tuple[int, dict]:
    path = tmp_path / "compare.json"
    status = main([*arguments, "--json", str(path)])
    return status, json.loads(path.read_text())


def test_equal_backends_give_status_0(named, trained_file, make_clip, tmp_path, capsys):
    status, facts = outcome(tmp_path, make_clip(4, 3), "--backends", "cpu,same", "--input-size", "96x64",
                            "--network", str(trained_file))
    assert status == 0 and facts["equal"] and facts["frames"] == 4 and facts["first_difference"] is None
    assert facts["integers"] == 4 * 3 * 2 * 255 and facts["arithmetic"] == "carry"
    assert "0 integers differ" in capsys.readouterr().out


def test_a_topic_of_a_bag_is_compared(named, trained_file, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (64, 96, 3)).astype(np.uint8)
    bag = write_bag(tmp_path / "bag", {"/left": [image(pixels, START_NS)] * 3, "/right": [image(pixels, START_NS)]})
    status, facts = outcome(tmp_path, bag, "--topic", "/left", "--backends", "cpu,same", "--network", str(trained_file))
    assert status == 0 and facts["frames"] == 3


def test_differing_backends_give_status_1_and_the_first_difference(named, trained_file, make_clip, tmp_path, capsys):
    status, facts = outcome(tmp_path, make_clip(6, 5), "--backends", "cpu,other,same", "--input-size", "96x64",
                            "--network", str(trained_file), "--arithmetic", "lava", "--max-frames", "5")
    assert status == 1 and not facts["equal"] and facts["frames"] == 5
    assert facts["differing_integers"]["other"] > 0 and facts["differing_integers"]["same"] == 0
    first = facts["first_difference"]
    assert first["backend"] == "other" and first["value"] != first["reference_value"] and len(first["place"]) == 3
    assert f"first: frame {first['frame']}, other" in capsys.readouterr().out


@pytest.mark.parametrize("mask", ["static", "random", "dynamic", "preset+static"])
def test_all_backends_get_the_same_mask(named, trained_file, make_clip, write_mask, tmp_path, mask):
    options = ["--random-mask", "0.5"] if mask == "random" else ["--mask", mask]
    if "static" in mask:
        options += ["--static-mask", write_mask(RegionGrid.of_input((96, 64)).full(False))]
    status, facts = outcome(tmp_path, make_clip(4, 3), "--backends", "cpu,same", "--input-size", "96x64",
                            "--network", str(trained_file), *options)
    assert status == 0 and facts["frames"] == 4


@pytest.mark.parametrize("arguments, message", [
    (["--backends", "cpu"], "two or more"),
    (["--backends", "cpu,cpu"], "two or more"),
    (["--backends", "cpu,fpga"], "'fpga': unknown"),
    (["--backends", "openvino,onnxruntime"], "openvino: runs ONNX networks, which have no integers"),
    (["--backends", "cpu,lava_sim", "--arithmetic", "carry"], "computes lava"),
    (["--backends", "cpu,same", "--backend-option", "speed=9"], "BACKEND.NAME=VALUE"),
    (["--backends", "cpu,same", "--backend-option", "cpu.speed=9"], "does not have it"),
    (["--backends", "cpu,same", "--max-frames", "0"], "1 or more"),
    (["--backends", "cpu,same", "--random-mask", "1.5"], "between 0 and 1"),
])
def test_an_invalid_option_is_one_line(named, make_clip, capsys, arguments, message):
    assert main([make_clip(2, 1), *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_lava_equals_the_engine(lava_python, trained_file, make_clip, tmp_path):
    status, facts = outcome(tmp_path, make_clip(5, 4), "--input-size", "96x64", "--random-mask", "0.5",
                            "--network", str(trained_file))
    assert status == 0 and facts["frames"] == 5 and facts["arithmetic"] == "lava"
    assert "lava-nc" in facts["backends"]["lava_sim"]
