"""What a measurement was made on."""

from __future__ import annotations

import os
import platform

import numba
import numpy as np

FLAGS = ("avx2", "fma", "avx_vnni", "avx512f", "avx512bw", "avx512_vnni", "amx_int8", "amx_bf16", "asimddp", "i8mm")
"""Instruction sets that decide how fast integers and floats are convolved, as Linux spells them."""


def machine_facts() -> dict:
    """cpu, flags (those of ``FLAGS`` that are here), cores (that this process may use), os, and versions."""
    info = _cpu_info()
    present = info.get("flags", info.get("Features", "")).split()
    return {
        "cpu": info.get("model name") or platform.processor() or platform.machine(),
        "flags": [flag for flag in FLAGS if flag in present],
        "cores": len(os.sched_getaffinity(0)),
        "os": platform.platform(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": numba.__version__,
    }


def _cpu_info() -> dict[str, str]:
    """The first processor's lines of /proc/cpuinfo; empty where there is no such file."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            first = file.read().split("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}
