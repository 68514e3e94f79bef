"""Describes the Python that ``.venv`` is made from."""

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
    """A Python interpreter.

    Attributes:
        executable: Its path, symbolic links resolved.
        version: Major and minor version.
        machine: The processor's architecture, such as "x86_64".
        has_venv: Whether it can make virtual environments.
        has_headers: Whether Python.h is installed.
    """

    executable: str
    version: tuple[int, int]
    machine: str
    has_venv: bool
    has_headers: bool

    @property
    def dotted(self) -> str:
        """The version as text, such as "3.12"."""
        return f"{self.version[0]}.{self.version[1]}"

    @property
    def supported(self) -> bool:
        """Whether the project runs on this version."""
        return OLDEST <= self.version <= NEWEST

    @property
    def has_ros_wheels(self) -> bool:
        """Whether ROS exists as wheels for this platform: 64-bit x86 Linux only."""
        return sys.platform == "linux" and self.machine == "x86_64"


def describe_running() -> Interpreter:
    """Describes the Python that runs this."""
    headers = os.path.join(sysconfig.get_paths()["include"], "Python.h")
    return Interpreter(
        os.path.realpath(sys.executable), sys.version_info[:2], platform.machine(),
        has_venv=_is_importable("venv") and _is_importable("ensurepip"), has_headers=os.path.isfile(headers))


def find_base_python() -> str | None:
    """Finds the Python that the active virtual environment was made from.

    ``.venv`` itself may be the active one, and it cannot be rebuilt from the inside.

    Returns:
        Its path; None when no virtual environment is active or its base is not found.
    """
    if sys.prefix == sys.base_prefix:
        return None
    names = (f"python{sys.version_info[0]}.{sys.version_info[1]}", "python3")
    base: str = getattr(sys, "_base_executable", "")
    for candidate in [base, *(os.path.join(sys.base_prefix, "bin", name) for name in names)]:
        inside = os.path.abspath(candidate).startswith(os.path.abspath(sys.prefix) + os.sep)
        if candidate and not inside and shutil.which(candidate):
            return candidate
    return None


def _is_importable(module: str) -> bool:
    try:
        importlib.import_module(module)
    except ImportError:
        return False
    return True
