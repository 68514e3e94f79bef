"""`doctor` checks every part, distinguishes broken from absent ones, and says in one line what to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from native_kernels import needs_library

from regionmask_ros.backends import worker_process
from regionmask_ros.commands.doctor import main
from regionmask_ros.errors import UserError
from regionmask_ros.lab.doctor import lava
from regionmask_ros.lab.doctor.installation import ABSENT, BROKEN, OK, Finding, check_installation
from regionmask_ros.lab.doctor.runtimes import check_runtimes
from regionmask_ros.metrics import machine
from regionmask_ros.tiles.compiled import list_kernel_sets
from regionmask_ros.tiles.engine import KERNELS_KEY

ROOT = Path(__file__).resolve().parents[3]
NO_EXTENSION = {"lava.utils.loihi2_profiler": False, "lava.proc.embedded_io": False}
PACKAGES = {"lava-nc": "0.10.0", "lava-dl": "0.6.0", "numpy": "1.26.4", "scipy": "1.15.3", "networkx": "3.4.2"}
FACTS = {"python": "3.10.13", "interpreter": "/lava/python", "packages": PACKAGES, "extension": NO_EXTENSION,
         "slurm": False, "variables": {}}


def by_subject(findings) -> dict[str, Finding]:
    return {finding.subject: finding for finding in findings}


def test_required_parts_are_checked():
    found = by_subject(check_installation())
    assert {"Python", "NumPy", "OpenCV", "Numba", "event engine", "trained network", "ROS 2", "h5py"} <= set(found)
    assert found["NumPy"].state == found["event engine"].state == OK


@needs_library
def test_the_kernels_that_the_tile_engine_uses_are_named(monkeypatch):
    monkeypatch.delenv(KERNELS_KEY, raising=False)
    found = list_kernel_sets()
    assert by_subject(check_installation())["tile engine"].fact.startswith(f"kernels for {found[0]} (of {found[0]}")
    monkeypatch.setenv(KERNELS_KEY, "portable")
    assert by_subject(check_installation())["tile engine"].fact.startswith(f"kernels for portable (of {found[0]}")
    monkeypatch.setenv(KERNELS_KEY, "abacus")
    finding = by_subject(check_installation())["tile engine"]
    assert finding.state == BROKEN and "abacus" in finding.fact and KERNELS_KEY in finding.cure


@needs_library
def test_amx_that_cannot_be_used_is_mentioned(monkeypatch):
    monkeypatch.setattr(machine, "find_flags", lambda: ["amx_int8"])
    fact = by_subject(check_installation())["tile engine"].fact
    assert ("the system does not permit it" in fact) != ("amx_int8" in list_kernel_sets())


def test_the_simulator_is_checked(lava_python):
    found = by_subject(lava.check_lava())
    assert [found[name].state for name in ("shared memory", "Lava's Python", "Lava", "lava_sim")] == [OK] * 4
    assert "lava-nc 0.10.0" in found["Lava"].fact and "3 frames" in found["lava_sim"].fact
    assert lava_python in found["Lava's Python"].fact
    assert lava.NOT_ON_HARDWARE in found["Loihi 2"].fact


def test_a_missing_lava_is_absent_and_not_broken(monkeypatch, tmp_path):
    monkeypatch.setenv("REGIONMASK_LAVA_PYTHON", str(tmp_path / "none"))
    found = by_subject(lava.check_lava())
    assert found["Lava"].state == ABSENT and "make lava" in found["Lava"].cure and "lava_sim" not in found


def test_an_interpreter_without_lava_is_broken(monkeypatch):
    monkeypatch.setenv("REGIONMASK_LAVA_PYTHON", sys.executable)
    found = by_subject(lava.check_lava())
    assert found["Lava"].state == BROKEN and "lava-nc" in found["Lava"].fact and "lava_sim" not in found


def test_lava_with_numpy_2_is_broken():
    assert lava._check_versions({**FACTS, "packages": {**PACKAGES, "numpy": "2.2.6"}}).state == BROKEN
    assert lava._check_versions(FACTS).state == OK


def test_the_import_shim_is_mentioned_if_it_is_used():
    assert "shim" in lava._check_interpreter({**FACTS, "python": "3.12.1"}).fact
    assert "shim" not in lava._check_interpreter(FACTS).fact


def test_loihi_2_names_what_is_missing_and_never_claims_a_run_on_hardware():
    installed = {**FACTS, "extension": dict.fromkeys(NO_EXTENSION, True)}
    without = lava._check_loihi(FACTS)
    cluster = lava._check_loihi({**installed, "slurm": True})
    board = lava._check_loihi({**installed, "variables": {"NXSDKHOST": "10.0.0.1"}})
    assert (without.state, cluster.state, board.state) == (ABSENT, OK, OK)
    assert "lava-loihi" in without.fact and "INRC" in without.cure
    assert all(lava.NOT_ON_HARDWARE in finding.fact for finding in (without, cluster, board))


def test_an_interpreter_that_fails_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(worker_process, "FACTS_TIMEOUT_S", 0.5)
    for text, reason in (
        ("exec sleep 60", "within 0.5 s"), ("echo no >&2; exit 3", "no"), ("echo hello", "not a usable Python"),
    ):
        python = tmp_path / "python"
        python.write_text(f"#!/bin/sh\n{text}\n")
        python.chmod(0o755)
        with pytest.raises(UserError, match=reason) as caught:
            worker_process.ask_lava_python(python)
        assert "\n" not in str(caught.value)


def test_the_command_prints_all_findings_and_writes_json(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("REGIONMASK_LAVA_PYTHON", str(tmp_path / "none"))
    status = main(["--json", str(tmp_path / "doctor.json")])
    facts = json.loads((tmp_path / "doctor.json").read_text())
    states = {finding["subject"]: finding["state"] for finding in facts["findings"]}
    assert states["Lava"] == ABSENT and status == int(BROKEN in states.values())
    out = capsys.readouterr().out
    assert all(f"{finding['subject']} " in out for finding in facts["findings"]) and "-> " in out


def test_a_module_that_cannot_be_imported_is_exit_status_1(tmp_path):
    (tmp_path / "h5py.py").write_text("raise RuntimeError('built for another NumPy')")
    path = f"{tmp_path}{os.pathsep}{ROOT}"
    env = {**os.environ, "PYTHONPATH": path, "REGIONMASK_LAVA_PYTHON": str(tmp_path / "none")}
    done = subprocess.run([sys.executable, "-m", "regionmask_ros", "doctor"], env=env, capture_output=True, text=True)
    assert done.returncode == 1 and "FAIL h5py" in done.stdout and "another NumPy" in done.stdout
    assert "Traceback" not in done.stderr


def test_runtimes_are_listed_with_their_devices():
    for package in ("openvino", "onnxruntime"):
        pytest.importorskip(package, reason=f"no {package}: `make runtimes` brings it")
    found = by_subject(check_runtimes())
    assert found["OpenVINO"].state == found["ONNX Runtime"].state == OK
    assert all("CPU" in finding.fact and finding.fact.endswith("telemetry is off") for finding in found.values())


def test_missing_and_damaged_runtimes_are_told_apart(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.delitem(sys.modules, "onnxruntime", raising=False)
    (tmp_path / "onnxruntime.py").write_text("raise ImportError('a library is missing')")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = by_subject(check_runtimes())
    assert (found["OpenVINO"].state, found["ONNX Runtime"].state) == (ABSENT, BROKEN)
    assert "make runtimes" in found["OpenVINO"].cure and "a library is missing" in found["ONNX Runtime"].fact
