"""The cache of compiled kernels costs time when something is wrong with it, never a result."""

from __future__ import annotations

import pytest
from python_process import run_python

ONE_KERNEL = """
from regionmask_ros.core.events import ChangeMap, list_events
index, _ = ChangeMap(16, 16, 3).list_changes()
assert len(index) == 0
print(sum(list_events.stats.cache_misses.values()), "compiled", sum(list_events.stats.cache_hits.values()), "loaded")
"""
COMPILED, LOADED = "1 compiled 0 loaded", "0 compiled 1 loaded"


def run_one_kernel(folder: str) -> str:
    """Calls one kernel in a new process; returns whether it was compiled or loaded."""
    result = run_python("-c", ONE_KERNEL, XDG_CACHE_HOME=folder)
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
    result = run_python("-m", "regionmask_ros.pipeline.warmup", XDG_CACHE_HOME=str(tmp_path), NUMBA_ENABLE_AVX="0")
    assert result.returncode == 0
    assert all(line.startswith("compiling kernels: ") for line in result.stderr.splitlines())


def test_a_relative_cache_folder_is_not_created_in_the_working_directory(tmp_path, monkeypatch):
    home = str(tmp_path / "home")
    monkeypatch.chdir(tmp_path)
    code = "from regionmask_ros.jit.cache import cache_folder; print(cache_folder())"
    result = run_python("-c", code, XDG_CACHE_HOME="here", HOME=home)
    assert result.stdout.startswith(home) and not (tmp_path / "here").exists()


def test_a_folder_that_others_can_write_is_not_used_and_that_is_said(tmp_path):
    run_one_kernel(str(tmp_path))
    (folder,) = (tmp_path / "regionmask_ros" / "kernels").iterdir()
    folder.chmod(0o777)
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    result = run_python("-c", ONE_KERNEL, XDG_CACHE_HOME=str(tmp_path))
    assert result.stdout.strip().endswith("0 loaded")
    assert f"other users can write to {folder}" in result.stderr
    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before
