"""A step of a training is done as a whole or not at all, whenever somebody stops it."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import Iterator


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Inside the block Ctrl-C and SIGTERM wait; at its end they do what they would have done.

    A step that is broken off has moved some of the weights and not counted: going on from there would end elsewhere.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting = []
    before = {number: signal.signal(number, lambda *came: waiting.append(came[0]))
              for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if waiting:
        signal.raise_signal(waiting[0])
