"""Reads HDF5 files of unknown origin: groups, integers and short texts.

An HDF5 file can refer to other files and to plug-ins, and the HDF5 library may crash or hang on a damaged file.
Therefore a child process, ``hdf5_dump``, reads the file within limits of time and memory and returns plain numbers and
texts. h5py is an optional dependency, loaded in the child process only.
"""

from __future__ import annotations

import json
import math
import struct
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InvalidFile

DUMP = Path(__file__).with_name("hdf5_dump.py")
TIMEOUT_S = 60.0
HINT = "reading an HDF5 file needs h5py: run 'make setup', or: pip install h5py"
DAMAGED = "truncated or damaged HDF5 file"
_LENGTH = struct.Struct("<I")


class Hdf5Group:
    """One group of an HDF5 file.

    Args:
        entries: All entries of the file by path, as ``hdf5_dump`` describes them.
        values: All integers of the file, int32.
        path: The group's path, without the first slash and with one at its end; empty for the root.

    Attributes:
        names: The names of all entries of the group, readable or not.
    """

    def __init__(self, entries: Mapping[str, Mapping[str, Any]], values: np.ndarray, path: str = "") -> None:
        self._entries, self._values, self._path = entries, values, path
        below = (name[len(path):] for name in entries if name.startswith(path))
        self.names = frozenset(name for name in below if "/" not in name)

    def group(self, name: str) -> Hdf5Group:
        """The group of this name. Raises InvalidFile when there is none."""
        self._entry(name, "group")
        return Hdf5Group(self._entries, self._values, f"{self._path}{name}/")

    def integers(self, name: str, dimensions: int | tuple[int, ...]) -> np.ndarray:
        """Reads an array of integers.

        Args:
            name: The entry's name.
            dimensions: The allowed number of dimensions, or several of them.

        Returns:
            A new int32 array.

        Raises:
            InvalidFile: The entry is missing, or is something else.
        """
        entry = self._entry(name, "numbers")
        shape, offset = entry["shape"], entry["offset"]
        if len(shape) not in np.atleast_1d(dimensions):
            raise InvalidFile(f"/{self._path}{name} is {shape}, expected {dimensions} dimensions")
        values = self._values[offset:offset + math.prod(shape)]
        if values.size != math.prod(shape):
            raise InvalidFile(DAMAGED)
        return values.reshape(shape).astype(np.int32)

    def text(self, name: str) -> str:
        """A short text. Raises InvalidFile when the entry is missing, or is something else."""
        return str(self._entry(name, "text")["text"])

    def _entry(self, name: str, kind: str) -> Mapping[str, Any]:
        path = f"{self._path}{name}"
        if path not in self._entries:
            raise InvalidFile(f"no {name} in /{self._path}: not an export of a lava-dl network")
        entry = self._entries[path]
        if entry["kind"] == "rejected":
            raise InvalidFile(f"rejected, /{path} {entry['why']}")
        if entry["kind"] != kind:
            raise InvalidFile(f"/{path} is {entry['kind']}, expected {kind}")
        return entry


def read_hdf5(data: bytes) -> Hdf5Group:
    """Reads an HDF5 file in a child process.

    Args:
        data: The file's content.

    Returns:
        The root group.

    Raises:
        InvalidFile: The file is damaged or has content that is not supported, or h5py is not installed.
    """
    try:
        done = subprocess.run(
            [sys.executable, str(DUMP)], input=data, capture_output=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise InvalidFile(f"{DAMAGED}, it cannot be read in {TIMEOUT_S:g} s") from error
    except OSError as error:
        raise InvalidFile(f"cannot be read, because {sys.executable} does not start") from error
    if done.returncode:
        raise InvalidFile(DAMAGED)
    try:
        (length,) = _LENGTH.unpack_from(done.stdout)
        facts = json.loads(done.stdout[_LENGTH.size:_LENGTH.size + length])
        values = np.frombuffer(done.stdout, "<i4", offset=_LENGTH.size + length)
    except (struct.error, ValueError) as error:
        raise InvalidFile(DAMAGED) from error
    if "error" in facts:
        raise InvalidFile(HINT if facts["error"] == "h5py" else f"rejected, {facts['error']}")
    return Hdf5Group(facts["entries"], values)
