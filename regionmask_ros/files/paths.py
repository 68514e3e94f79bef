"""File names: how they are sorted, checked and displayed."""

from __future__ import annotations

import os
import re

from ..errors import UserError

NaturalKey = tuple[tuple[int | str, ...], str]


def natural_key(name: str) -> NaturalKey:
    """Sort key that puts img2 before img10 and ignores case; the name itself decides between equal ones."""
    parts = re.split(r"([0-9]+)", name)
    return tuple(int(part) if index % 2 else part.casefold() for index, part in enumerate(parts)), name


def display_path(path: str | os.PathLike[str]) -> str:
    """The path as one line for a message: quoted when it is empty or has characters that are not printable."""
    text = os.fspath(path)
    return text if text.isprintable() and text else repr(text)


def check_utf8(path: str) -> None:
    """Rejects a path that is not valid UTF-8, because OpenCV crashes on it.

    Args:
        path: Absolute, or relative to the current folder.

    Raises:
        UserError: The absolute path is not valid UTF-8.
    """
    try:
        os.path.abspath(path).encode("utf-8")
    except UnicodeEncodeError:
        raise UserError(f"{display_path(path)}: this name is not valid UTF-8: rename the file or folder") from None
