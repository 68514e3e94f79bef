"""What an interpreter has of Lava and of the way to Loihi 2, found without importing any of it: a blink of an eye."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import sys
from typing import Any

PACKAGES = ("lava-nc", "lava-dl", "numpy", "scipy", "networkx")
EXTENSION = ("lava.utils.loihi2_profiler", "lava.proc.embedded_io")
"""Modules that only Intel's closed extension, lava-loihi, brings; lava-nc itself looks for the first one."""

VARIABLES = ("SLURM", "NOSLURM", "PARTITION", "BOARD", "LOIHI_GEN", "NXSDKHOST", "HOST_BINARY", "NXOPTIONS")
"""Environment variables that choose a board."""


def facts() -> dict[str, Any]:
    """In JSON's types."""
    return {
        "python": platform.python_version(),
        "interpreter": sys.executable,
        "packages": {name: _version(name) for name in PACKAGES},
        "extension": {name: _is_there(name) for name in EXTENSION},
        "slurm": shutil.which("sinfo") is not None,
        "variables": {name: os.environ[name] for name in VARIABLES if name in os.environ},
    }


def main() -> None:
    print(json.dumps(facts()))


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:
        return False
