"""`doctor`: every part is looked at, what is broken is told apart from what is absent, and cures are one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from regionmask_ros.backends import lava_env as lava_facts
from regionmask_ros.commands.doctor import main
from regionmask_ros.errors import UserError
from regionmask_ros.lab.doctor import installation as here
from regionmask_ros.lab.doctor import lava
from regionmask_ros.lab.doctor.finding import ABSENT, BROKEN, OK, Finding

ROOT = Path(__file__).resolve().parents[3]
NO_EXTENSION = {"lava.utils.loihi2_profiler": False, "lava.proc.embedded_io": False}
PACKAGES = {"lava-nc": "0.10.0", "lava-dl": "0.6.0", "numpy": "1.26.4", "scipy": "1.15.3", "networkx": "3.4.2"}
FACTS = {"python": "3.10.13", "interpreter": "/lava/python", "packages": PACKAGES, "extension": NO_EXTENSION,
         "slurm": False, "variables": {}}


def by_subject(findings) -> dict[str, Finding]:
    return {finding.subject: finding for finding in findings}


def test_what_every_run_needs_is_looked_at():
    found = by_subject(here.findings())
    assert {"Python", "NumPy", "OpenCV", "Numba", "event engine", "trained network", "ROS 2", "h5py"} <= set(found)
    assert found["NumPy"].state == found["event engine"].state == OK


def test_the_simulator_is_tried(lava_python):
    found = by_subject(lava.findings())
    assert [found[name].state for name in ("shared memory", "Lava's Python", "Lava", "lava_sim")] == [OK] * 4
    assert "lava-nc 0.10.0" in found["Lava"].fact and "3 frames" in found["lava_sim"].fact
    assert lava_python in found["Lava's Python"].fact
    assert lava.NOT_YET in found["Loihi 2"].fact


def test_without_lava_it_is_absent_and_not_broken(monkeypatch, tmp_path):
    monkeypatch.setenv("REGIONMASK_LAVA_PYTHON", str(tmp_path / "none"))
    found = by_subject(lava.findings())
    assert found["Lava"].state == ABSENT and "make lava" in found["Lava"].cure and "lava_sim" not in found


def test_an_interpreter_without_packages_is_broken(monkeypatch):
    """This Python has NumPy, but no Lava."""
    monkeypatch.setenv("REGIONMASK_LAVA_PYTHON", sys.executable)
    found = by_subject(lava.findings())
    assert found["Lava"].state == BROKEN and "lava-nc" in found["Lava"].fact and "lava_sim" not in found


def test_an_old_lava_on_a_new_numpy_is_broken():
    assert lava._versions({**FACTS, "packages": {**PACKAGES, "numpy": "2.2.6"}}).state == BROKEN
    assert lava._versions(FACTS).state == OK


def test_the_shim_is_mentioned_where_it_is_in_force():
    assert "shim" in lava._interpreter({**FACTS, "python": "3.12.1"}).fact
    assert "shim" not in lava._interpreter(FACTS).fact


def test_loihi_tells_what_is_missing_and_never_claims_a_run():
    there = dict.fromkeys(NO_EXTENSION, True)
    without, host = lava._loihi(FACTS), {"variables": {"NXSDKHOST": "10.0.0.1"}}
    cluster, board = lava._loihi({**FACTS, "extension": there, "slurm": True}), {**FACTS, "extension": there, **host}
    assert (without.state, cluster.state, lava._loihi(board).state) == (ABSENT, OK, OK)
    assert "lava-loihi" in without.fact and "INRC" in without.cure
    assert all(lava.NOT_YET in finding.fact for finding in (without, cluster, lava._loihi(board)))


def test_an_interpreter_that_does_not_answer_is_told_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(lava_facts, "TIMEOUT_S", 0.5)
    for text, told in (("sleep 9", "within 0.5 s"), ("echo no >&2; exit 3", "no"), ("echo hello", "no usable Python")):
        python = tmp_path / "python"
        python.write_text(f"#!/bin/sh\n{text}\n")
        python.chmod(0o755)
        with pytest.raises(UserError, match=told) as caught:
            lava_facts.ask_lava_python(python)
        assert "\n" not in str(caught.value)


def test_the_command_prints_a_line_each_and_writes_json(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("REGIONMASK_LAVA_PYTHON", str(tmp_path / "none"))
    status = main(["--json", str(tmp_path / "doctor.json")])
    facts = json.loads((tmp_path / "doctor.json").read_text())
    states = {finding["subject"]: finding["state"] for finding in facts["findings"]}
    assert states["Lava"] == ABSENT and status == int(BROKEN in states.values())
    out = capsys.readouterr().out
    assert all(f"{finding['subject']} " in out for finding in facts["findings"]) and "-> " in out


def test_a_broken_part_is_exit_status_1(tmp_path):
    """A module that cannot be imported, in a process of its own."""
    (tmp_path / "h5py.py").write_text("raise RuntimeError('built for another NumPy')")
    path = f"{tmp_path}{os.pathsep}{ROOT}"
    env = {**os.environ, "PYTHONPATH": path, "REGIONMASK_LAVA_PYTHON": str(tmp_path / "none")}
    done = subprocess.run([sys.executable, "-m", "regionmask_ros", "doctor"], env=env, capture_output=True, text=True)
    assert done.returncode == 1 and "FAIL h5py" in done.stdout and "another NumPy" in done.stdout
    assert "Traceback" not in done.stderr
