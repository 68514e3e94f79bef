"""Finds what a Lava process could leave behind, by the folder in the names of its files and processes."""

from __future__ import annotations

import os
import select
import time
from pathlib import Path

from regionmask_ros.lava_worker.processes import SEGMENTS, segment_prefix


def processes_of(folder: Path) -> list[int]:
    """Processes started with a folder below ``folder``: the session leader and its forks."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdecimal() and int(entry) != os.getpid():
            try:
                words = Path("/proc", entry, "cmdline").read_bytes()
            except OSError:
                continue
            if b"start.py" in words and os.fsencode(folder) in words:
                found.append(int(entry))
    return found


def left_behind(folder: Path, leader: int) -> list[str]:
    """Processes, shared memory, sockets and files that exist now."""
    segments = [segment.name for segment in SEGMENTS.glob(f"{segment_prefix(leader)}*")]
    sockets = [line for line in Path("/proc/net/unix").read_text().splitlines() if str(folder) in line]
    return [*map(str, processes_of(folder)), *segments, *sockets, *map(str, folder.glob("regionmask_*"))]


def wait_until_clean(folder: Path, leader: int, timeout_s: float = 30.0) -> list[str]:
    """Waits until nothing is left, at most ``timeout_s``; returns what still exists."""
    deadline = time.monotonic() + timeout_s
    while (found := left_behind(folder, leader)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def wait_for_exit(pid: int, timeout_s: float = 60.0) -> None:
    """Waits until a process has ended; a zombie has."""
    descriptor = os.pidfd_open(pid)
    try:
        assert select.select([descriptor], [], [], timeout_s)[0], f"process {pid} did not end"
    finally:
        os.close(descriptor)


def leads(pid: int) -> bool:
    """Whether the process exists and leads a session."""
    try:
        return os.getsid(pid) == pid
    except ProcessLookupError:
        return False


def wait_for_leader(folder: Path, timeout_s: float = 60.0) -> int:
    """Waits for Lava's processes and segments, and returns the leader of their session."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        leaders = [pid for pid in processes_of(folder) if leads(pid)]
        if leaders and len(processes_of(folder)) > 3 and any(SEGMENTS.glob(f"{segment_prefix(leaders[0])}*")):
            return leaders[0]
        time.sleep(0.05)
    raise AssertionError("Lava did not start")
