"""The processes and segments that Lava makes below this one, and their end.

Lava runs every process model in a process of its own and connects them with shared memory. Here all of them share one
session with the process that was started, all segments carry its mark, and everything that Python puts into files lies
in one folder, which the pipeline's process chooses and removes.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from pathlib import Path

SEGMENTS = Path("/dev/shm")
MARK_PREFIX = "psm_regionmask_"
_DEATH_SIGNAL = 1
"""prctl's PR_SET_PDEATHSIG."""


def segment_prefix(leader: int) -> str:
    """What the names of all segments below the process ``leader`` begin with."""
    return f"{MARK_PREFIX}{leader}_"


def mark_segments() -> None:
    """From now on segments that this process and its children make are named after it.

    Python offers no way to choose the names that a SharedMemoryManager gives, so the module's prefix is replaced.
    """
    from multiprocessing import shared_memory

    prefix = f"/{segment_prefix(os.getpid())}"
    shared_memory._SHM_NAME_PREFIX = prefix
    shared_memory._SHM_SAFE_NAME_LENGTH = len(prefix) + 12


def kill_children_with_parent(inherited: tuple[int, ...]) -> None:
    """Children that are forked from now on are killed by the kernel when the thread that made them ends.

    inherited: file descriptors that a child must not keep open, or the other end would not see this process go.
    """
    libc, forking = ctypes.CDLL(None), {}
    nothing = os.open(os.devnull, os.O_RDWR)

    def restart_in_child() -> None:
        libc.prctl(_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != forking["pid"]:
            os._exit(1)  # it has ended already, before it could be told of
        for descriptor in inherited:
            # Python objects hold the number; it must not become another file's.
            os.dup2(nothing, descriptor)

    os.register_at_fork(before=lambda: forking.update(pid=os.getpid()), after_in_child=restart_in_child)


def members(session: int) -> list[int]:
    """Process ids in that session that are not zombies."""
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
    """Kills every process of the session but ``spare``, and waits until they are gone."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        others = [pid for pid in members(session) if pid != spare]
        if not others:
            return
        for pid in others:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.02)


def remove_segments(leader: int) -> None:
    """Unlinks the segments that bear the mark of ``leader``."""
    for segment in SEGMENTS.glob(f"{segment_prefix(leader)}*"):
        segment.unlink(missing_ok=True)
