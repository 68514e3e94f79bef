"""Names of files: how they are ordered and how they are shown."""

from __future__ import annotations

import os
import re

from ..errors import UserError


def natural_key(name: str) -> tuple:
    """Sort key under which img2 comes before img10, without regard to case."""
    parts = re.split(r"([0-9]+)", name)
    return tuple(int(part) if index % 2 else part.casefold() for index, part in enumerate(parts)), name


def shown(path: str | os.PathLike) -> str:
    """A path as it may stand in a one-line message: without control characters or undecodable bytes."""
    text = os.fspath(path)
    return text if text.isprintable() and text else repr(text)


def must_be_utf8(path: str) -> None:
    """Raises UserError for a path that is not: OpenCV crashes on it."""
    try:
        os.path.abspath(path).encode("utf-8")
    except UnicodeEncodeError:
        raise UserError(f"{shown(path)}: this name is not valid UTF-8: rename the file or folder") from None
