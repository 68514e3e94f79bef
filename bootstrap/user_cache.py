"""Keeps files that another clone of this user can use again: built wheels, the trained network, the demo video.

The set-up works without the cache: all its failures are ignored.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from regionmask_ros import user_folders


def find_folder(environ: Mapping[str, str]) -> Path | None:
    """Finds the cache's folder.

    Args:
        environ: The environment, with ``XDG_CACHE_HOME`` or ``HOME``.

    Returns:
        ``$XDG_CACHE_HOME/regionmask_ros`` or ``~/.cache/regionmask_ros``; None if neither is an absolute path.
    """
    base = environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):
        base = os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "regionmask_ros" if os.path.isabs(base) else None


def sha256(path: Path) -> str:
    """Computes the SHA-256 of a file in hexadecimal; empty when it cannot be read."""
    total = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                total.update(block)
    except OSError:
        return ""
    return total.hexdigest()


def store(source: Path, cache: Path | None, name: str) -> None:
    """Stores a copy of ``source`` as ``cache/name``; does nothing without a cache."""
    if cache is not None:
        with contextlib.suppress(OSError):
            user_folders.make_private((cache / name).parent)
            copy_atomically(source, cache / name)


def copy_atomically(source: Path, target: Path) -> None:
    """Copies to a temporary name beside the target, then renames, so that half a file is never visible.

    What a set-up that was killed has left there is removed.
    """
    # Here: prerequisites are checked before anything of the package is needed.
    from regionmask_ros.files.temporary import make_temporary, remove_abandoned, write_through

    target.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(str(target.parent))
    temporary, lock = make_temporary(str(target))
    try:
        shutil.copyfile(source, temporary)
        os.chmod(temporary, 0o644)
        write_through(temporary)
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise
    finally:
        os.close(lock)
