"""A request to stop, by a signal or by the program. Imports nothing of ROS, so that commands can start without it."""

from __future__ import annotations

import contextlib
import math
import signal
import time
from queue import Empty, SimpleQueue
from types import FrameType

from ..interrupts import EXIT_BY_SIGNAL, NAP_S, SIGNALS


class StopRequest:
    """A request to stop by SIGINT, SIGTERM, SIGHUP or ``set``. A context manager for the main thread.

    Leaving it restores the former handlers. After a first signal, all others are ignored to the end of the process: a
    terminal and a launcher often both send one, and Python removes handlers before it has ended.
    """

    def __init__(self) -> None:
        # No Event: the thread that a handler interrupts may hold its lock. A SimpleQueue is safe to put to.
        self._woken: SimpleQueue[None] = SimpleQueue()
        self._requested = self._by_signal = self._is_running = False
        self._failure = ""
        self._early = 0

    def __enter__(self) -> StopRequest:
        wanted = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        self._before = {number: signal.signal(number, self._on_signal) for number in wanted}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_IGN if self._by_signal else handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._by_signal = True
        if not self._is_running:
            self._early = self._early or number
        self.set()

    def set(self) -> None:
        """Requests to stop."""
        self._requested = True
        self._woken.put(None)

    def mark_running(self) -> None:
        """To be called when what shall be stopped runs: from now on a signal is its usual end."""
        self._is_running = True

    @property
    def exit_status(self) -> int:
        """0, or 128 and the number of a signal that came before ``mark_running``."""
        return EXIT_BY_SIGNAL + self._early if self._early else 0

    def fail(self, reason: str) -> None:
        """Requests to stop because of a failure; the first one counts."""
        self._failure = self._failure or reason
        self.set()

    @property
    def failure(self) -> str:
        """The failure that requested to stop, in one line; empty for none."""
        return self._failure

    def is_set(self) -> bool:
        """Returns whether a stop was requested."""
        return self._requested

    def wait(self, timeout_s: float | None = None) -> bool:
        """Sleeps until the request or the timeout; returns whether the request came."""
        end_s = math.inf if timeout_s is None else time.monotonic() + timeout_s
        while not self._requested and (left_s := end_s - time.monotonic()) > 0.0:
            with contextlib.suppress(Empty):
                self._woken.get(timeout=min(left_s, NAP_S))
                self._woken.put(None)  # for other threads that wait
        return self._requested
