"""Ctrl-C, SIGTERM and SIGHUP as a request to end, so that all can be closed in order and the exit status is 0."""

from __future__ import annotations

import signal
from queue import Empty, SimpleQueue
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequest:
    """Set by a signal, or by ``set``. A context manager for the main thread, which puts the old handlers back.

    More signals change nothing: a terminal and a launcher often both send one. After the first they are ignored to the
    end of the process, because Python takes handlers away before it has ended.
    """

    def __init__(self) -> None:
        # No Event: its lock may be held by the very thread that a handler interrupts. A SimpleQueue may be put to.
        self._woken: SimpleQueue[None] = SimpleQueue()
        self._requested = self._by_signal = False

    def __enter__(self) -> StopRequest:
        wanted = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        self._before = {number: signal.signal(number, self._on_signal) for number in wanted}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_IGN if self._by_signal else handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._by_signal = True
        self.set()

    def set(self) -> None:
        self._requested = True
        self._woken.put(None)

    def is_set(self) -> bool:
        return self._requested

    def wait(self, timeout_s: float | None = None) -> bool:
        """Sleeps until the request or the timeout. True when it came."""
        if not self._requested:
            try:
                self._woken.get(timeout=timeout_s)
                self._woken.put(None)  # for whoever else waits
            except Empty:
                pass
        return self._requested
