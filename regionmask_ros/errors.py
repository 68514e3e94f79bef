"""Exceptions that carry a message to the user: mistakes that a user can correct, and files that cannot be used."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable

MAX_LINE_LENGTH = 1000
"""Characters. Longer messages are cut."""

MAX_OUTSIDE_LENGTH = 200
"""Characters of a text from outside that a message quotes."""

DAMAGED, EMPTY, UNSUPPORTED, TOO_LARGE, UNREADABLE = "damaged", "empty", "unsupported", "too large", "unreadable"
MISSING = "missing"
"""Why an input cannot be used, in a word. Dropped pictures are counted by it."""


class UserError(Exception):
    """A mistake that the user can correct.

    ``str(error)`` is one line: what is wrong, where, and what to do. Commands print it and exit with status 2. The node
    logs it and continues where it can.

    Args:
        message: The line. It may quote foreign text as it is: what is not printable is escaped, and a long line is cut.
        reason: In a word, for an input that is one of many, see ``DAMAGED``.

    Attributes:
        reason: As given.
    """

    def __init__(self, message: str = "", reason: str = DAMAGED) -> None:
        super().__init__(to_one_line(message))
        self.reason = reason


class FileRefused(UserError):
    """A file cannot be used. ``str(error)`` says which and why.

    Attributes:
        file: Its name, as it was given.
    """

    def __init__(self, line: str = "", file: str = "", reason: str = DAMAGED) -> None:
        super().__init__(line, reason)
        self.file = file


class InvalidFile(Exception):
    """The content of a file cannot be used. ``str(error)`` is the reason, without the file's name.

    The reason may quote the file's content as it is. Only ``about`` makes it safe for a terminal.

    Args:
        message: The reason as a sentence.
        reason: In a word, see ``DAMAGED``.

    Attributes:
        reason: As given.
    """

    def __init__(self, message: str = "", reason: str = DAMAGED) -> None:
        super().__init__(message)
        self.reason = reason

    def about(self, file: str | os.PathLike[str]) -> FileRefused:
        """The error for the user: file and reason in one line of printable characters."""
        return FileRefused(to_one_line(f"{file}: {self}"), os.fspath(file), self.reason)


def to_one_line(text: str, longest: int = MAX_LINE_LENGTH) -> str:
    """Escapes characters that are not printable, and cuts the text at that many characters."""
    # One more than can stay, so that a text of any length costs little.
    clean = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text[: longest + 1])
    return clean if len(clean) <= longest else clean[: longest - 4] + " ..."


def quote_outside(text: object) -> str:
    """A text from outside (a name, an encoding, a value from another program) as a part of a message.

    Args:
        text: The text; of another type: as Python writes it.

    Returns:
        One line in quotes, of at most ``MAX_OUTSIDE_LENGTH`` printable characters.
    """
    return f"'{to_one_line(str(text), MAX_OUTSIDE_LENGTH - 2)}'"


CLOSEST = 0.6
"""Names that are less alike are no suggestion; as difflib measures it."""


def suggest(word: str, known: Iterable[str]) -> str:
    """Finds the name that was probably meant.

    Args:
        word: What the user wrote.
        known: The names that there are.

    Returns:
        ``: did you mean NAME?``, or an empty text if no name is close.
    """
    found = difflib.get_close_matches(word, list(known), 1, CLOSEST)
    return f": did you mean {found[0]}?" if found else ""
