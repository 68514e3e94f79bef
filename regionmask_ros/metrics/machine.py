"""What a camera takes of the computer's memory.

What a measurement was made on.
"""

from __future__ import annotations

import ctypes
import gc
import importlib.metadata
import os
import platform
from collections.abc import Sequence
from pathlib import Path

import cv2
import numba
import numpy as np

from ..engine.engine import available_kernel_sets


def resident_bytes() -> int | None:
    """Memory that this process has in use now; None where the system does not tell.

    What is free is given back first: otherwise a new camera would fill the holes that others have left, and look
    cheaper than it is.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None


def array_bytes(owners: Sequence[object], shared: Sequence[object] = ()) -> int:
    """Bytes of all arrays that the owners hold, in objects of this package and in containers, without the shared ones.

    Memory that several arrays cover counts once. Pages that were never touched count too, which ``resident_bytes`` does
    not see.
    """
    own, others = _memories(owners), _memories(shared)
    return _length([*own, *others]) - _length(others)


def _length(spans: Sequence[tuple[int, int]]) -> int:
    """Length of the union of spans, each (first, one behind the last)."""
    total, reached = 0, 0
    for first, end in sorted(spans):
        total += max(0, end - max(first, reached))
        reached = max(reached, end)
    return total


def _memories(owners: Sequence[object]) -> list[tuple[int, int]]:
    """First address of every array's memory and the one behind it."""
    package = __package__.partition(".")[0]
    seen: set[int] = set()
    found = []
    waiting = list(owners)
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, np.ndarray):
            found.append((thing.ctypes.data, thing.ctypes.data + thing.nbytes))
        elif isinstance(thing, dict):
            waiting += thing.values()
        elif isinstance(thing, (list, tuple)):
            waiting += thing
        elif type(thing).__module__.partition(".")[0] == package:
            waiting += getattr(thing, "__dict__", {}).values()
            waiting += [getattr(thing, name) for name in getattr(type(thing), "__slots__", ()) if hasattr(thing, name)]
    return found


BASELINE_PACKAGES = ("onnx", "onnxruntime", "openvino", "torch")
FLAGS = ("avx2", "fma", "avx_vnni", "avx512f", "avx512bw", "avx512_vnni", "amx_int8", "amx_bf16", "asimddp", "i8mm")
"""Instruction sets that decide how fast integers and floats are convolved, as Linux spells them."""


def machine_facts() -> dict:
    """cpu, flags (those of ``FLAGS`` that are here), cores (that this process may use), kernels (paths that are
    available here, the default first), os, and versions; None for a peer that is not installed.
    """
    info = _cpu_info()
    present = info.get("flags", info.get("Features", "")).split()
    return {
        "cpu": info.get("model name") or platform.processor() or platform.machine(),
        "flags": [flag for flag in FLAGS if flag in present],
        "cores": len(os.sched_getaffinity(0)),
        "kernels": list(available_kernel_sets()),
        "os": platform.platform(),
        "huge_pages": _huge_pages(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": numba.__version__,
        "opencv": cv2.__version__,
        **{name: _installed_version(name) for name in BASELINE_PACKAGES},
    }


def _huge_pages() -> str | None:
    """Whether programs may have transparent huge pages: always, madvise or never; None where nobody tells."""
    try:
        text = Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text(encoding="ascii")
    except OSError:
        return None
    return text.partition("[")[2].partition("]")[0] or None


def _installed_version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpu_info() -> dict[str, str]:
    """The first processor's lines of /proc/cpuinfo; empty where there is no such file."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            first = file.read().split("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}
