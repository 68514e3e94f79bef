"""Progress of long work: a bar on a terminal, a line from time to time elsewhere, nothing with ``--quiet``."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from tqdm import tqdm

FIRST_LINE_S, LINE_PERIOD_S = 1.0, 10.0
"""Seconds to the first line, and from one to the next, where there is no terminal, such as in a log file."""

_quiet = False


@contextlib.contextmanager
def no_progress() -> Iterator[None]:
    """Inside the block, nothing shows progress."""
    global _quiet  # noqa: PLW0603  One process has one terminal.
    before, _quiet = _quiet, True
    try:
        yield
    finally:
        _quiet = before


class Progress(tqdm):
    """Counts steps and shows them on stderr, as tqdm's bar does.

    Args:
        steps: What to iterate over; None: the owner calls `update`.
        unit: Name of a step.
        total: Number of steps; None: unknown, or the length of ``steps``.
        desc: What is going on.
        initial: Number of steps that were done before.
        leave: Whether the bar stays when the work is done.
    """

    def __init__(self, steps: Iterable[Any] | None = None, *, unit: str, total: int | None = None, desc: str = "",
                 initial: int = 0, leave: bool = True) -> None:
        self._is_terminal = sys.stderr.isatty()
        # Without a terminal, each step looks whether a line is due.
        super().__init__(steps, unit=unit, total=total, desc=desc or None, initial=initial, disable=_quiet,
                         leave=leave and self._is_terminal, miniters=None if self._is_terminal else 1,
                         mininterval=0.1 if self._is_terminal else FIRST_LINE_S)

    def at(self, done: int) -> None:
        """Shows that as many steps are done."""
        self.update(done - self.n)

    def __iter__(self) -> Iterator[Any]:
        """Yields the steps. tqdm's own loop keeps the first ``mininterval`` and counts steps twice when it changes."""
        try:
            for step in self.iterable:
                yield step
                self.update()
        finally:
            self.close()

    def display(self, msg: str | None = None, pos: int | None = None) -> bool:  # type: ignore[override]
        """Shows the bar, or prints a line for it.

        Args:
            msg: What to show instead of the bar.
            pos: Row of the bar, for a terminal.

        Returns:
            Whether a bar was drawn, which has to be removed at the end.
        """
        if self._is_terminal:
            return bool(super().display(msg, pos))
        if msg is None and self.n > self.initial:
            facts = self.format_dict
            total = f" of {self.total} ({self.n / self.total:.0%})" if self.total else ""
            what = f"{self.desc.removesuffix(': ')}: " if self.desc else ""
            left = (self.total - self.n) / facts["rate"] if self.total and facts["rate"] else 0.0
            rest = f", about {self.format_interval(left)} left" if left else ""
            print(f"{what}{self.n}{total} {self.unit}s after {self.format_interval(facts['elapsed'])}{rest}",
                  file=sys.stderr, flush=True)
            self.mininterval = LINE_PERIOD_S
        return False
