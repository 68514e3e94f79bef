"""Files that another clone of this user can use again: built wheels, the trained network, the demo video.

A cache is a help, never a need: whatever goes wrong with it is ignored.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import Mapping


def folder(environ: Mapping[str, str]) -> Path | None:
    """``$XDG_CACHE_HOME/regionmask_ros`` or ``~/.cache/regionmask_ros``; None without an absolute place."""
    base = environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):
        base = os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "regionmask_ros" if os.path.isabs(base) else None


def sha256(path: Path) -> str:
    """The hash of a file; empty when it cannot be read."""
    total = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                total.update(block)
    except OSError:
        return ""
    return total.hexdigest()


def keep(source: Path, cache: Path | None, name: str) -> None:
    """Stores a copy as ``cache/name``."""
    if cache is not None:
        try:
            copy(source, cache / name)
        except OSError:
            pass


def copy(source: Path, target: Path) -> None:
    """Copies to a temporary name beside the target, then renames: nobody sees half a file."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=target.name + ".")
    os.close(handle)
    try:
        shutil.copyfile(source, temporary)
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise
