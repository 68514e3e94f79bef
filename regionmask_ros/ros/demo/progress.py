"""Progress for people: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time

from tqdm import tqdm

LINE_EVERY_S = 1.0


class Progress:
    """Context manager. total: None when nobody knows it."""

    def __init__(self, what: str, total: int | None, unit: str = "frame") -> None:
        self._what, self._total, self._unit = what, total, unit
        self._bar = tqdm(total=total, desc=what, unit=unit) if sys.stderr.isatty() else None
        self._next_s = 0.0
        self._told = self._done = 0

    def at(self, done: int) -> None:
        """So many are done by now."""
        self._done = done
        if self._bar is not None:
            self._bar.update(done - self._bar.n)
        elif time.monotonic() >= self._next_s:
            self._next_s = time.monotonic() + LINE_EVERY_S
            self._tell()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.close()
        elif self._done != self._told:
            self._tell()

    def _tell(self) -> None:
        of = f" of {self._total}" if self._total else ""
        print(f"{self._what}: {self._done}{of} {self._unit}s", flush=True)
        self._told = self._done
