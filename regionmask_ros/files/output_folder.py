"""One folder below which files are written whose names come from anyone, and nowhere else.

Every folder of a name is opened from the one above it, and no link is followed. So the file lands below the folder also
if someone exchanges parts of the path at the same time.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from .. import user_folders
from ..errors import UserError, quote_outside
from .paths import display_path
from .temporary import make_temporary, remove_abandoned

MAX_ENTRIES = 1000
"""A folder with as many files gets no new ones, so that requests cannot fill a disk."""

MAX_NAME_LENGTH = 200
"""Bytes of a part of a name. The file system allows 255, and the temporary name is longer."""

MAX_PARTS = 8

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def find_output_folder(wanted: str) -> Path:
    """Finds the folder, without making it.

    Args:
        wanted: A folder; empty: ``output`` in this program's data folder.

    Returns:
        The absolute path.

    Raises:
        UserError: The user has no home, or the name is impossible.
    """
    if "\0" in wanted:
        raise UserError(f"output_directory {quote_outside(wanted)}: a name has no NUL")
    ours = user_folders.data_folder()
    if wanted:
        return Path(os.path.expanduser(wanted)).absolute()
    if ours is None:
        raise UserError("output_directory: this user has no data folder: set it, or HOME")
    return ours / "output"


def split_output_name(option: str, name: str, suffix: str) -> tuple[str, ...]:
    """Checks a name below an output folder.

    Args:
        option: What holds the name, for messages.
        name: The name of a file, or a relative path.
        suffix: What it must end with.

    Returns:
        Its parts, one or more.

    Raises:
        UserError: It is absolute, leads up, is no name of a file, or has another suffix.
    """
    parts, reason = tuple(name.split("/")), ""
    if os.path.isabs(name):
        reason = "must be a name below output_directory, which is set when the node starts"
    elif not name.isprintable():
        reason = "has characters that cannot be printed"
    elif ".." in parts:
        reason = "leads out of output_directory"
    elif "" in parts or "." in parts or not parts[-1].endswith(suffix) or parts[-1] == suffix:
        reason = f"must be the name of a file that ends with {suffix}, such as static_mask{suffix}"
    elif any(len(part.encode()) > MAX_NAME_LENGTH for part in parts) or len(parts) > MAX_PARTS:
        reason = "too long"
    if reason:
        raise UserError(f"{option} {quote_outside(name)}: {reason}")
    return parts


def write_below(folder: Path, parts: Sequence[str], content: bytes) -> Path:
    """Writes a file below a folder, complete or not at all. An older file is replaced in one step.

    The folder and its parents are made if they are missing; other folders are not.

    Args:
        folder: The folder.
        parts: As from ``split_output_name``.
        content: What the file shall hold.

    Returns:
        The file.

    Raises:
        UserError: The file cannot be written, or something else has this name.
    """
    target = folder.joinpath(*parts)
    try:
        user_folders.make_private(folder)
        with contextlib.ExitStack() as opened:
            at = _open_folder(folder, None, opened)
            for part in parts[:-1]:
                at = _open_folder(part, at, opened)
            _check_target(parts[-1], at)
            _write(parts[-1], at, content)
    except OSError as error:
        raise UserError(f"{display_path(target)}: cannot be written: {_explain(error)}") from error
    return target


def _open_folder(name: str | Path, at: int | None, opened: contextlib.ExitStack) -> int:
    # The folder itself was chosen by the user and may be a link.
    found = os.open(name, _FOLDER & ~os.O_NOFOLLOW if at is None else _FOLDER, dir_fd=at)
    opened.callback(os.close, found)
    return found


def _check_target(name: str, at: int) -> None:
    """Raises OSError if a file of this name may not be written. Renaming does not follow links in any case."""
    try:
        status = os.stat(name, dir_fd=at, follow_symlinks=False)
    except FileNotFoundError:
        with os.scandir(at) as entries:
            if sum(1 for _, _ in zip(entries, range(MAX_ENTRIES))) == MAX_ENTRIES:
                raise OSError(errno.EDQUOT, f"its folder holds {MAX_ENTRIES} files or more") from None
        return
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EEXIST, "something else than a regular file has this name")


def _write(name: str, at: int, content: bytes) -> None:
    # The kernel's name of the open folder, whatever happens to its path meanwhile.
    folder = f"/proc/self/fd/{at}"
    remove_abandoned(folder)
    temporary, file = make_temporary(f"{folder}/{name}")
    try:
        with os.fdopen(file, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
            os.replace(temporary, f"{folder}/{name}")
        os.fsync(at)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _explain(error: OSError) -> str:
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return "a part of its path is a link, or no folder"
    return error.strerror or str(error)
