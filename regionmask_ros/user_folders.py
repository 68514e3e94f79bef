"""The folders of this program in the user's home, and whether others could put something into them.

Compiled kernels are machine code, and so is most of what runtimes keep: whoever writes into their folder decides what
this program does. Such a folder is used only if nobody but its user can write there.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

PRIVATE = 0o700
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def cache_folder() -> Path | None:
    """Finds the folder for what can be made again; nothing is made.

    Returns:
        ``$XDG_CACHE_HOME/regionmask_ros`` or ``~/.cache/regionmask_ros``. Where that cannot be made or written, or for
        a user without a home, ``cache/regionmask_ros`` in the virtual environment that runs this program. None for a
        user without a home where there is none.
    """
    usual = _folder("XDG_CACHE_HOME", "~/.cache")
    if usual is not None and can_be_written(usual):
        return usual
    ours = Path(sys.prefix) / "cache" / "regionmask_ros"
    return ours if sys.prefix != sys.base_prefix and can_be_written(ours) else usual


def can_be_written(folder: Path) -> bool:
    """Whether files can be made in a folder, or the folder itself where it is missing. Makes nothing."""
    lowest = next(level for level in (folder, *folder.parents) if os.path.lexists(level))
    return lowest.is_dir() and os.access(lowest, os.W_OK | os.X_OK)


def data_folder() -> Path | None:
    """``$XDG_DATA_HOME/regionmask_ros`` or ``~/.local/share/regionmask_ros``; None for a user without a home."""
    return _folder("XDG_DATA_HOME", "~/.local/share")


def make_private(folder: Path) -> None:
    """Makes a folder and its missing parents, which only their owner can enter.

    Args:
        folder: The folder; one that exists stays as it is.

    Raises:
        OSError: It cannot be made or read, or is no folder.
    """
    missing = [level for level in (folder, *folder.parents) if not os.path.lexists(level)]
    for level in reversed(missing):
        level.mkdir(PRIVATE, exist_ok=True)
    os.scandir(folder).close()


def find_distrust(folder: Path) -> str:
    """Finds out whether another user could put files into a folder.

    The folder must belong to this user and nobody else may write there. The folders above it, up to the user's home or
    the root, must belong to this user or to root, and nobody else may be able to rename what is in them.

    Args:
        folder: A folder that exists.

    Returns:
        What is wrong and what to do; empty if nothing is.

    Raises:
        OSError: The folder cannot be looked at.
    """
    user, home = os.geteuid(), os.path.realpath(os.path.expanduser("~"))
    # A link could be replaced where it lies, and its target where that lies.
    for path in dict.fromkeys((os.path.abspath(folder), os.path.realpath(folder))):
        for level in (Path(path), *Path(path).parents):
            status = os.stat(level)
            is_folder_itself = str(level) == path
            if status.st_uid != user and (is_folder_itself or status.st_uid != 0):
                return f"{level} belongs to another user: name another folder"
            others_write = bool(status.st_mode & _OTHERS_WRITE)
            if others_write and (is_folder_itself or not status.st_mode & stat.S_ISVTX):
                return f"other users can write to {level}: chmod go-w it"
            if os.path.realpath(level) == home:
                break
    return ""


def _folder(variable: str, otherwise: str) -> Path | None:
    base = os.environ.get(variable, "")
    if not os.path.isabs(base):
        base = os.path.expanduser(otherwise)
    return Path(base) / "regionmask_ros" if os.path.isabs(base) else None
