"""Where compiled kernels are kept between runs.

Numba's own cache does not notice an edit in *another* file that a cached kernel calls, and does not tell processors
apart on a shared home. So kernels are kept in a folder whose name is a hash of all engine sources, Numba's version and
the processor.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Callable

import llvmlite.binding
import numba
from numba.core import config


def cache_folder() -> Path | None:
    """The folder for this engine on this processor, created if need be; None when no place can be written to.

    Below ``$XDG_CACHE_HOME/regionmask_ros/kernels`` or ``~/.cache/regionmask_ros/kernels``.
    """
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    folder = Path(base) / "regionmask_ros" / "kernels" / _key()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        return None


def _key() -> str:
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    features = llvmlite.binding.get_host_cpu_features().flatten()
    for text in (numba.__version__, llvmlite.binding.get_host_cpu_name(), features):
        digest.update(text.encode() + b"\0")
    return digest.hexdigest()[:24]


_FOLDER = cache_folder()


def kernel(function: Callable) -> Callable:
    """Decorator: compile for this processor at the first call, keep the result on disk where that is possible.

    Kernels release the interpreter's lock, do not check bounds, and never raise.
    """
    options = {"nogil": True, "boundscheck": False, "error_model": "numpy"}
    if _FOLDER is None:
        return numba.njit(**options)(function)
    # Numba reads its setting when a function is decorated. It is put back so that other users of Numba in this process
    # keep their own cache.
    previous, config.CACHE_DIR = config.CACHE_DIR, str(_FOLDER)
    try:
        return numba.njit(cache=True, **options)(function)
    finally:
        config.CACHE_DIR = previous
