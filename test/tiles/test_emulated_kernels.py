"""Kernel sets for processors that are not this one, emulated, equal the portable set, which is tested everywhere."""

from __future__ import annotations

import platform
import shutil
import subprocess
from pathlib import Path

import pytest

from regionmask_ros.tiles.native_sources import FLAGS, FOLDER

HERE = Path(__file__).parent / "emulated"
# Compiled without vectors of their own where that is enough: a quarter of the time.
QUICK = ("-O1", "-Wno-unused-function")
NATIVE, ARM = ("g++",), ("aarch64-linux-gnu-g++", "-static")
IN_ARM = ("qemu-aarch64-static",)


def compare(folder: Path, compiler: tuple[str, ...], run: tuple[str, ...], name: str, constant: str,
            *options: str) -> str:
    """Compiles the portable set and another one, and returns what the comparison prints."""
    program = folder / name
    flags = (*(flag for flag in FLAGS if flag not in ("-O3", "-fno-exceptions")), *QUICK)
    objects = []
    for source, extra in ((FOLDER / "portable" / "set.cpp", ()), (FOLDER / name / "set.cpp", options),
                          (HERE / "compare.cpp", (f"-I{FOLDER}", f"-DSET={constant}"))):
        made = folder / f"{source.parent.name}_{source.stem}.o"
        command = [*compiler, *flags, *extra, "-c", str(source), "-o", str(made)]
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
    if platform.machine() != "x86_64" or "avx2" not in Path("/proc/cpuinfo").read_text():
        pytest.skip("SIMDe's emulation is compiled for AVX2, which this processor lacks")
    if not Path("/usr/include/simde").exists():
        pytest.skip("SIMDe is missing (Debian package: libsimde-dev)")
    assert len(compare(tmp_path, NATIVE, (), name, constant, "-mavx2", f"-I{HERE}")) == 17


def test_kernels_for_arm_equal_the_portable_ones_there_and_here(tmp_path):
    require("g++", ARM[0], IN_ARM[0])
    there = compare(tmp_path, ARM, IN_ARM, "neon_dot", "kNeonDot", "-march=armv8.2-a+dotprod")
    (tmp_path / "here").mkdir()
    assert compare(tmp_path / "here", NATIVE, (), "portable", "kPortable") == there
