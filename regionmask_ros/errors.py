"""Exceptions that carry a message to the user: mistakes that a user can correct, and files that cannot be used."""

from __future__ import annotations

import os

MAX_LINE_LENGTH = 1000
"""Characters. Longer messages are cut."""


class UserError(Exception):
    """A mistake that the user can correct.

    ``str(error)`` is one line: what is wrong, where, and what to do. Commands print it and exit with status 2. The node
    logs it and continues where it can.

    Args:
        message: The line. It may quote foreign text as it is: what is not printable is escaped, and a long line is cut.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(to_one_line(message))


class InvalidFile(Exception):
    """The content of a file cannot be used. ``str(error)`` is the reason, without the file's name.

    The reason may quote the file's content as it is. Only ``about`` makes it safe for a terminal.
    """

    def about(self, file: str | os.PathLike[str]) -> UserError:
        """The error for the user: file and reason in one line of printable characters."""
        return UserError(to_one_line(f"{file}: {self}"))


def to_one_line(text: str) -> str:
    """Escapes characters that are not printable, and cuts the text at ``MAX_LINE_LENGTH`` characters."""
    shown = text[:MAX_LINE_LENGTH + 1]
    clean = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in shown)
    return clean if len(clean) <= MAX_LINE_LENGTH else clean[: MAX_LINE_LENGTH - 4] + " ..."
