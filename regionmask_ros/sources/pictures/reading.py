"""How the pictures of files and bags are read, and the account of those that cannot be: one object for a whole command.

One bad picture ends nothing. It is dropped, counted by its reason, and the first ones are named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from ...errors import UserError, to_one_line
from .depth import AUTO, BitDepth
from .header import MAX_IMAGE_PIXELS

NAMED_DROPS = 3
"""So many dropped pictures are named; the others are counted."""

_NAMED_LENGTH = 250
"""Characters of each of them."""


class DroppedPictures:
    """The pictures that could not be used. One that is read several times counts once.

    Attributes:
        reasons: Number of pictures by reason, see ``errors.DAMAGED``.
        first: What is wrong with the first ``NAMED_DROPS`` of them, a line each.
    """

    def __init__(self) -> None:
        self.reasons: Counter[str] = Counter()
        self.first: list[str] = []
        self._known: set[int] = set()

    def __len__(self) -> int:
        return self.reasons.total()

    def add(self, error: UserError, place: str = "", count: int = 1) -> None:
        """Counts a picture.

        Args:
            error: Names it, and says what is wrong with it.
            place: What only this picture is called; empty: the text of the error.
            count: How many pictures have the error.
        """
        key = hash(place or str(error))
        if key in self._known:
            return
        self._known.add(key)
        self.reasons[error.reason] += count
        if len(self.first) < NAMED_DROPS:
            self.first.append(to_one_line(str(error), _NAMED_LENGTH))

    def merge(self, counts: Mapping[str, Any]) -> None:
        """Adds the pictures that another process has dropped, as its ``as_json`` has them."""
        self.reasons.update(counts["dropped_reasons"])
        self.first = [*self.first, *counts["dropped_first"]][:NAMED_DROPS]

    def describe(self) -> str:
        """One line: how many, by reason, and what is wrong with the first ones. Empty if none was dropped."""
        if not self:
            return ""
        counts = ", ".join(f"{count} {reason}" for reason, count in self.reasons.most_common())
        more = len(self) - len(self.first)
        named = "; ".join([*self.first, *([f"and {more} more"] if more else [])])
        return f"dropped {'1 picture' if len(self) == 1 else f'{len(self)} pictures'} ({counts}): {named}"

    def as_json(self) -> Mapping[str, Any]:
        """The counts for a summary."""
        return {"dropped_images": len(self), "dropped_reasons": dict(self.reasons), "dropped_first": list(self.first)}


class Reading:
    """How pictures are read. All sources that a command opens share one, so that it accounts for all of them.

    Args:
        max_pixels: Largest number of pixels of a picture.
        bit_depth: Bits that 16-bit samples hold: ``auto``, or a number as text.
        tell: Takes lines for the log, such as a change of the size.

    Attributes:
        max_pixels: As given.
        bit_depth: As given.
        dropped: The account.
    """

    def __init__(self, max_pixels: int = MAX_IMAGE_PIXELS, bit_depth: str = AUTO,
                 tell: Callable[[str], object] = lambda line: None) -> None:
        self.max_pixels, self.bit_depth = max_pixels, bit_depth
        self.dropped = DroppedPictures()
        self._tell = tell
        self._told: set[str] = set()

    def new_depth(self) -> BitDepth:
        """The depth of 16-bit samples of a camera, before its first image."""
        return BitDepth(self.bit_depth, self.tell)

    def tell(self, line: str) -> None:
        """Tells the user something; the same line once, because some commands read a source several times."""
        if line not in self._told:
            self._told.add(line)
            self._tell(line)
