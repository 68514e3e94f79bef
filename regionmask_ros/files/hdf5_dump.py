"""Reads an HDF5 file from standard input and writes its integers and short texts to standard output, within limits.

This is a program of its own, because the HDF5 library may crash, or never return, on a damaged file. It imports only
h5py, NumPy and the standard library. It follows hard links only, and reads no values that are in other files or need a
plug-in to be decompressed.

Output: the length of the JSON text as u32, the JSON text, then all values as int32, all little-endian. The JSON is
{"error": reason} or {"entries": {path: entry}}. An entry is one of {"kind": "group"}, {"kind": "text", "text": text},
{"kind": "numbers", "shape": shape, "offset": index of its first value} and {"kind": "rejected", "why": reason}. Paths
are without the first slash.
"""

from __future__ import annotations

import io
import json
import math
import os
import resource
import struct
import sys
from typing import Any

MAX_INPUT_BYTES = 256 << 20
MAX_VALUES = 1 << 25
MAX_ENTRIES = 4000
MAX_DEPTH = 4
MAX_TEXT = 64
CPU_S, MEMORY_BYTES = 10, 4 << 30
_BUILT_IN_FILTERS = {1, 2, 3}
"""Deflate, shuffle and checksum, which every HDF5 library has."""


class _UnreadableEntry(Exception):
    """The reason why an entry is not read."""


def main() -> None:
    """Reads standard input, and writes standard output as the module's docstring describes."""
    # Nothing may be imported from the folder of this file.
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != os.path.dirname(os.path.abspath(__file__))]
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    data = sys.stdin.buffer.read(MAX_INPUT_BYTES)
    try:
        import h5py
    except ImportError:
        _write({"error": "h5py"}, [])
        return
    entries: dict[str, Any] = {}
    values: list[Any] = []
    with h5py.File(io.BytesIO(data), "r") as file:
        _walk(h5py, file, "", 1, entries, values)
    _write({"entries": entries}, values)


def _walk(h5py: Any, group: Any, path: str, depth: int, entries: dict[str, Any], values: list[Any]) -> None:
    for name in group:
        if len(entries) >= MAX_ENTRIES:
            raise _UnreadableEntry(f"it has more than {MAX_ENTRIES} entries")
        if not isinstance(name, str):
            raise _UnreadableEntry("a name in it is not a text")
        below = f"{path}{name}"
        try:
            entries[below] = _entry(h5py, group, name, values)
        except _UnreadableEntry as error:
            entries[below] = {"kind": "rejected", "why": str(error)}
        if entries[below]["kind"] == "group" and depth < MAX_DEPTH:
            _walk(h5py, group[name], f"{below}/", depth + 1, entries, values)


def _entry(h5py: Any, group: Any, name: str, values: list[Any]) -> dict[str, Any]:
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise _UnreadableEntry("is a link to another place")
    found = group[name]
    if isinstance(found, h5py.Group):
        return {"kind": "group"}
    if not isinstance(found, h5py.Dataset) or found.shape is None:
        raise _UnreadableEntry("is not an array")
    properties = found.id.get_create_plist()
    if found.external or found.is_virtual:
        raise _UnreadableEntry("has its values in another file")
    if {properties.get_filter(number)[0] for number in range(properties.get_nfilters())} - _BUILT_IN_FILTERS:
        raise _UnreadableEntry("is compressed by a plug-in")
    if found.dtype.kind == "S" or h5py.check_string_dtype(found.dtype) is not None:
        return {"kind": "text", "text": _text(found)}
    return {"kind": "numbers", "shape": list(found.shape), "offset": _numbers(found, values)}


def _text(dataset: Any) -> str:
    if dataset.size != 1 or dataset.dtype.itemsize > MAX_TEXT:
        raise _UnreadableEntry("is not a short text")
    value = dataset[()] if dataset.shape == () else dataset[(0,) * len(dataset.shape)]
    data = value.encode() if isinstance(value, str) else bytes(value)
    if len(data) > MAX_TEXT or not data.isascii():
        raise _UnreadableEntry("is not a short text")
    return data.decode("ascii").rstrip("\0")


def _numbers(dataset: Any, values: list[Any]) -> int:
    import numpy as np

    if dataset.dtype.kind not in "iufb" or dataset.dtype.itemsize > 8:
        raise _UnreadableEntry(f"is {dataset.dtype}, expected numbers")
    offset = sum(int(array.size) for array in values)
    if offset + math.prod(dataset.shape) > MAX_VALUES:
        raise _UnreadableEntry(f"exceeds the limit of {MAX_VALUES} numbers in the file")
    whole = np.asarray(dataset[()], np.float64)
    if not (np.isfinite(whole).all() and (whole == np.rint(whole)).all() and (np.abs(whole) < 2**31).all()):
        raise _UnreadableEntry("has values that are not integers of 31 bits")
    values.append(whole.astype("<i4"))
    return offset


def _write(facts: dict[str, Any], values: list[Any]) -> None:
    text = json.dumps(facts).encode()
    out = sys.stdout.buffer
    out.write(struct.pack("<I", len(text)) + text)
    for array in values:
        out.write(array.tobytes())


if __name__ == "__main__":
    try:
        main()
    except _UnreadableEntry as error:
        _write({"error": str(error)}, [])
