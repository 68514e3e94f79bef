"""Checks what the machine must have before anything is created, and names the Debian package for what is missing."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .interpreter import NEWEST, OLDEST, Interpreter

APT_LINE = "sudo apt install git make g++ python3-venv python3-dev"
"""Installs all prerequisites on Debian and Ubuntu. The README shows the same line."""

NEEDED_BYTES = 1_500_000_000


@dataclass(frozen=True)
class Missing:
    """A missing prerequisite.

    Attributes:
        what: The prerequisite, in words.
        package: The Debian package that brings it; empty if there is none.
    """

    what: str
    package: str

    def __str__(self) -> str:
        return f"missing: {self.what}" + (f" (Debian package: {self.package})" if self.package else "")


def find_missing(python: Interpreter, builds_messages: bool, environ: Mapping[str, str],
                 which: Callable[[str], str | None] = shutil.which) -> list[Missing]:
    """Checks the Python, its modules and headers, and the compilers.

    Args:
        python: The Python that ``.venv`` is made from.
        builds_messages: Whether message types are built, which needs a compiler and Python's headers.
        environ: The environment; ``CC`` and ``CXX`` choose the compilers.
        which: Finds a program by its name.

    Returns:
        Everything that is missing, not only the first thing.
    """
    found = []
    if not python.supported:
        oldest, newest = (f"{version[0]}.{version[1]}" for version in (OLDEST, NEWEST))
        found.append(Missing(f"Python {oldest} to {newest}; {python.executable} is {python.dotted}. To use another "
                             "one: make setup PYTHON=/path/to/python3.12", "python3"))
    if not python.has_venv:
        found.append(Missing(f"the venv and ensurepip modules of {python.executable}", _package(python, "venv")))
    if builds_messages:
        if not python.has_headers:
            found.append(Missing(f"Python.h, the headers of {python.executable}", _package(python, "dev")))
        # Debian's g++ brings gcc.
        if not _has_compiler("CC", ("cc", "gcc"), environ, which):
            found.append(Missing(_describe_compiler("C", "CC", environ), "g++"))
        if not has_cxx_compiler(environ, which):
            found.append(Missing(_describe_compiler("C++", "CXX", environ), "g++"))
    return found


def find_missing_space(root: Path) -> list[Missing]:
    """Checks that the disk has room for a new ``.venv``."""
    free = shutil.disk_usage(root).free
    if free >= NEEDED_BYTES:
        return []
    return [Missing(f"{NEEDED_BYTES / 1e9:.1f} GB of free disk space at {root}; {free / 1e9:.1f} GB are free", "")]


def _package(python: Interpreter, kind: str) -> str:
    """Names Debian's package: ``python3-venv`` for its default Python, ``python3.12-venv`` for another version."""
    default = os.path.realpath("/usr/bin/python3")
    versioned = f"python{python.dotted}-{kind}"
    return f"python3-{kind}" if python.executable == default else f"{versioned}; python3-{kind} for Debian's own Python"


def has_cxx_compiler(environ: Mapping[str, str], which: Callable[[str], str | None] = shutil.which) -> bool:
    """Checks for a C++ compiler: that of ``CXX``, or one with a usual name."""
    return _has_compiler("CXX", ("c++", "g++"), environ, which)


def _has_compiler(variable: str, names: tuple[str, ...], environ: Mapping[str, str],
                  which: Callable[[str], str | None]) -> bool:
    chosen = shlex.split(environ.get(variable, ""))
    return any(which(name) for name in (chosen[:1] or names))


def _describe_compiler(language: str, variable: str, environ: Mapping[str, str]) -> str:
    chosen = environ.get(variable)
    return f"a {language} compiler" + (f" ({variable}={chosen} is not found)" if chosen else "")
