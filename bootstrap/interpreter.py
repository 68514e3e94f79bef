"""The Python that ``.venv`` is made from, and what it can do."""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import sys
import sysconfig
from dataclasses import dataclass

OLDEST, NEWEST = (3, 10), (3, 13)


@dataclass(frozen=True)
class Interpreter:
    """Facts about the running Python: where it is, ``version`` (major, minor), machine, and what it lacks."""

    executable: str
    version: tuple[int, int]
    machine: str
    has_venv: bool
    has_headers: bool

    @property
    def dotted(self) -> str:
        return f"{self.version[0]}.{self.version[1]}"

    @property
    def supported(self) -> bool:
        return OLDEST <= self.version <= NEWEST

    @property
    def has_ros_wheels(self) -> bool:
        """ROS wheels exist for 64-bit x86 Linux only."""
        return sys.platform == "linux" and self.machine == "x86_64"


def running() -> Interpreter:
    """Describes the Python that runs this."""
    headers = os.path.join(sysconfig.get_paths()["include"], "Python.h")
    return Interpreter(
        os.path.realpath(sys.executable), sys.version_info[:2], platform.machine(),
        has_venv=_importable("venv") and _importable("ensurepip"), has_headers=os.path.isfile(headers))


def base_interpreter() -> str | None:
    """The Python below an activated virtual environment; None when none is active or its base is not found.

    ``.venv`` itself may be the active one: it cannot be rebuilt from the inside.
    """
    if sys.prefix == sys.base_prefix:
        return None
    names = (f"python{sys.version_info[0]}.{sys.version_info[1]}", "python3")
    candidates = [getattr(sys, "_base_executable", "")] + [os.path.join(sys.base_prefix, "bin", name) for name in names]
    for candidate in candidates:
        inside = os.path.abspath(candidate).startswith(os.path.abspath(sys.prefix) + os.sep)
        if candidate and not inside and shutil.which(candidate):
            return candidate
    return None


def _importable(module: str) -> bool:
    try:
        importlib.import_module(module)
    except ImportError:
        return False
    return True
