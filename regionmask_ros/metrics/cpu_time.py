"""Processor time of the whole process: runtimes compute in threads of their own, which the caller's time leaves out."""

from __future__ import annotations

import contextlib
import gc
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

_Result = TypeVar("_Result")

_THREADS = "/proc/self/task"
_RUNNABLE = b"R"
_STAT_BYTES = 128
"""Enough for number, name and state of a thread."""

LONGEST_WAIT_S = 0.5
"""A runtime whose idle threads spin for ever never rests. Its time is then measured with the spinning."""

_POLL_S = 0.0002

def measure_cpu(call: Callable[[], _Result]) -> tuple[_Result, float]:
    """Calls a function and measures the processor time of the process.

    Threads that were still busy before, such as a video decoder's, end their work first. Those that the call has woken
    end theirs before the time is taken.

    Args:
        call: The function.

    Returns:
        What it returned, and the processor time of all threads in seconds.
    """
    wait_for_other_threads()
    others_before, own_before = _others_ns(), time.thread_time_ns()
    result = call()
    own = time.thread_time_ns() - own_before
    # A thread that the call has just woken may not have had a processor yet: no time of its own yet does not mean rest.
    wait_for_other_threads()
    return result, (own + max(0, _others_ns() - others_before)) * 1e-9


def wait_for_other_threads(limit_s: float = LONGEST_WAIT_S) -> None:
    """Waits until no other thread of this process computes or is ready to.

    Args:
        limit_s: Longest time to wait, in seconds.
    """
    end = time.monotonic() + limit_s
    while _any_other_runs() and time.monotonic() < end:
        time.sleep(_POLL_S)


@contextlib.contextmanager
def paused_garbage_collection() -> Iterator[Callable[[], None]]:
    """Keeps Python from looking for cyclic garbage while time is measured.

    Yields:
        Call it outside of what is measured: it removes young garbage.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield _collect_young
    finally:
        if was_enabled:
            gc.enable()


def _collect_young() -> None:
    gc.collect(1)


def _others_ns() -> int:
    """Processor time of all threads but this one."""
    return time.process_time_ns() - time.thread_time_ns()


def _any_other_runs() -> bool:
    """Whether another thread runs or waits for a processor; False where the system does not say."""
    own = str(threading.get_native_id())
    try:
        threads = os.listdir(_THREADS)
    except OSError:
        return False
    return any(_state(thread) == _RUNNABLE for thread in threads if thread != own)


def _state(thread: str) -> bytes:
    """The letter for a thread's state, see proc(5); none for one that has ended."""
    try:
        descriptor = os.open(f"{_THREADS}/{thread}/stat", os.O_RDONLY)
    except OSError:
        return b""
    try:
        text = os.read(descriptor, _STAT_BYTES)
    except OSError:
        return b""
    finally:
        os.close(descriptor)
    # The name, in brackets, may hold anything.
    return text.rpartition(b") ")[2][:1]
