"""The one exception that carries a message to the user.

Why a file's content is not taken, told without the file's name until it reaches the user.
"""

from __future__ import annotations

import os


class UserError(Exception):
    """Something that the user caused and can mend.

    ``str(error)`` is one line: what is wrong, where, and what to do. Commands print it and exit with status 2, the node
    logs it and goes on where it can.
    """


MAX_LINE_LENGTH = 1000


class InvalidFile(Exception):
    """``str`` is the cause. It may quote the file's content as it is; only ``about`` makes it fit for a terminal."""

    def about(self, file: str | os.PathLike) -> UserError:
        """The one line for the user: file and cause, whatever characters either is made of."""
        return UserError(to_one_line(f"{file}: {self}"))


def to_one_line(text: str) -> str:
    """Printable characters only (the others escaped), and not endlessly many."""
    clean = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    return clean if len(clean) <= MAX_LINE_LENGTH else clean[: MAX_LINE_LENGTH - 4] + " ..."
