"""Progress of many units: how many are done, frames a second in all, and the time that is left."""

from __future__ import annotations

import sys
import time

from ..progress import Progress
from .calls import UnitResult

LINE_PERIOD_S = 60.0
"""Seconds from one line to the next where there is no terminal."""


class UnitProgress(Progress):
    """Counts units and frames.

    Args:
        total: Number of units.
        done: How many an earlier run has done.
        desc: What is going on.

    Attributes:
        frames: Of this run's units.
        failed: Number of units that failed.
    """

    def __init__(self, total: int, done: int = 0, desc: str = "") -> None:
        self.frames = self.failed = 0
        self._start_s = self._line_s = time.monotonic()
        self._total, self._told = total, float(done)
        super().__init__(unit="unit", total=total, initial=done, desc=desc)

    def add(self, result: UnitResult) -> None:
        """Counts a unit that is done."""
        self.frames += int(result.facts.get("frames", 0))
        self._show_rate()
        self.update()

    def fail(self) -> None:
        """Counts a unit that failed."""
        self.failed += 1
        self._show_rate()
        self.update()

    def tick(self) -> None:
        """Prints the line that is due. To be called every few seconds."""
        if self._is_terminal:
            self.refresh()
        elif not self.disable and time.monotonic() - self._line_s >= LINE_PERIOD_S:
            self._print_line()

    def display(self, msg: str | None = None, pos: int | None = None) -> bool:  # type: ignore[override]
        """Draws the bar. Lines are printed by ``tick``: a unit may take longer than a minute, or far less."""
        return bool(super().display(msg, pos)) if self._is_terminal else False

    def close(self) -> None:
        """Prints the last line, unless it was just printed."""
        if not self.disable and not self._is_terminal and self.n > self._told:
            self._print_line()
        super().close()

    @property
    def rate(self) -> float:
        """Frames a second, over all workers."""
        return self.frames / max(time.monotonic() - self._start_s, 1e-9)

    def _show_rate(self) -> None:
        failed = f", {self.failed} failed" if self.failed else ""
        self.set_postfix_str(f"{self.rate:.0f} frames/s{failed}", refresh=False)

    def _print_line(self) -> None:
        self._line_s, self._told = time.monotonic(), int(self.n)
        elapsed_s, done = self._line_s - self._start_s, self.n - self.initial
        left_s = (self._total - self.n) * elapsed_s / done if done else 0.0
        parts = [f"{self.n} of {self._total} units ({self.n / self._total:.0%})",
                 f"after {self.format_interval(elapsed_s)}",
                 f"{self.rate:.0f} frames/s", *([f"{self.failed} failed"] if self.failed else []),
                 *([f"about {self.format_interval(left_s)} left"] if left_s else [])]
        what = self.desc.removesuffix(": ")
        print(f"{what}{': ' if what else ''}{', '.join(parts)}", file=sys.stderr, flush=True)
