"""Counts the kernels that are compiled, and says so when it takes long: at the first start only, it is a minute."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from numba.core import event

ABOUT = 90
"""Kernels that a first start compiles, with the types of their arguments. The set-up also compiles 6 that only
progressive JPEG images need."""

_PACKAGE = __name__.partition(".")[0] + "."
_KIND = "numba:compile"
_QUIET_S = 5.0
_QUIET_KERNELS = 4


class _Counter(event.Listener):  # type: ignore[misc]  # Numba has no types
    """Calls back at the end of each compilation of a kernel of this package, but not of one inside Numba."""

    def __init__(self, report: Callable[[int], None]) -> None:
        self._report, self._count, self._lock = report, 0, threading.Lock()

    def on_start(self, event: Any) -> None:
        pass

    def on_end(self, event: Any) -> None:
        if event.data["dispatcher"].__module__.startswith(_PACKAGE):
            with self._lock:
                self._count += 1
                self._report(self._count)


class _Announcement:
    """Logs a line every few seconds while kernels are compiled; nothing about a few of them."""

    def __init__(self, when: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._when, self._clock, self._last = when, clock, clock()

    def report(self, count: int) -> None:
        now = self._clock()
        if count <= _QUIET_KERNELS:
            self._last = now
        elif now - self._last >= _QUIET_S:
            self._last = now
            logging.getLogger(__name__).warning("compiling kernels: %d of about %d, %s", count, max(count, ABOUT),
                                                self._when)


@contextmanager
def count_compilations(report: Callable[[int], None]) -> Iterator[None]:
    """Counts while the block runs.

    Args:
        report: Called after each compilation, with the number of kernels so far. Kernels that were stored do not count.

    Yields:
        Nothing.
    """
    counter = _Counter(report)
    event.register(_KIND, counter)
    try:
        yield
    finally:
        event.unregister(_KIND, counter)


def announce_compilations(are_stored: bool) -> None:
    """Logs from now on when compiling takes long, such as "compiling kernels: 12 of about 90, first start only".

    Args:
        are_stored: Whether the kernels are stored for the next start.
    """
    when = "first start only" if are_stored else "at every start, because they cannot be stored"
    event.register(_KIND, _Counter(_Announcement(when).report))
