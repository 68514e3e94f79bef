"""A home of its own for a program, and what the program has left when it has ended."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from regionmask_ros import user_folders
from regionmask_ros.lava_worker.processes import SEGMENTS, find_members

ROOT = Path(__file__).resolve().parents[2]
SETTLE_S = 3.0
"""What a program has left may still be there for so long: the kernel ends its children after it."""

_POLL_S = 0.05
_ELSEWHERE = ("ROS_LOG_DIR", "ROS_HOME", "PYTHONSAFEPATH", "REGIONMASK_LAVA_PYTHON")
# Fast DDS's locks of ports, of 32 bytes, and LTTng's pages are meant to stay: all programs share them, now and later.
_SHARED = re.compile(r"sem\.fast(dds|rtps)_port\d+_mutex|lttng-ust-.*")
# Folders that are not ours, or are kept from one start to the next; see _is_kept.
_KEPT = ("home/.ros/log/", "cache/matplotlib/", "config/matplotlib/", "cache/fontconfig/")
_MODELS = "cache/regionmask_ros/models/"


class Room:
    """Context manager: the folders of one program, such as its home. All names begin with ``folder``.

    Compiled kernels are those of this user, so that a start is quick.

    Args:
        domain: The ROS domain.
    """

    def __init__(self, domain: int) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="regionmask_ros_room_"))
        self.domain = domain
        for name in ("home", "tmp", "cache/regionmask_ros", "config", "data", "out"):
            (self.folder / name).mkdir(parents=True, mode=user_folders.PRIVATE)
        warm = user_folders.cache_folder()
        if warm is not None and (warm / "kernels").is_dir():
            (self.folder / "cache/regionmask_ros/kernels").symlink_to(warm / "kernels")
        self._before, self._segments = set(os.listdir(SEGMENTS)), set[str]()

    @property
    def output(self) -> Path:
        """The folder for what the program writes."""
        return self.folder / "out"

    def environment(self) -> Mapping[str, str]:
        """The environment of the program."""
        places = {"HOME": "home", "TMPDIR": "tmp", "XDG_CACHE_HOME": "cache", "XDG_CONFIG_HOME": "config",
                  "XDG_DATA_HOME": "data"}
        others = {name: value for name, value in os.environ.items() if name not in _ELSEWHERE}
        return {**others, **{name: str(self.folder / place) for name, place in places.items()},
                "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "ROS_DOMAIN_ID": str(self.domain),
                "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}

    def __enter__(self) -> Room:
        return self

    def __exit__(self, *exception: object) -> None:
        for pid in self.find_processes(0):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def find_processes(self, session: int) -> list[int]:
        """Processes that were started with this room's environment, and those of a session."""
        found = set(find_members(session)) if session else set()
        mark = os.fsencode(self.folder)
        for entry in filter(str.isdecimal, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                if mark in Path("/proc", entry, "environ").read_bytes() and _is_alive(entry):
                    found.add(int(entry))
        return sorted(found)

    def note_segments(self, pid: int) -> None:
        """Notes which shared memory a process and its children have open now."""
        self._segments |= _segments_of(pid)
        with contextlib.suppress(OSError):
            for child in Path("/proc", str(pid), "task", str(pid), "children").read_text().split():
                self.note_segments(int(child))

    def find_segments(self) -> list[str]:
        """Shared memory that was noted, is newer than this room, still exists, and that no process has open."""
        left = (self._segments - self._before) & set(os.listdir(SEGMENTS))
        left = {name for name in left if not _SHARED.fullmatch(name)}
        if left:
            left = left.difference(*(_segments_of(int(entry)) for entry in filter(str.isdecimal, os.listdir("/proc"))))
        return sorted(left)

    def find_files(self, is_output: Callable[[str], bool]) -> list[str]:
        """Finds files and folders that should not be there.

        Args:
            is_output: Tells of a path relative to ``output`` whether it may stay.

        Returns:
            Their paths relative to this room.
        """
        made = (str(path.relative_to(self.folder)) for name in ("home", "tmp", "cache", "config", "data", "out")
                for path in _walk(self.folder / name))
        return sorted(path for path in made
                      if not (is_output(path.removeprefix("out/")) if path.startswith("out/") else _is_kept(path)))

    def find_leftovers(self, session: int, is_output: Callable[[str], bool]) -> Iterator[tuple[str, str]]:
        """Finds what a program has left after ``SETTLE_S``.

        Args:
            session: The session that the program led.
            is_output: See ``find_files``.

        Yields:
            The kind, which is process, memory or file, and names.
        """
        searches: dict[str, Callable[[], list[str]]] = {
            "process": lambda: [f"{pid} {_command(pid)}" for pid in self.find_processes(session)],
            "memory": self.find_segments, "file": lambda: self.find_files(is_output)}
        for kind, search in searches.items():
            deadline = time.monotonic() + SETTLE_S
            while (found := search()) and time.monotonic() < deadline:
                time.sleep(_POLL_S)
            if found:
                yield kind, ", ".join(found)


def _walk(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path)


def _is_kept(path: str) -> bool:
    """Whether a file may stay: log files of ROS, whole files in caches, and the folders that lead there."""
    if any(kept.startswith(f"{path}/") or path.startswith(kept) for kept in _KEPT):
        return True
    if _MODELS.startswith(f"{path}/") or path == "cache/regionmask_ros/kernels":
        return True
    return path.startswith(_MODELS) and not any(part.startswith(".") for part in Path(path).parts)


def _is_alive(pid: str) -> bool:
    return Path("/proc", pid, "stat").read_text(errors="replace").rpartition(")")[2].split()[0] not in "ZX"


def _command(pid: int) -> str:
    try:
        return Path("/proc", str(pid), "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return "?"


def _segments_of(pid: int) -> set[str]:
    """Names of the segments that a process has mapped or open."""
    start = f"{SEGMENTS}/"
    found: set[str] = set()
    with contextlib.suppress(OSError):
        maps = Path("/proc", str(pid), "maps").read_text(errors="replace")
        found.update(line.partition(start)[2] for line in maps.splitlines() if start in line)
    with contextlib.suppress(OSError):
        for descriptor in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                target = os.readlink(f"/proc/{pid}/fd/{descriptor}")
                if target.startswith(start):
                    found.add(target.removeprefix(start))
    return found
