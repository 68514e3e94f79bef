"""HDF5 files that may come from anybody: groups, whole numbers and short texts.

HDF5 can point anywhere (to other files, to code that unpacks values), and its library may crash or hang on a damaged
file. So a program of its own, ``hdf5_dump``, reads it within limits of time and memory, and only plain numbers and
texts come back. h5py is an optional dependency, loaded over there.
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


class Group:
    """One group of the file. names: of what is in it, whether it can be read or not."""

    def __init__(self, entries: Mapping[str, Mapping[str, Any]], values: np.ndarray, path: str = "") -> None:
        self._entries, self._values, self._path = entries, values, path
        below = (name[len(path):] for name in entries if name.startswith(path))
        self.names = frozenset(name for name in below if "/" not in name)

    def group(self, name: str) -> Group:
        """Raises Refused when there is no group of that name."""
        self._entry(name, "group")
        return Group(self._entries, self._values, f"{self._path}{name}/")

    def integers(self, name: str, dimensions: int | tuple[int, ...]) -> np.ndarray:
        """int32 of so many dimensions. Raises Refused for anything else."""
        entry = self._entry(name, "numbers")
        shape, offset = entry["shape"], entry["offset"]
        if len(shape) not in np.atleast_1d(dimensions):
            raise InvalidFile(f"/{self._path}{name} is {shape}, expected {dimensions} dimensions")
        return self._values[offset:offset + math.prod(shape)].reshape(shape).astype(np.int32)

    def text(self, name: str) -> str:
        """A short text. Raises Refused for anything else."""
        return str(self._entry(name, "text")["text"])

    def _entry(self, name: str, kind: str) -> Mapping[str, Any]:
        path = f"{self._path}{name}"
        if path not in self._entries:
            raise InvalidFile(f"no {name} in /{self._path}: not an export of a lava-dl network")
        entry = self._entries[path]
        if entry["kind"] == "refused":
            raise InvalidFile(f"refused, /{path} {entry['why']}")
        if entry["kind"] != kind:
            raise InvalidFile(f"/{path} is {entry['kind']}, expected {kind}")
        return entry


def read_hdf5(data: bytes) -> Group:
    """The root group of a file's bytes. Raises Refused, also without h5py."""
    try:
        done = subprocess.run([sys.executable, str(DUMP)], input=data, capture_output=True, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise InvalidFile(f"{DAMAGED}, it cannot be read in {TIMEOUT_S:g} s") from error
    except OSError as error:
        raise InvalidFile(f"cannot be read, {sys.executable} does not start") from error
    if done.returncode:
        raise InvalidFile(DAMAGED)
    try:
        (length,) = _LENGTH.unpack_from(done.stdout)
        facts = json.loads(done.stdout[_LENGTH.size:_LENGTH.size + length])
        values = np.frombuffer(done.stdout, "<i4", offset=_LENGTH.size + length)
    except (struct.error, ValueError) as error:
        raise InvalidFile(DAMAGED) from error
    if "error" in facts:
        raise InvalidFile(HINT if facts["error"] == "h5py" else f"refused, {facts['error']}")
    return Group(facts["entries"], values)
