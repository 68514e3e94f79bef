"""Temporary files whose owners may die: a lock shows that an owner lives, and what the dead have left is removed.

The system frees a lock at the end of a process, however it ends. So a file that can be locked belongs to nobody, also
after a restart of the machine and from inside of a container.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

MAX_STEM_BYTES = 100
_NAME = re.compile(r"\..*\.[0-9a-f]{8}\.partial(\.[^.]*)?", re.DOTALL)
_FOLDER_NAME = re.compile(r"\..*\.[0-9a-f]{8}\.part", re.DOTALL)
_RENAME_EXCHANGE, _THIS_FOLDER = 2, -100


def make_temporary(path: str) -> tuple[str, int]:
    """Creates an empty temporary file beside a file, with the same suffix.

    Args:
        path: The file that it will become.

    Returns:
        Its name, and the descriptor that holds its lock.

    Raises:
        OSError: It cannot be created.
    """
    folder, name = os.path.split(path)
    stem, suffix = os.path.splitext(name)
    short = os.fsencode(stem)[:MAX_STEM_BYTES].decode("utf-8", "ignore")
    while True:
        temporary = os.path.join(folder, f".{short}.{secrets.token_hex(4)}.partial{suffix}")
        descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o666)
        # Another process that removes what the dead have left may have come before the lock.
        if _lock(descriptor) is not False and os.fstat(descriptor).st_nlink:
            return temporary, descriptor
        os.close(descriptor)


def remove_abandoned(folder: str) -> None:
    """Removes temporary files of processes that have ended; those that cannot be removed stay.

    Args:
        folder: Where to look; below it nothing is removed.
    """
    with contextlib.suppress(OSError):
        for name in os.listdir(folder or "."):
            if _NAME.fullmatch(name):
                path = os.path.join(folder, name)
                with lock_abandoned(path) as is_abandoned, contextlib.suppress(OSError):
                    if is_abandoned:
                        os.unlink(path)


@contextlib.contextmanager
def temporary_folder(path: Path) -> Iterator[Path]:
    """Makes an empty hidden folder beside a file or folder, and removes it at the end of the block.

    Only its owner can enter it.

    Folders of processes that have ended are removed before. Missing parents are made; those that are empty at the end
    are removed.

    Args:
        path: What the folder's content will become.

    Yields:
        The folder.

    Raises:
        OSError: It cannot be made.
    """
    beside = path.absolute().parent
    missing = [level for level in (beside, *beside.parents) if not os.path.lexists(level)]
    if missing:
        beside.mkdir(parents=True, exist_ok=True)
    _remove_abandoned_folders(beside)
    folder, lock = _make_folder(beside, path.name)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)
        with contextlib.suppress(OSError):
            for level in missing:
                level.rmdir()


def _make_folder(beside: Path, name: str) -> tuple[Path, int]:
    """A new folder and the descriptor that holds its lock."""
    short = os.fsencode(name)[:MAX_STEM_BYTES].decode("utf-8", "ignore")
    while True:
        folder = beside / f".{short}.{secrets.token_hex(4)}.part"
        folder.mkdir(0o700)
        with contextlib.suppress(FileNotFoundError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
            # As in make_temporary.
            if _lock(descriptor) is not False and os.fstat(descriptor).st_nlink:
                return folder, descriptor
            os.close(descriptor)


def _remove_abandoned_folders(beside: Path) -> None:
    """Removes temporary folders of processes that have ended; those that cannot be removed stay."""
    with contextlib.suppress(OSError):
        for name in filter(_FOLDER_NAME.fullmatch, os.listdir(beside)):
            with lock_abandoned(beside / name) as is_abandoned:
                if is_abandoned:
                    shutil.rmtree(beside / name, ignore_errors=True)


@contextlib.contextmanager
def lock_abandoned(path: str | os.PathLike[str]) -> Iterator[bool]:
    """Holds the lock of a file or folder during the block if nobody else does.

    Args:
        path: The file or folder.

    Yields:
        Whether it belongs to this user, and nobody held its lock.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        yield False
        return
    try:
        yield os.fstat(descriptor).st_uid == os.geteuid() and _lock(descriptor) is True
    finally:
        os.close(descriptor)


def hold_lock(descriptor: int) -> int:
    """Locks an open file until it is closed, so that nobody takes it for abandoned. Returns the descriptor."""
    _lock(descriptor)
    return descriptor


def _lock(descriptor: int) -> bool | None:
    """Whether this process has the lock now; None where the file system has no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def write_through(path: str | os.PathLike[str]) -> None:
    """Waits until the disk has a file's content, or a folder's names.

    Without it, a file that was renamed can be empty after a power cut.

    Args:
        path: The file or folder.

    Raises:
        OSError: The disk reports an error.
    """
    descriptor = os.open(path or ".", os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all_through(folder: Path) -> None:
    """Waits until the disk has the content of all files below a folder.

    Args:
        folder: The folder.

    Raises:
        OSError: The disk reports an error.
    """
    for path in folder.rglob("*"):
        if path.is_file():
            write_through(path)


def exchange(first: str | os.PathLike[str], second: str | os.PathLike[str]) -> bool:
    """Exchanges two files or folders in one step.

    Args:
        first: One of them.
        second: The other one, on the same file system.

    Returns:
        Whether the system can do it; else nothing has changed.
    """
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return False
    names = os.fsencode(first), os.fsencode(second)
    return bool(rename(_THIS_FOLDER, names[0], _THIS_FOLDER, names[1], _RENAME_EXCHANGE) == 0)
