"""`tune_thresholds` for an imported network of the tile engine: its card gets new thresholds, or stays as it is."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest

for package in ("onnx", "onnxruntime"):
    pytest.importorskip(package, reason=f"no {package}: `make runtimes` brings it")

from bright_network import bright_detector  # noqa: E402
from detector_graphs import detector_model  # noqa: E402

from regionmask_ros.commands.tune_thresholds import main  # noqa: E402
from regionmask_ros.files.outputs import write_whole  # noqa: E402
from regionmask_ros.importing.calibration import calibrate  # noqa: E402
from regionmask_ros.lab.tuning.tile_levels import ALLOWED, LADDER, LevelFigures, choose_level  # noqa: E402
from regionmask_ros.network import cards  # noqa: E402
from regionmask_ros.network.cards import load_card, store_network  # noqa: E402
from regionmask_ros.tiles.quantization.files import StoredTiles, pack_tiles, unpack_tiles  # noqa: E402

QUICK = ["--frames", "12", "--stretches", "2"]


@pytest.fixture(scope="module")
def clip(make_clip) -> str:
    return make_clip(30, 4)


@pytest.fixture(scope="module")
def calibrated(clip):
    """The network as it would be imported, with thresholds that tuning must replace."""
    network = bright_detector()
    stored = unpack_tiles(calibrate(network, clip, lambda steps, what: steps).tiles)
    odd = replace(stored.network, factors=dict.fromkeys(stored.network.factors, 3.0), levels=(50.0, 60.0, 70.0))
    return replace(network, tiles=pack_tiles(StoredTiles(odd, stored.tail)))


@pytest.fixture
def card(calibrated, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return store_network(calibrated)


def read(card):
    return unpack_tiles(load_card(card).tiles).network


def test_the_card_gets_factors_and_levels_of_the_clips(card, calibrated, clip, tmp_path, make_clip, capsys):
    old, report = read(card), tmp_path / "report.json"
    shutil.copy(make_clip(26, 6), tmp_path / "other.mp4")
    assert main([clip, "--hold-out", str(tmp_path / "other.mp4"), "--network", "bright", *QUICK,
                 "--output", str(report)]) == 0
    new, printed = read(card), capsys.readouterr().out
    assert new.factors.keys() == old.factors.keys() and new.factors != old.factors
    assert list(new.levels) == sorted(new.levels) and set(new.levels) <= set(LADDER)
    for name, one in old.quantizations.items():
        assert one.step.tobytes() == new.quantizations[name].step.tobytes()
    made = json.loads(report.read_text())
    assert [one["level"] for one in made["trials"]] == list(LADDER)
    assert made["trials"][0]["agreement"] > 99 and made["trials"][0]["mac_share"] < 100
    for preset, level, allowed in zip(("careful", "balanced", "fast"), new.levels, ALLOWED):
        after = made["tuning"][preset]["after"]
        # The lowest level is taken whatever it costs.
        assert after["level"] == level and (level == LADDER[0] or after["agreement"] >= 100 - allowed)
        assert made["held_out"][preset]["after"]["level"] == level
        assert f"held-out, {preset}: level {level:g}" in printed
    assert made["tuning"]["careful"]["before"]["level"] == 50 and "thresholds stored in" in printed
    assert load_card(card).model == calibrated.model


def test_a_card_that_cannot_be_written_stays_as_it_was(card, clip, monkeypatch, capsys):
    before = read(card)

    def fail_at_the_card(path, content):
        if path.name == cards.CARD_NAME:
            raise OSError(28, "No space left on device")
        write_whole(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(cards, "write_whole", fail_at_the_card)
        assert main([clip, "--network", "bright", *QUICK]) == 2
    assert "No space left on device" in capsys.readouterr().err
    after = read(card)
    assert after.levels == before.levels and after.factors == before.factors


def test_levels_rise_until_the_first_that_loses_too_much():
    figures = [LevelFigures(level, 100 - level, agreement) for level, agreement in (
        (0.0, 100.0), (1.0, 99.8), (2.0, 99.0), (3.0, 99.9), (4.0, 97.0))]
    assert [choose_level(figures, allowed).level for allowed in (0.1, 0.5, 1.0, 5.0)] == [0.0, 1.0, 3.0, 4.0]
    assert choose_level(figures[1:], 0.1).level == 1.0


@pytest.mark.parametrize("wrong, message", [
    (["--arithmetic", "carry"], "--arithmetic: only for YOLO-KP"), (["--rounds", "2"], "--rounds: only for YOLO-KP"),
    (["--jobs", "2"], "--jobs: only for YOLO-KP"), (["--frames", "60"], "no shot of 60 frames"),
])
def test_every_mistake_gives_one_line(card, clip, capfd, wrong, message):
    before = card.read_bytes()
    assert main([clip, "--network", "bright", *QUICK, *wrong]) == 2
    err = capfd.readouterr().err
    assert message in err and "Traceback" not in err and card.read_bytes() == before


def test_networks_that_cannot_be_tuned_say_what_to_do(card, calibrated, clip, tmp_path, capfd):
    file = tmp_path / "small.onnx"
    file.write_bytes(detector_model().SerializeToString())
    assert main([clip, "--network", str(file), *QUICK]) == 2
    assert "import it first" in capfd.readouterr().err
    store_network(replace(calibrated, tiles=b""))
    assert main([clip, "--network", "bright", *QUICK]) == 2
    assert "it is not quantized" in capfd.readouterr().err


def test_yolo_kp_needs_a_file_for_the_result(trained, clip, capfd):
    assert main([clip, *QUICK]) == 2
    assert "--output FILE is missing" in capfd.readouterr().err
