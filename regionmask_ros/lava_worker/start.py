"""Starts the worker process: ``INTERPRETER start.py FD FOLDER``.

FD is one end of a connected stream socket. FOLDER holds all temporary files and is removed when the process ends.
``INTERPRETER start.py --facts`` prints, as JSON, what the interpreter has for Lava and Loihi 2.

It is started by its path because this interpreter cannot import the pipeline's package: what the package needs (OpenCV,
Numba, ROS) is not installed here, and what Lava needs (NumPy 1) must not be installed there.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import sys
from pathlib import Path
from typing import Any

PACKAGE = "regionmask_ros"
DISTRIBUTIONS = ("lava-nc", "lava-dl", "numpy", "scipy", "networkx")
EXTENSION = ("lava.utils.loihi2_profiler", "lava.proc.embedded_io")
"""Modules that only Intel's closed extension, lava-loihi, has; lava-nc itself looks for the first one."""

VARIABLES = ("SLURM", "NOSLURM", "PARTITION", "BOARD", "LOIHI_GEN", "NXSDKHOST", "HOST_BINARY", "NXOPTIONS")
"""Environment variables that choose a board."""


def collect_facts() -> dict[str, Any]:
    """What the interpreter has, in JSON's types. Imports none of it, so it takes well under a second."""
    return {
        "python": platform.python_version(),
        "interpreter": sys.executable,
        "packages": {name: _find_version(name) for name in DISTRIBUTIONS},
        "extension": {name: _exists(name) for name in EXTENSION},
        "slurm": shutil.which("sinfo") is not None,
        "variables": {name: os.environ[name] for name in VARIABLES if name in os.environ},
    }


def _find_version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:
        return False


def _add_package_path() -> None:
    """Makes ``regionmask_ros`` importable from this file's folder, and nothing else that lies beside it."""
    room = Path(__file__).resolve().parent
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != room]
    folder = room.parent
    spec = importlib.util.spec_from_file_location(
        PACKAGE, folder / "__init__.py", submodule_search_locations=[str(folder)])
    assert spec is not None and spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = package
    spec.loader.exec_module(package)


if __name__ == "__main__":
    if sys.argv[1:] == ["--facts"]:
        print(json.dumps(collect_facts()))
    else:
        _add_package_path()
        from regionmask_ros.lava_worker.main import main

        main(int(sys.argv[1]), sys.argv[2])
