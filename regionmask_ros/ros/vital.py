"""Threads that a process needs: if one ends by an error, the process ends soon, so that a launcher can restart it."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable

EXIT_FAILED = 1

CLOSE_S = 0.7
"""An orderly end may take this long after a vital thread has ended."""


def start_vital_thread(name: str, work: Callable[[], None], on_failure: Callable[[str], None]) -> threading.Thread:
    """Starts a daemon thread.

    Args:
        name: Of the thread.
        work: What it does.
        on_failure: Called in the thread with one line when ``work`` raises, whatever it is.

    Returns:
        The thread.
    """
    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  SystemExit, too, would end the thread silently
            on_failure(f"thread {name} has ended: {type(error).__name__}: {' '.join(str(error).split())}")

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    return thread


def end_soon(status: int = EXIT_FAILED) -> None:
    """Ends the process after ``CLOSE_S`` seconds unless it has ended by then: cleaning up may hang."""
    def end() -> None:
        sys.stderr.flush()
        os._exit(status)

    timer = threading.Timer(CLOSE_S, end)
    timer.daemon = True
    timer.start()
