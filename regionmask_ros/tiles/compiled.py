"""Loads the compiled kernels of the tile engine.

The library is made by ``make setup``, or by ``pip install`` and ``colcon build`` where there is a compiler. Without it,
or where it does not fit the sources beside it, the reference in NumPy takes its place.
"""

from __future__ import annotations

import ctypes
import functools
from dataclasses import dataclass

from . import native_sources

_CURE = "install g++ and run `make setup` again, or `pip install` again where the package is installed"


@dataclass(frozen=True)
class Library:
    """The compiled kernels, or why there are none.

    Attributes:
        handle: The loaded library; None if it cannot be used.
        absence: One line that says why it cannot be used, and how to cure that; empty if it can.
    """

    handle: ctypes.CDLL | None
    absence: str = ""


@functools.cache
def open_library() -> Library:
    """Loads the library, once a process.

    Returns:
        The library. One that was made from other sources than those beside it is not used.
    """
    path = native_sources.LIBRARY
    if not path.is_file():
        return Library(None, f"the tile engine's compiled kernels are missing: {_CURE}")
    try:
        handle = ctypes.CDLL(str(path))
        handle.rm_tiles_digest.restype = ctypes.c_char_p
        digest = handle.rm_tiles_digest().decode()
    except (OSError, AttributeError, UnicodeDecodeError) as error:
        return Library(None, f"the tile engine's compiled kernels cannot be loaded ({error}): {_CURE}")
    if digest != native_sources.compute_digest():
        return Library(None, f"the tile engine's compiled kernels are older than their sources: {_CURE}")
    return Library(handle)


def list_kernel_sets() -> list[str]:
    """Lists the kernel sets that the library has for this processor, the fastest first; empty without a library."""
    handle = open_library().handle
    if handle is None:
        return []
    find = handle.rm_tiles_kernel_set
    find.restype, find.argtypes = ctypes.POINTER(ctypes.c_char_p), [ctypes.c_int32]
    names: list[str] = []
    # The name is the first member of a kernel set.
    while found := find(len(names)):
        names.append(found.contents.value.decode())
    return names
