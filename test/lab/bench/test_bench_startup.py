"""New processes, from their start to the first result."""

from __future__ import annotations

import json

import pytest

from regionmask_ros.commands.bench import main
from regionmask_ros.engine.engine import available_kernel_sets
from regionmask_ros.errors import UserError
from regionmask_ros.lab.bench.startup import start_rows


def test_cold_and_warm_start_and_stages_are_in_the_result(trained_file, make_clip, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # New processes find the package from any folder.
    arguments = ["--sequence", make_clip(6, 6), "--engines", "event", "--frames", "3", "--start"]
    assert main([*arguments, "--network", str(trained_file), "--json", "result.json"]) == 0
    result = json.loads((tmp_path / "result.json").read_text())
    cold, warm = result["start"]
    assert (cold["start"], cold["repeats"], warm["start"], warm["repeats"]) == ("cold", 1, "warm", 3)
    assert cold["path"] == warm["path"] == available_kernel_sets()[0]
    # Compiling takes seconds; a warm start compiles nothing.
    assert cold["cpu_s"] > warm["cpu_s"] + 1.0 and 0 < warm["cpu_s"] <= warm["wall_s"] + 0.5
    assert [(row["stage"], row["setting"]) for row in result["stages"]] == [
        ("resize and colour", None), ("mask and encoder", "unmasked"), ("mask and encoder", "masked60"),
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


def test_a_process_that_fails_is_one_line(tmp_path):
    with pytest.raises(UserError, match="--start: the new process failed: .*no-such.pt"):
        start_rows(str(tmp_path / "no-such.pt"), iter)
