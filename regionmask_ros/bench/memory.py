"""What a camera takes of the computer's memory."""

from __future__ import annotations

import ctypes
import gc
import os
from typing import Sequence

import numpy as np


def resident_bytes() -> int | None:
    """Memory that this process has in use now; None where the system does not tell.

    What is free is given back first: otherwise a new camera would fill the holes that others have left, and look
    cheaper than it is.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None


def array_bytes(owners: Sequence[object], shared: Sequence[object] = ()) -> int:
    """Bytes of all arrays that the owners hold, in objects of this package and in containers, without the shared ones.

    Memory that several arrays cover counts once. Pages that were never touched count too, which ``resident_bytes`` does
    not see.
    """
    own, others = _memories(owners), _memories(shared)
    return _length([*own, *others]) - _length(others)


def _length(spans: Sequence[tuple[int, int]]) -> int:
    """Length of the union of spans, each (first, one behind the last)."""
    total, reached = 0, 0
    for first, end in sorted(spans):
        total += max(0, end - max(first, reached))
        reached = max(reached, end)
    return total


def _memories(owners: Sequence[object]) -> list[tuple[int, int]]:
    """First address of every array's memory and the one behind it."""
    package = __package__.partition(".")[0]
    seen: set[int] = set()
    found = []
    waiting = list(owners)
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, np.ndarray):
            found.append((thing.ctypes.data, thing.ctypes.data + thing.nbytes))
        elif isinstance(thing, dict):
            waiting += thing.values()
        elif isinstance(thing, (list, tuple)):
            waiting += thing
        elif type(thing).__module__.partition(".")[0] == package:
            waiting += getattr(thing, "__dict__", {}).values()
            waiting += [getattr(thing, name) for name in getattr(type(thing), "__slots__", ()) if hasattr(thing, name)]
    return found
