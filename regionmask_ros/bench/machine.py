"""What a measurement was made on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path

import cv2
import numba
import numpy as np

from ..engine.event_engine import available_paths

PEER_PACKAGES = ("onnx", "onnxruntime", "openvino", "torch")
FLAGS = ("avx2", "fma", "avx_vnni", "avx512f", "avx512bw", "avx512_vnni", "amx_int8", "amx_bf16", "asimddp", "i8mm")
"""Instruction sets that decide how fast integers and floats are convolved, as Linux spells them."""


def machine_facts() -> dict:
    """cpu, flags (those of ``FLAGS`` that are here), cores (that this process may use), kernels (paths that are
    available here, the default first), os, and versions; None for a peer that is not installed."""
    info = _cpu_info()
    present = info.get("flags", info.get("Features", "")).split()
    return {
        "cpu": info.get("model name") or platform.processor() or platform.machine(),
        "flags": [flag for flag in FLAGS if flag in present],
        "cores": len(os.sched_getaffinity(0)),
        "kernels": list(available_paths()),
        "os": platform.platform(),
        "huge_pages": _huge_pages(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": numba.__version__,
        "opencv": cv2.__version__,
        **{name: _installed(name) for name in PEER_PACKAGES},
    }


def _huge_pages() -> str | None:
    """Whether programs may have transparent huge pages: always, madvise or never; None where nobody tells."""
    try:
        text = Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text(encoding="ascii")
    except OSError:
        return None
    return text.partition("[")[2].partition("]")[0] or None


def _installed(package: str) -> str | None:
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
