"""`model import --calibrate`: networks are quantized for the tile engine with pictures without labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

for package in ("onnx", "onnxruntime"):
    pytest.importorskip(package, reason=f"no {package}: `make runtimes` brings it")

from bright_network import bright_detector  # noqa: E402
from dense_networks import dense_network, make_model  # noqa: E402
from detector_graphs import detector_model  # noqa: E402
from onnx import helper  # noqa: E402

from regionmask_ros.commands import model as command  # noqa: E402
from regionmask_ros.errors import UserError  # noqa: E402
from regionmask_ros.importing import calibration, process  # noqa: E402
from regionmask_ros.importing.calibration import LEVELS, calibrate, standard_source  # noqa: E402
from regionmask_ros.importing.process import calibrate_apart  # noqa: E402
from regionmask_ros.network.cards import find_card, load_card  # noqa: E402
from regionmask_ros.tiles.quantization.files import unpack_tiles  # noqa: E402


def silent(steps, what):
    return steps


def nothing_shown(what, done, total):
    pass


@pytest.fixture(scope="module")
def clip(make_clip) -> str:
    return make_clip(12, 8)


def test_a_calibrated_network_finds_what_the_network_finds(clip):
    made = calibrate(bright_detector(), clip, silent)
    assert (made.calibrated_on, made.compared_on, made.reason) == (8, 4, "") and made.agreement > 99
    network = unpack_tiles(made.tiles).network
    assert network.levels == LEVELS and network.factors
    assert network.factors.keys() < network.quantizations.keys()


def test_a_process_of_its_own_gives_the_same_and_shows_progress(clip):
    shown = []
    apart = calibrate_apart(bright_detector(), clip, lambda *step: shown.append(step))
    here = calibrate(bright_detector(), clip, silent)
    assert {**vars(apart), "tiles": b""} == {**vars(here), "tiles": b""}
    first, second = (unpack_tiles(one.tiles).network for one in (apart, here))
    assert first.factors == second.factors
    for name, one in first.quantizations.items():
        np.testing.assert_array_equal(one.step, second.quantizations[name].step)
    assert [what for what, done, total in shown if done == total] == [
        "reading", "calibrating", "sensitivity", "comparing"]


def test_a_network_that_the_engine_cannot_run_has_a_reason_that_names_the_operator(clip):
    model = make_model([helper.make_node("GlobalAveragePool", ["images"], ["mean"]),
                        helper.make_node("Mul", ["images", "mean"], ["product"]),
                        helper.make_node("Conv", ["product", "w"], ["out"])], ["out"], [
        helper.make_tensor("w", 1, [6, 3, 1, 1], np.ones(18))])
    made = calibrate(replace(dense_network(model), head=replace(dense_network(model).head, outputs=("out",))), clip,
                     silent)
    assert made.tiles == b"" and "GlobalAveragePool" in made.reason


def test_a_source_that_cannot_be_read_is_an_error(tmp_path, make_clip):
    with pytest.raises(UserError, match=r"gone\.mp4"):
        calibrate_apart(bright_detector(), str(tmp_path / "gone.mp4"), nothing_shown)
    with pytest.raises(UserError, match="1 pictures, at least 2 are needed"):
        calibrate(bright_detector(), make_clip(1, 0), silent)


def test_a_calibration_that_reaches_a_limit_is_a_reason(clip, monkeypatch):
    monkeypatch.setattr(process, "CALIBRATION_CPU_S", 1)
    made = calibrate_apart(bright_detector(), clip, nothing_shown)
    assert made.tiles == b"" and made.reason.startswith("calibration: ")


@pytest.fixture
def small_file(tmp_path, monkeypatch) -> str:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    path = tmp_path / "small.onnx"
    path.write_bytes(detector_model().SerializeToString())
    return str(path)


def test_the_command_stores_what_it_calibrated_and_says_how_good_it_is(small_file, clip, capsys):
    assert command.main(["import", small_file, "--calibrate", clip]) == 0
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith("tile engine: int8, calibrated on 8 pictures of a clip.mp4; agreement with fp32 on 4 others")
    assert unpack_tiles(load_card(find_card("small")).tiles).network.factors


def test_without_pictures_the_import_works_and_says_what_is_missing(small_file, monkeypatch, capsys):
    monkeypatch.setattr(calibration, "standard_source", lambda: "")
    assert command.main(["import", small_file]) == 0
    assert "not calibrated, bikes.mp4 of the set-up is not there" in capsys.readouterr().out
    loaded = load_card(find_card("small"))
    assert loaded.tiles == b"" and "--calibrate SOURCE" in loaded.tiles_reason


def test_the_video_of_the_set_up_is_found_where_it_is():
    assert standard_source() == "" or standard_source().endswith("share/regionmask_ros/bikes.mp4")
