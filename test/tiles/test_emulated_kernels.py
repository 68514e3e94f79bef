"""Kernel sets for processors that are not this one, emulated, equal the portable set, which is tested everywhere."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from emulated_library import EMULATED, QUICK_FLAGS, SIMDE, processor_has

from regionmask_ros.tiles.native_sources import FOLDER

NATIVE, ARM = ("g++",), ("aarch64-linux-gnu-g++", "-static")
IN_ARM = ("qemu-aarch64-static",)


def compare(folder: Path, compiler: tuple[str, ...], run: tuple[str, ...], name: str, constant: str,
            *options: str) -> str:
    """Compiles the portable set and another one, and returns what the comparison prints."""
    program = folder / name
    objects = []
    for source, extra in ((FOLDER / "portable" / "set.cpp", ()), (FOLDER / name / "set.cpp", options),
                          (EMULATED / "compare.cpp", (f"-I{FOLDER}", f"-DSET={constant}"))):
        made = folder / f"{source.parent.name}_{source.stem}.o"
        command = [*compiler, *QUICK_FLAGS, *extra, "-c", str(source), "-o", str(made)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        objects.append(str(made))
    subprocess.run([*compiler, *dict.fromkeys(objects), "-o", str(program)], check=True)
    done = subprocess.run([*run, str(program)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def require(*programs: str) -> None:
    missing = [name for name in programs if shutil.which(name) is None]
    if missing:
        pytest.skip(f"missing: {', '.join(missing)} (Debian: g++, g++-aarch64-linux-gnu, qemu-user-static)")


@pytest.mark.parametrize(("name", "constant"), [("avx_vnni", "kAvxVnni"), ("avx512_vnni", "kAvx512Vnni")])
def test_kernels_for_newer_x86_processors_equal_the_portable_ones(name, constant, tmp_path):
    require("g++")
    if not processor_has("avx2"):
        pytest.skip("SIMDe's emulation is compiled for AVX2, which this processor lacks")
    if not SIMDE.exists():
        pytest.skip("SIMDe is missing (Debian package: libsimde-dev)")
    assert len(compare(tmp_path, NATIVE, (), name, constant, "-mavx2", f"-I{EMULATED}")) == 17


def test_kernels_for_arm_equal_the_portable_ones_there_and_here(tmp_path):
    require("g++", ARM[0], IN_ARM[0])
    there = compare(tmp_path, ARM, IN_ARM, "neon_dot", "kNeonDot", "-march=armv8.2-a+dotprod")
    (tmp_path / "here").mkdir()
    assert compare(tmp_path / "here", NATIVE, (), "portable", "kPortable") == there
