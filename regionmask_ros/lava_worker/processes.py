"""The operating system's processes and shared memory that Lava uses, and how they are ended and removed.

Lava runs every process model in a process of its own and connects them with shared memory. All of them belong to the
session of the worker process; names of all shared memory segments begin with its prefix; and all temporary files lie in
one folder, which the pipeline's process creates and removes.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from pathlib import Path

SEGMENTS = Path("/dev/shm")
"""Where Linux shows shared memory segments as files."""

_NAME_PREFIX = "psm_regionmask_"
_PR_SET_PDEATHSIG = 1
_POLL_PERIOD_S = 0.02


def segment_prefix(leader: int) -> str:
    """The prefix of all segment names of the worker process with that process id."""
    return f"{_NAME_PREFIX}{leader}_"


def set_segment_prefix() -> None:
    """Names segments that this process and its children create from now on after this process.

    Python has no option for the names that a SharedMemoryManager gives, so the module's prefix is replaced.
    """
    from multiprocessing import shared_memory

    prefix = f"/{segment_prefix(os.getpid())}"
    shared_memory._SHM_NAME_PREFIX = prefix  # type: ignore[attr-defined]
    shared_memory._SHM_SAFE_NAME_LENGTH = len(prefix) + 12  # type: ignore[attr-defined]


def kill_children_with_parent(inherited: tuple[int, ...]) -> None:
    """Makes the kernel kill children that are forked from now on when the thread that forked them ends.

    Args:
        inherited: File descriptors that a child must not keep open; otherwise the other end of a socket or pipe would
            not notice the end of this process.
    """
    libc, parent = ctypes.CDLL(None), os.getpid()
    devnull = os.open(os.devnull, os.O_RDWR)

    def remember_parent() -> None:
        nonlocal parent
        parent = os.getpid()

    def prepare_child() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)  # the parent ended before the signal was set
        for descriptor in inherited:
            # Python objects hold the number, so it must not be closed and become another file's.
            os.dup2(devnull, descriptor)

    os.register_at_fork(before=remember_parent, after_in_child=prepare_child)


def find_members(session: int) -> list[int]:
    """Ids of the processes of a session that are not zombies."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            try:
                text = Path("/proc", entry, "stat").read_text(errors="replace")
            except OSError:
                continue
            state, _, _, session_id = text.rpartition(")")[2].split()[:4]
            if int(session_id) == session and state not in "ZX":
                found.append(int(entry))
    return found


def kill_session(session: int, spare: int = 0, timeout_s: float = 5.0) -> None:
    """Kills all processes of a session and waits until they have ended.

    Args:
        session: Id of the session.
        spare: Process id that is not killed.
        timeout_s: Longest time in seconds.
    """
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        others = [pid for pid in find_members(session) if pid != spare]
        if not others:
            return
        for pid in others:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_POLL_PERIOD_S)  # they are not our children, so there is nothing to wait for


def remove_segments(leader: int) -> None:
    """Removes the segments of the worker process with that process id."""
    for segment in SEGMENTS.glob(f"{segment_prefix(leader)}*"):
        segment.unlink(missing_ok=True)
