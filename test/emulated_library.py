"""A library of the tile engine's kernels for AMX, for tests on processors without it: its instructions are emulated."""

from __future__ import annotations

import ctypes
import functools
import platform
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from regionmask_ros.tiles.native_sources import FLAGS, FOLDER, INSTRUCTIONS, compute_digest

EMULATED = Path(__file__).parent / "tiles" / "emulated"
SIMDE = Path("/usr/include/simde")
AVX512_VNNI = ("avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni")

# Compiled without vectors of their own where that is enough: a quarter of the time.
QUICK_FLAGS = (*(flag for flag in FLAGS if flag not in ("-O3", "-fno-exceptions")), "-O1", "-Wno-unused-function")


def processor_has(*flags: str) -> bool:
    """Whether this is an x86 processor with these instructions."""
    return platform.machine() == "x86_64" and {*flags} <= {*Path("/proc/cpuinfo").read_text().split()}


@functools.cache
def build_emulated() -> tuple[Path, tempfile.TemporaryDirectory[str]]:
    """Compiles the library, once a process; skips the test that asks where that is not possible.

    Returns:
        The library, and the folder that it is in, which lasts as long as the object.
    """
    if shutil.which("g++") is None:
        pytest.skip("g++ is missing")
    amx: tuple[str, ...] = (*FLAGS, *INSTRUCTIONS["amx_int8"])
    vnni: tuple[str, ...] = (*QUICK_FLAGS, *INSTRUCTIONS["avx512_vnni"])
    if not processor_has(*AVX512_VNNI):
        if not processor_has("avx2") or not SIMDE.exists():
            pytest.skip("AVX-512 VNNI is missing, and so are AVX2 or SIMDe (Debian package: libsimde-dev)")
        vnni = (*QUICK_FLAGS, *INSTRUCTIONS["avx2"], f"-I{EMULATED}")
        amx = (*vnni, "-mamx-tile", "-mamx-int8")
    here, digest = (*QUICK_FLAGS, f"-I{FOLDER}"), f'-DREGIONMASK_TILES_DIGEST="{compute_digest()}"'
    sources = {FOLDER / "amx_int8" / "set.cpp": amx, FOLDER / "avx512_vnni" / "set.cpp": vnni,
               FOLDER / "engine.cpp": here, FOLDER / "resize.cpp": here, EMULATED / "module.cpp": (*here, digest),
               EMULATED / "matrix_tiles.cpp": here}
    folder = tempfile.TemporaryDirectory()

    def compile_file(source: Path) -> str:
        made = Path(folder.name) / f"{source.parent.name}_{source.stem}.o"
        command = ["g++", *sources[source], "-fPIC", "-c", str(source), "-o", str(made)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return str(made)

    library = Path(folder.name) / "libemulated.so"
    with ThreadPoolExecutor(2) as pool:
        objects = list(pool.map(compile_file, sources))
    subprocess.run(["g++", "-shared", *objects, "-o", str(library)], check=True)
    return library, folder


def open_emulated() -> ctypes.CDLL:
    """Loads the library."""
    library = ctypes.CDLL(str(build_emulated()[0]))
    library.find_violation.restype, library.are_tiles_released.restype = ctypes.c_char_p, ctypes.c_bool
    library.do_multiply_alike.argtypes, library.do_multiply_alike.restype = [ctypes.c_void_p] * 2, ctypes.c_bool
    return library
