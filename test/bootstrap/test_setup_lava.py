"""Lava's own environment: which Python it is made from, and what comes in."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bootstrap import lava
from bootstrap.packages import LOCK, read_pins


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """A machine on which no Python 3.10 is installed in the usual places."""
    monkeypatch.setattr(lava, "_pyenv_root", lambda environ: str(tmp_path / "none"))
    monkeypatch.setattr(lava, "_USUAL_PLACES", ())
    return tmp_path


def fake_python(path: Path, answer: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{answer}\n")
    path.chmod(0o755)
    return path


def test_a_python_3_10_on_the_path_is_preferred(nowhere):
    fake_python(nowhere / "shims" / "python3.10", "echo no such version >&2; exit 127")
    fake_python(nowhere / "none" / "python3.10", "echo '[\"/opt/python3.10\", [3, 10]]'")
    environ = {"PATH": f"{nowhere / 'shims'}:{nowhere / 'none'}"}
    assert lava.choose_python(environ) == ("/opt/python3.10", (3, 10))


def test_one_that_pyenv_keeps_is_found(tmp_path, monkeypatch):
    found = fake_python(tmp_path / "versions" / "3.10.13" / "bin" / "python", "echo '[\"/pyenv/3.10\", [3, 10]]'")
    assert lava.choose_python({"PATH": "", "PYENV_ROOT": str(tmp_path)}) == ("/pyenv/3.10", (3, 10)), found


def test_without_one_the_running_python_is_taken(nowhere):
    python, version = lava.choose_python({"PATH": str(nowhere)})
    assert version == sys.version_info[:2] and Path(python).exists()


def test_one_that_cannot_make_environments_is_passed_over(nowhere):
    """Debian's python3.10 without python3.10-venv fails at the probe's imports."""
    fake_python(nowhere / "python3.10", "exit 1")
    assert lava.choose_python({"PATH": str(nowhere)})[1] == sys.version_info[:2]


def test_the_lock_has_an_old_numpy_and_no_framework():
    locked = dict(line.split("==") for line in read_pins(lava.LOCK))
    assert locked["lava-nc"] == "0.10.0" and locked["lava-dl"] == "0.6.0"
    assert locked["numpy"].startswith("1.") and "torch" not in locked
    ours = dict(line.split(";")[0].split("==") for line in read_pins(LOCK))
    assert not {"lava-nc", "lava-dl"} & set(ours)
