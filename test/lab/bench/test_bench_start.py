"""Fresh processes, and the stages before the network."""

from __future__ import annotations

import json

import numpy as np
import pytest

from regionmask_ros.commands.bench import main
from regionmask_ros.engine.engine import available_kernel_sets
from regionmask_ros.errors import UserError
from regionmask_ros.lab.bench.clip import load_clip
from regionmask_ros.lab.bench.speed import encode_row, resize_row
from regionmask_ros.lab.bench.startup import start_rows


def test_cold_and_warm_start_and_stages_are_in_the_result(trained_file, make_clip, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # The fresh processes must find the package from any folder.
    arguments = ["--sequence", make_clip(6, 6), "--engines", "event", "--frames", "3", "--start"]
    assert main([*arguments, "--network", str(trained_file), "--json", "result.json"]) == 0
    result = json.loads((tmp_path / "result.json").read_text())
    cold, warm = result["start"]
    assert (cold["start"], cold["repeats"], warm["start"], warm["repeats"]) == ("cold", 1, "warm", 3)
    assert cold["path"] == warm["path"] == available_kernel_sets()[0]
    # Compiling takes seconds; a warm start has none of it.
    assert cold["cpu_s"] > warm["cpu_s"] + 1.0 and 0 < warm["cpu_s"] <= warm["wall_s"] + 0.5
    assert [(row["stage"], row["setting"]) for row in result["stages"]] == [
        ("resize and colour", None), ("mask and encoder", "unmasked"), ("mask and encoder", "masked60"),
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


def test_a_process_that_fails_is_one_line(tmp_path):
    with pytest.raises(UserError, match="--start: the fresh process failed: .*no-such.pt"):
        start_rows(str(tmp_path / "no-such.pt"), iter)


def test_stages_are_measured_at_the_sizes_that_they_name(tiny_network, make_clip):
    clip = load_clip(make_clip(8, 6), (96, 64), 8)
    resize = resize_row()
    assert (resize["picture"], resize["input_size"], resize["limit_ms"]) == ("1280x720", "736x416", 0.6)
    keep = np.zeros((4, 6), bool)
    rows = [encode_row(tiny_network, clip, setting, keep, 4, range(8)) for setting in ("unmasked", "masked60")]
    for row in rows:
        assert (row["picture"], row["input_size"], row["frames"], row["limit_ms"]) == ("160x96", "96x64", 4, 0.3)
    assert all(0 < row["p10_ms"] <= row["median_ms"] <= row["p90_ms"] for row in (resize, *rows))
