"""What SIGINT, SIGTERM and SIGHUP do to a program of this package, from its first line on.

Before a command works there is nothing to clean up, so that a signal ends the process at once: an exception in the
middle of an import can be lost, or show a traceback. While it works, a signal raises KeyboardInterrupt. The exit status
is 128 and the signal's number in both cases.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
EXIT_BY_SIGNAL = 128
LINE = "regionmask_ros: interrupted"

Handler = Callable[[int, FrameType | None], None] | signal.Handlers

REPEAT_S = 0.02
"""An interrupt that was dropped is repeated after this time."""

REST_S = 2.0
"""So long after a signal others are ignored: a terminal and a launcher often both send one, and the second would
interrupt the removal of incomplete files. Whoever sees nothing end can interrupt again.
"""

NAP_S = 0.5
"""A main thread that waits wakes this often. Python runs handlers of signals there only, and a signal does not wake it
if the system gives it to another thread, or if it comes just before the thread falls asleep.
"""


def end_at_signals() -> None:
    """From now on a signal ends the process at once, with one line; one that is ignored, as under nohup, stays so.

    While Python takes itself apart at the end, signals are ignored: it would remove the handler and die of the next.
    """
    if _handle(_end):
        # The first to be registered, so that it runs after all others.
        atexit.register(_handle, signal.SIG_IGN)


@contextlib.contextmanager
def ended_at_signals() -> Iterator[None]:
    """Inside the block, in the main thread, a signal ends the process at once."""
    before = _handle(_end)
    try:
        yield
    finally:
        _restore(before, _end)


class Interruptions:
    """Context manager: in the main thread, signals raise KeyboardInterrupt while it is open.

    So incomplete files are removed however the program is ended. Python drops an interrupt that arrives inside of a
    weak reference's callback or a ``__del__``; such a one is repeated.
    """

    def __init__(self) -> None:
        self._number = 0
        self._raised_s = -REST_S
        self._before: dict[int, Any] = {}
        self._report = sys.unraisablehook
        self._repetition: threading.Timer | None = None

    @property
    def exit_status(self) -> int:
        """That of a process which the first signal has ended; of Ctrl-C, if none was seen here."""
        return EXIT_BY_SIGNAL + (self._number or signal.SIGINT)

    def __enter__(self) -> Interruptions:
        if threading.current_thread() is threading.main_thread():
            self._report, sys.unraisablehook = sys.unraisablehook, self._repeat
        self._before = _handle(self._raise)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._before:
            sys.unraisablehook = self._report
        if self._repetition is not None:
            # Later there would be no handler, and the signal would end the process without a line.
            self._repetition.cancel()
        _restore(self._before, self._raise)

    def _raise(self, number: int, frame: FrameType | None) -> None:
        self._number = self._number or number
        if time.monotonic() - self._raised_s < REST_S:
            return
        self._raised_s = time.monotonic()
        raise KeyboardInterrupt

    def _repeat(self, unraisable: Any) -> None:
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            self._report(unraisable)
        else:
            self._raised_s = -REST_S
            # After a moment: raised at once, it would be dropped here, too.
            # The same signal: SIGINT is ignored in a job of the shell's background. This is the main thread, which
            # another one's signal would not wake.
            number = self._number or signal.SIGINT
            self._repetition = threading.Timer(REPEAT_S, signal.pthread_kill, (threading.get_ident(), number))
            self._repetition.start()


def _handle(handler: Handler) -> dict[int, Any]:
    """Installs a handler for the signals that are not ignored. Returns the handlers before, none in other threads."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    wanted = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    return {number: signal.signal(number, handler) for number in wanted}


def _restore(handlers: dict[int, Any], ours: Handler) -> None:
    """Undoes ``_handle``, but for signals that somebody else handles now, such as those that are ignored to the end."""
    for number, handler in handlers.items():
        if signal.getsignal(number) == ours:
            signal.signal(number, handler)


def _end(number: int, frame: FrameType | None) -> None:
    with contextlib.suppress(OSError):
        os.write(2, f"{LINE}\n".encode())
    os._exit(EXIT_BY_SIGNAL + number)
