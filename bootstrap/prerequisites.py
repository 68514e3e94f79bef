"""What the machine must have before anything is created, and which Debian package brings it."""

from __future__ import annotations

import os
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Mapping

from .interpreter import NEWEST, OLDEST, Interpreter

REQUIRED_BYTES = 1_500_000_000


@dataclass(frozen=True)
class MissingPackage:
    """One thing that is missing and the Debian package (``""``: none) that brings it."""

    what: str
    package: str

    def __str__(self) -> str:
        return f"missing: {self.what}" + (f" (Debian package: {self.package})" if self.package else "")


def missing(python: Interpreter, builds_messages: bool, environ: Mapping[str, str],
            which: Callable[[str], str | None] = shutil.which) -> list[MissingPackage]:
    """Everything that is missing, not only the first thing. ``builds_messages``: a compiler and headers are needed."""
    found = []
    if not python.supported:
        oldest, newest = (f"{version[0]}.{version[1]}" for version in (OLDEST, NEWEST))
        found.append(MissingPackage(f"Python {oldest} to {newest}, this is {python.dotted} at {python.executable}; "
                             "name another one: make setup PYTHON=/path/to/python3.12", "python3"))
    if not python.has_venv:
        found.append(MissingPackage(f"the venv and ensurepip modules of {python.executable}", _package(python, "venv")))
    if builds_messages:
        if not python.has_headers:
            found.append(MissingPackage(f"Python.h, the headers of {python.executable}", _package(python, "dev")))
        if not _compiler("CC", ("cc", "gcc"), environ, which):
            found.append(MissingPackage(_compiler_name("C", "CC", environ), "gcc"))
        if not _compiler("CXX", ("c++", "g++"), environ, which):
            found.append(MissingPackage(_compiler_name("C++", "CXX", environ), "g++"))
    return found


def missing_space(root: Path) -> list[MissingPackage]:
    """A disk that is too full for a new ``.venv``."""
    free = shutil.disk_usage(root).free
    if free >= REQUIRED_BYTES:
        return []
    return [MissingPackage(f"{REQUIRED_BYTES / 1e9:.1f} GB of free disk space at {root}, there are {free / 1e9:.1f} GB", "")]


def _package(python: Interpreter, kind: str) -> str:
    """Debian has ``python3-venv`` for its default Python and ``python3.12-venv`` for a certain one."""
    default = os.path.realpath("/usr/bin/python3")
    certain = f"python{python.dotted}-{kind}"
    return f"python3-{kind}" if python.executable == default else f"{certain}; python3-{kind} for Debian's own Python"


def _compiler(variable: str, names: tuple[str, ...], environ: Mapping[str, str],
              which: Callable[[str], str | None]) -> bool:
    chosen = shlex.split(environ.get(variable, ""))
    return any(which(name) for name in (chosen[:1] or names))


def _compiler_name(language: str, variable: str, environ: Mapping[str, str]) -> str:
    chosen = environ.get(variable)
    return f"a {language} compiler" + (f" ({variable}={chosen} is not found)" if chosen else "")
