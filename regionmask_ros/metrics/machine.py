"""The machine: what a measurement was made on, and how much memory is used."""

from __future__ import annotations

import ctypes
import gc
import importlib.metadata
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numba
import numpy as np

from ..engine.engine import available_kernel_sets


def resident_bytes() -> int | None:
    """Measures the resident memory of this process.

    Free memory is returned to the system first: otherwise a new camera would fill gaps that others have left, and seem
    cheaper than it is.

    Returns:
        Bytes; None if the system does not report them.
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
    """Sums the memory of arrays. Unlike `resident_bytes`, it includes pages that were never touched.

    Args:
        owners: Arrays, containers and objects of this package that hold them. Memory of several arrays counts once.
        shared: Owners whose arrays are not counted.

    Returns:
        Bytes.
    """
    own, others = _find_spans(owners), _find_spans(shared)
    return _union_length([*own, *others]) - _union_length(others)


def _union_length(spans: Sequence[tuple[int, int]]) -> int:
    """Length of the union of spans, each (first, end)."""
    total, reached = 0, 0
    for first, end in sorted(spans):
        total += max(0, end - max(first, reached))
        reached = max(reached, end)
    return total


def _find_spans(owners: Sequence[object]) -> list[tuple[int, int]]:
    """First address and end of the memory of every array that the owners hold."""
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
"""Instruction sets that matter for the speed of convolutions, as Linux spells them."""


def adds_products_exactly() -> bool:
    """Whether the processor has instructions that add products of 8-bit numbers in 32 bits."""
    return not {"avx_vnni", "avx512_vnni", "amx_int8", "asimddp", "i8mm"}.isdisjoint(find_flags())


def machine_facts() -> dict[str, Any]:
    """Collects what a measurement was made on.

    Returns:
        cpu, flags (those of ``FLAGS`` that the processor has), cores (that this process may use), kernels (available
        kernel sets, the default first), os, huge_pages, and versions; the version of a missing package is None.
    """
    info = _cpu_info()
    return {
        "cpu": info.get("model name") or platform.processor() or platform.machine(),
        "flags": find_flags(),
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


def find_flags() -> list[str]:
    """Finds which instruction sets the processor has.

    Returns:
        Those of ``FLAGS``.
    """
    info = _cpu_info()
    present = info.get("flags", info.get("Features", "")).split()
    return [flag for flag in FLAGS if flag in present]


def _huge_pages() -> str | None:
    """When programs get transparent huge pages: always, madvise or never; None if the system does not report it."""
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
    """The lines of the first processor in /proc/cpuinfo; empty without such a file."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            first = file.read().split("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}
