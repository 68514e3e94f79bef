"""What of a label file is not used, counted by reason, with the first places."""

from __future__ import annotations

from collections.abc import Sequence

NAMED = 3
"""Number of places that a line names; the others are counted."""


class LeftOut:
    """Counts entries of a file that are not used.

    Args:
        file: Name of the file, for the lines.
    """

    def __init__(self, file: str) -> None:
        self._file = file
        self._places: dict[str, list[str]] = {}

    def add(self, reason: str, place: str) -> None:
        """Counts an entry.

        Args:
            reason: Why it is not used; entries with the same reason are counted together.
            place: Where it is in the file, such as "line 7".
        """
        self._places.setdefault(reason, []).append(place)

    def lines(self) -> tuple[str, ...]:
        """One line per reason: file, reason, number, and the first places."""
        return tuple(f"{self._file}: {len(places)} x {reason}: {_name_first(places)}"
                     for reason, places in self._places.items())


def _name_first(places: Sequence[str]) -> str:
    """The first places, and how many there are beside them: "line 3, line 5, line 9 and 4 more"."""
    more = f" and {len(places) - NAMED} more" if len(places) > NAMED else ""
    return ", ".join(places[:NAMED]) + more
