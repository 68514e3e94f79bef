"""Options that take the names of some of many things, separated by semicolons, because the names have commas."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterable


def select(parser: argparse.ArgumentParser, option: str, text: str, offered: Iterable[str],
           hidden: Collection[str] = ()) -> list[str]:
    """Reads the value of such an option, and ends the program where a name is unknown.

    Args:
        parser: Reports the mistake.
        option: The option, for the message.
        text: As the user wrote it; empty: everything that is offered.
        offered: The names that there are.
        hidden: Names that are accepted besides, and not told.

    Returns:
        The names.
    """
    names = list(offered)
    chosen = [name.strip() for name in text.split(";") if name.strip()] or names
    unknown = [name for name in chosen if name not in names and name not in hidden]
    if unknown:
        parser.error(f"{option}: unknown: {', '.join(unknown)}; there are: {'; '.join(names)}")
    return chosen
