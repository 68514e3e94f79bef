"""The cache of compiled kernels costs time when something is wrong with it, never a result."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

WARM = [sys.executable, "-m", "regionmask_ros.pipeline.warmup"]
REPOSITORY = Path(__file__).resolve().parents[2]


def warm(**changes: str | None) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), **changes}
    environment = {key: value for key, value in environment.items() if value is not None}
    return subprocess.run(WARM, env=environment, capture_output=True, text=True, timeout=300)


def files(folder: Path, suffix: str) -> list[Path]:
    return sorted(folder.rglob(f"*{suffix}"))


def test_damaged_files_are_compiled_anew(tmp_path):
    assert warm(XDG_CACHE_HOME=str(tmp_path)).returncode == 0
    for suffix in (".nbi", ".nbc"):
        for file in files(tmp_path, suffix):
            file.write_bytes(b"")
        again = warm(XDG_CACHE_HOME=str(tmp_path))
        assert again.returncode == 0 and again.stderr == ""
        assert all(file.stat().st_size for file in files(tmp_path, ".nbi")), "what was damaged is replaced"


@pytest.mark.parametrize("changes", [
    {"XDG_CACHE_HOME": "/proc/nowhere"},
    {"NUMBA_ENABLE_AVX": "0"},
])
def test_odd_surroundings_are_no_error(tmp_path, changes):
    run = warm(**{"XDG_CACHE_HOME": str(tmp_path), **changes})
    assert run.returncode == 0 and run.stderr == ""


def test_a_relative_cache_folder_is_not_made_where_we_stand(tmp_path):
    home = str(tmp_path / "home")
    environment = {**os.environ, "XDG_CACHE_HOME": "here", "HOME": home, "PYTHONPATH": str(REPOSITORY)}
    code = "from regionmask_ros.jit.cache import cache_folder; print(cache_folder())"
    run = subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert run.stdout.startswith(home) and not (tmp_path / "here").exists()
