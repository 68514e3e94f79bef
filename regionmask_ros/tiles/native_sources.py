"""The C++ sources of the tile engine's library, and how they are compiled; ``setup.py`` and the loader read it.

It imports nothing of the package, so that ``setup.py`` can run it as a file.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "native"
LIBRARY = FOLDER / "libtiles.so"
"""Beside its sources, in a source checkout as in an installed package."""

FLAGS = ("-std=c++17", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fno-exceptions",
         "-fno-rtti", "-fvisibility=hidden", "-Wall", "-Wextra", "-Wno-psabi",
         "-Wno-maybe-uninitialized")
"""Results must not depend on the compiler: it fuses no multiplication with an addition, and nothing of -ffast-math."""

_AVX512_VNNI = ("-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512vnni", "-mprefer-vector-width=512")

INSTRUCTIONS: dict[str, tuple[str, ...]] = {
    "avx2": ("-mavx2", "-mfma"),
    "avx_vnni": ("-mavx2", "-mfma", "-mavxvnni"),
    "avx512_vnni": _AVX512_VNNI,
    "amx_int8": (*_AVX512_VNNI, "-mamx-tile", "-mamx-int8"),
    "neon_dot": ("-march=armv8.2-a+dotprod",),
}
"""Of each folder of one instruction set: the compiler's options. Other files are for every processor."""

MACHINES = {name: "aarch64" if name == "neon_dot" else "x86_64" for name in INSTRUCTIONS}
"""Of each of these folders: the kind of machine that has such instructions (``platform.machine()``)."""


def list_sources(folder: Path = FOLDER) -> list[Path]:
    """Lists the C++ files and headers, in a fixed order.

    Args:
        folder: Where they are.

    Returns:
        All files below it with the endings ``.cpp`` and ``.h``.
    """
    return sorted(path for path in folder.rglob("*") if path.suffix in (".cpp", ".h"))


def compute_digest(folder: Path = FOLDER) -> str:
    """Computes a digest of the sources and of the options; the library returns that of its own (rm_tiles_digest).

    Args:
        folder: Where the sources are.

    Returns:
        16 hexadecimal digits.
    """
    total = hashlib.sha256(repr((FLAGS, INSTRUCTIONS)).encode())
    for path in list_sources(folder):
        total.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()[:16]
