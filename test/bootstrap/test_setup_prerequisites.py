"""What is missing is named, all of it, with the Debian package that brings it, before anything is created."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bootstrap import interpreter
from bootstrap.environment import make_venv_environment
from bootstrap.prerequisites import APT_LINE, find_missing

ROOT = Path(__file__).resolve().parents[2]
COMPLETE = interpreter.Interpreter("/opt/other/bin/python3.12", (3, 12), "x86_64", has_venv=True, has_headers=True)

needs_wheels = pytest.mark.skipif(platform.machine() != "x86_64", reason="needs ROS wheels: 64-bit x86 only")


def set_up_in_a_bare_clone(clone: Path, **environ: str) -> subprocess.CompletedProcess:
    """Runs the real set-up in a folder that holds nothing but its program and what that imports."""
    shutil.copytree(ROOT / "bootstrap", clone / "bootstrap", ignore=shutil.ignore_patterns("__pycache__"))
    (clone / "regionmask_ros").mkdir()
    for module in ("__init__.py", "user_folders.py"):
        shutil.copy(ROOT / "regionmask_ros" / module, clone / "regionmask_ros")
    env = {name: value for name, value in make_venv_environment(False).items() if name not in ("CC", "CXX")}
    return subprocess.run([sys.executable, "-m", "bootstrap", "setup"], cwd=clone, env={**env, **environ},
                          capture_output=True, text=True)


@needs_wheels
def test_every_missing_thing_is_named_before_anything_is_created(tmp_path):
    stub = tmp_path / "without_ensurepip" / "ensurepip"
    stub.mkdir(parents=True)
    (stub / "__init__.py").write_text("raise ImportError('Debian ships it separately')\n")
    clone, empty = tmp_path / "clone", tmp_path / "empty"
    clone.mkdir()
    empty.mkdir()

    done = set_up_in_a_bare_clone(clone, PATH=str(empty), PYTHONPATH=str(stub.parent))

    lines = done.stderr.splitlines()
    assert done.returncode == 2
    assert [line.split("(Debian package: ")[1].rstrip(")") for line in lines if "compiler" in line] == ["g++", "g++"]
    assert any("ensurepip" in line and "python3-venv" in line for line in lines)
    assert all(line.startswith("regionmask_ros set-up: missing: ") for line in lines[:-1])
    assert lines[-1].endswith(f": {APT_LINE}")
    assert set(os.listdir(clone)) == {"bootstrap", "regionmask_ros"}


@needs_wheels
def test_a_compiler_chosen_by_variable_is_looked_up(tmp_path):
    done = set_up_in_a_bare_clone(tmp_path, CXX="no-such-compiler -O2")

    assert done.returncode == 2
    assert "CXX=no-such-compiler -O2 is not found" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_nothing_is_missing_on_a_complete_machine():
    assert find_missing(COMPLETE, True, {}, which=lambda name: f"/usr/bin/{name}") == []


@pytest.mark.parametrize("version, fits", [((3, 9), False), ((3, 10), True), ((3, 13), True), ((3, 14), False)])
def test_python_versions_at_the_border(version, fits):
    found = find_missing(replace(COMPLETE, version=version), True, {}, which=lambda name: name)
    assert [thing.package for thing in found] == ([] if fits else ["python3"])


def test_headers_are_needed_to_build_message_types_only():
    bare = replace(COMPLETE, has_headers=False)
    assert "python3.12-dev" in find_missing(bare, True, {}, which=lambda name: name)[0].package
    assert find_missing(bare, False, {}, which=lambda name: None) == []


def test_debians_own_python_has_packages_without_a_version():
    own = os.path.realpath("/usr/bin/python3")
    found = find_missing(replace(COMPLETE, executable=own, has_venv=False), False, {})
    assert [thing.package for thing in found] == ["python3-venv"]
