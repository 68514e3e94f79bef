"""Compiles kernels with Numba and stores them on disk, so that the next start is quick.

Numba's own cache does not notice an edit in another file that a stored kernel calls, and does not distinguish
processors that share a home directory. So kernels are stored in a folder whose name is a hash of all kernel sources,
Numba's version and the processor. A cache that is damaged, full or used by several processes costs time, never a
result.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import re
import tempfile
import threading
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, cast

import llvmlite.binding
import numba
import numpy as np
from numba.core import config
from numba.core.caching import FunctionCache
from numba.core.codegen import get_host_cpu_features

from .. import user_folders
from .compilation import announce_compilations

OLDEST = (0, 55)
"""The first version with Python 3.10 and LLVM 11. 0.55.2 with llvmlite 0.38 is tested and runs all kernel sets."""


@cache
def is_numba_supported() -> bool:
    """Returns whether this Numba can compile vector code; logs a warning once when it cannot."""
    found = tuple(map(int, re.findall(r"\d+", numba.__version__)[:2]))
    if found < OLDEST:
        logging.getLogger(__name__).warning(
            "Numba %s is older than %d.%d: the event engine uses its portable kernels, which are slower",
            numba.__version__, *OLDEST)
    return found >= OLDEST


KERNEL_ROOMS = ("core", "detection", "encoder", "engine", "jit", "mask", "sources", "tiles", "tracking")
"""Folders of the package that hold kernels."""


def cache_folder() -> Path | None:
    """Finds the folder for these kernels on this processor, and creates it when it is missing.

    Returns:
        A folder below ``$XDG_CACHE_HOME/regionmask_ros/kernels`` or ``~/.cache/regionmask_ros/kernels``. None when it
        cannot be written, and with a warning when another user could write there: kernels are machine code.
    """
    ours = user_folders.cache_folder()
    if ours is None:
        return None
    folder = ours / "kernels" / _key()
    try:
        user_folders.make_private(folder)
        reason = user_folders.find_distrust(folder)
        if reason:
            logging.getLogger(__name__).warning(
                "stored kernels are not used, and kernels are compiled at every start, because %s", reason)
            return None
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        return None


def _key() -> str:
    digest = hashlib.sha256()
    package = Path(__file__).parent.parent
    for room in KERNEL_ROOMS:
        for source in sorted((package / room).rglob("*.py")):
            digest.update(str(source.relative_to(package)).encode() + b"\0" + source.read_bytes())
    for text in (numba.__version__, llvmlite.binding.get_host_cpu_name(), get_host_cpu_features()):
        digest.update(text.encode() + b"\0")
    return digest.hexdigest()[:24]


# To a type checker, `kernel` changes nothing: a kernel is called with the arguments that its function has.
_F = TypeVar("_F", bound=Callable[..., Any])

Whole: TypeAlias = "int | np.signedinteger[Any]"
"""A whole number inside a kernel, where Python's and NumPy's mix."""

_FOLDER = cache_folder()
announce_compilations(_FOLDER is not None)
_DECORATING = threading.Lock()


class _FaultTolerantCache(FunctionCache):  # type: ignore[misc]  # Numba has no types
    """Numba's cache of one function, without its failure modes.

    An index that a power cut has left empty would raise at every start; it is deleted. A kernel that cannot be stored
    is used all the same. Numba numbers the variants of a function without a lock, so two processes could overwrite each
    other's; here one process saves at a time.
    """

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # noqa: BLE001  whatever unpickling and LLVM raise on damaged files
            with contextlib.suppress(OSError):
                os.unlink(self._cache_file._index_path)
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        # The kernel is compiled and works. If it cannot be stored (full disk), the next start compiles it again.
        with contextlib.suppress(Exception), _lock_compilation():
            super().save_overload(sig, data)


@contextlib.contextmanager
def _lock_compilation() -> Iterator[None]:
    assert _FOLDER is not None
    with open(_FOLDER / "lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def kernel(function: _F) -> _F:
    """Decorates a kernel: it is compiled for this processor at the first call, and stored on disk where possible.

    Kernels release the interpreter's lock, do not check bounds, and never raise. Their arguments are arrays, numbers
    and plain tuples of these: Numba identifies a plain tuple in C, and a NamedTuple in Python, which takes 1 us more.

    Args:
        function: The kernel in Python.

    Returns:
        The compiled kernel, which has the same arguments.
    """
    compiled: Any = numba.njit(nogil=True, boundscheck=False, error_model="numpy")(function)
    if _FOLDER is not None and not config.DISABLE_JIT:
        # Numba reads its setting when the cache is made. It is restored for other users of Numba in this process.
        with _DECORATING:
            previous, config.CACHE_DIR = config.CACHE_DIR, str(_FOLDER)
            try:
                compiled._cache = _FaultTolerantCache(function)
            finally:
                config.CACHE_DIR = previous
    return cast(_F, compiled)
