"""Text files of labels, one object a line: read within limits, with the line in every complaint."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence

from ..errors import InvalidFile, UserError
from ..files.safe_read import open_regular, read_limited
from .labels import LabelRow, checked

LINE_ERRORS = (ValueError, IndexError, OverflowError, InvalidFile)
"""What a parser may raise for a line that cannot be read."""


def read_text(path: str) -> str:
    """A whole text file. Raises UserError, one line with file and cause."""
    try:
        with open_regular(path) as file:
            return read_limited(file).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidFile("not a text file").about(path) from None
    except InvalidFile as refused:
        raise refused.about(path) from refused


def parse_rows(path: str, separator: str | None, parse: Callable[[Sequence[str]], LabelRow | None]) -> Iterator[LabelRow]:
    """One row for each line that ``parse`` makes one of; empty lines are passed over.

    parse: from the line's cells to a row, None for an object that is of no use; one of ``LINE_ERRORS`` for a line that
    cannot be read. Raises UserError with file and line.
    """
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = parse([cell.strip() for cell in line.split(separator)])
            if row is not None:
                yield checked(row)
        except LINE_ERRORS as error:
            raise line_error(path, number, error) from None


def line_error(path: str | os.PathLike, number: int, cause: Exception) -> UserError:
    """What to raise for a line that could not be read."""
    return InvalidFile(f"line {number}: {'too few values' if isinstance(cause, IndexError) else cause}").about(path)
