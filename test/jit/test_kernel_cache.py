"""The cache of compiled kernels costs time when something is wrong with it, never a result."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
ONE_KERNEL = """
from regionmask_ros.core.events import ChangeMap, list_events
index, _ = ChangeMap(16, 16, 3).list_changes()
assert len(index) == 0
print(sum(list_events.stats.cache_misses.values()), "compiled", sum(list_events.stats.cache_hits.values()), "loaded")
"""
COMPILED, LOADED = "1 compiled 0 loaded", "0 compiled 1 loaded"


def run(*arguments: str, **changes: str) -> subprocess.CompletedProcess:
    """Runs Python with another environment."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), **changes}
    return subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True)


def run_one_kernel(folder: str) -> str:
    """Calls one kernel in a new process; returns whether it was compiled or loaded."""
    result = run("-c", ONE_KERNEL, XDG_CACHE_HOME=folder)
    assert result.returncode == 0 and result.stderr == ""
    return result.stdout.strip()


def test_a_kernel_is_compiled_once_and_then_loaded(tmp_path):
    assert [run_one_kernel(str(tmp_path)) for _ in range(2)] == [COMPILED, LOADED]


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
def test_damaged_files_are_compiled_again_and_replaced(tmp_path, suffix):
    run_one_kernel(str(tmp_path))
    for file in tmp_path.rglob(f"*.{suffix}"):
        file.write_bytes(b"")
    assert [run_one_kernel(str(tmp_path)) for _ in range(2)] == [COMPILED, LOADED]


def test_a_folder_that_cannot_be_written_is_no_error():
    assert run_one_kernel("/proc/nowhere").endswith("0 loaded")


def test_all_kernels_run_without_avx(tmp_path):
    result = run("-m", "regionmask_ros.pipeline.warmup", XDG_CACHE_HOME=str(tmp_path), NUMBA_ENABLE_AVX="0")
    assert result.returncode == 0 and result.stderr == ""


def test_a_relative_cache_folder_is_not_created_in_the_working_directory(tmp_path):
    home = str(tmp_path / "home")
    environment = {**os.environ, "XDG_CACHE_HOME": "here", "HOME": home, "PYTHONPATH": str(REPOSITORY)}
    code = "from regionmask_ros.jit.cache import cache_folder; print(cache_folder())"
    result = subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert result.stdout.startswith(home) and not (tmp_path / "here").exists()
