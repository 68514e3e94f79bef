"""Which Numba the kernels with vector instructions need.

Where compiled kernels are kept between runs.

Numba's own cache does not notice an edit in *another* file that a cached kernel calls, and does not tell processors
apart on a shared home. So kernels are kept in a folder whose name is a hash of all engine sources, Numba's version and
the processor. A cache that is damaged, full or used by several processes at once costs time, never a result.
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
from typing import Any, TypeVar, cast

import llvmlite.binding
import numba
from numba.core import config
from numba.core.caching import FunctionCache
from numba.core.codegen import get_host_cpu_features

OLDEST = (0, 55)
"""The first that knows Python 3.10 and LLVM 11; 0.55.2 with llvmlite 0.38 is tested and runs all paths."""


@cache
def is_numba_supported() -> bool:
    """Whether this Numba compiles vector code. Says once when it does not."""
    found = tuple(map(int, re.findall(r"\d+", numba.__version__)[:2]))
    if found < OLDEST:
        logging.getLogger(__name__).warning(
            "Numba %s is older than %d.%d: the event engine takes its portable path, which is slower",
            numba.__version__, *OLDEST)
    return found >= OLDEST


KERNEL_ROOMS = ("core", "detection", "encoder", "engine", "jit", "mask", "tracking")
"""Folders of the package that hold kernels."""


def cache_folder() -> Path | None:
    """The folder for this engine on this processor, created if need be; None when no place can be written to.

    Below ``$XDG_CACHE_HOME/regionmask_ros/kernels`` or ``~/.cache/regionmask_ros/kernels``.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):
        base = os.path.expanduser("~/.cache")
    if not os.path.isabs(base):
        return None
    folder = Path(base) / "regionmask_ros" / "kernels" / _key()
    try:
        folder.mkdir(parents=True, exist_ok=True)
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

_FOLDER = cache_folder()
_DECORATING = threading.Lock()


class _FaultTolerantCache(FunctionCache):
    """Numba's cache of one function, without its ways to fail.

    An index that a power cut has left empty would raise at every start, and for ever; it is thrown away. A kernel that
    cannot be kept is used all the same. Numba numbers the variants of a function without a lock, so that two processes
    could mistake each other's; here one process saves at a time.
    """

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # noqa: BLE001  whatever unpickling and LLVM raise on damaged files
            with contextlib.suppress(OSError):
                os.unlink(self._cache_file._index_path)
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        # The kernel is compiled and works: a full disk, for one, only means that the next start compiles it again.
        with contextlib.suppress(Exception), _lock_compilation():
            super().save_overload(sig, data)


@contextlib.contextmanager
def _lock_compilation() -> Iterator[None]:
    with open(_FOLDER / "lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def kernel(function: _F) -> _F:
    """Decorator: compile for this processor at the first call, keep the result on disk where that is possible.

    Kernels release the interpreter's lock, do not check bounds, and never raise.
    """
    compiled: Any = numba.njit(nogil=True, boundscheck=False, error_model="numpy")(function)
    if _FOLDER is not None and not config.DISABLE_JIT:
        # Numba reads its setting when the cache is made. It is put back so that other users of Numba in this process
        # keep their own.
        with _DECORATING:
            previous, config.CACHE_DIR = config.CACHE_DIR, str(_FOLDER)
            try:
                compiled._cache = _FaultTolerantCache(function)
            finally:
                config.CACHE_DIR = previous
    return cast(_F, compiled)
