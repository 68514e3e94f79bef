"""Names of files: how they are ordered and how they are shown.

A file that appears complete or not at all.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from ..errors import UserError, to_one_line
from .safe_read import system_cause


def natural_key(name: str) -> tuple:
    """Sort key under which img2 comes before img10, without regard to case."""
    parts = re.split(r"([0-9]+)", name)
    return tuple(int(part) if index % 2 else part.casefold() for index, part in enumerate(parts)), name


def display_path(path: str | os.PathLike) -> str:
    """A path as it may stand in a one-line message: without control characters or undecodable bytes."""
    text = os.fspath(path)
    return text if text.isprintable() and text else repr(text)


def check_utf8(path: str) -> None:
    """Raises UserError for a path that is not: OpenCV crashes on it."""
    try:
        os.path.abspath(path).encode("utf-8")
    except UnicodeEncodeError:
        raise UserError(f"{display_path(path)}: this name is not valid UTF-8: rename the file or folder") from None


def write_whole(target: Path, content: bytes) -> None:
    """Writes under another name and renames when complete. Folders are made. Raises UserError."""
    unfinished = target.parent / f".{target.name}.{os.getpid()}.part"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            unfinished.write_bytes(content)
            os.replace(unfinished, target)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(to_one_line(f"{target}: cannot be written, {system_cause(error)}")) from error
