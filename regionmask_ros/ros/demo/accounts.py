"""Where every frame that was played went."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping


@dataclass(frozen=True)
class Account:
    """Frames. played: published by the player. The others as the node counted them, see FrameCounts.

    Raises ValueError when they do not add up: then a frame is unaccounted for.
    """

    played: int
    received: int
    answered: int
    overwritten: int
    broken: int

    def __post_init__(self) -> None:
        if self.received != self.answered + self.overwritten + self.broken:
            raise ValueError(f"{self.received} frames received, but {self.answered} answered, "
                             f"{self.overwritten} overwritten and {self.broken} broken")
        if self.lost < 0:
            raise ValueError(f"{self.received} frames received, but only {self.played} played")

    @property
    def lost(self) -> int:
        """Frames that never reached the node."""
        return self.played - self.received

    def line(self) -> str:
        """The sum in words."""
        return (
            f"{self.played} frames played = {self.answered} answered "
            f"+ {self.overwritten + self.broken} dropped by the node ({self.overwritten} overwritten, "
            f"{self.broken} broken) + {self.lost} lost before the node"
        )

    def as_json(self) -> dict[str, int]:
        return {
            "played": self.played,
            "answered": self.answered,
            "dropped_overwritten": self.overwritten,
            "dropped_broken": self.broken,
            "lost_before_node": self.lost,
        }


def account_of(played: int, diagnostics: Mapping[str, str]) -> Account:
    """From the values of the node's last report."""
    return Account(
        played,
        int(diagnostics["frames received"]),
        int(diagnostics["frames answered"]),
        int(diagnostics["frames dropped (overwritten)"]),
        int(diagnostics["frames dropped (broken)"]),
    )
