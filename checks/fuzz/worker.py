"""The child process that reads cases, within limits, and reports how each ended.

A line of the standard input is a JSON list [seed, kind, first number, count]. A line of the output is a JSON list
[number, outcome, CPU seconds, bytes of memory, detail], one for each case in order: a case without a line has ended the
process.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

from regionmask_ros.errors import MAX_LINE_LENGTH, UserError

from .kind import Kind, write_files

ACCEPTED, REFUSED, TRACEBACK, UNCLEAR, OUTSIDE = "accepted", "refused", "traceback", "unclear", "outside"
CPU_S = 10.0
MEMORY_BYTES = 6 << 30
"""Of addresses, beyond those that the process has when it begins."""

_WRITES = frozenset(("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link", "os.truncate",
                     "os.chmod", "os.chown", "shutil.rmtree", "shutil.copyfile", "shutil.move"))
_STARTS = frozenset(("os.system", "os.exec", "os.posix_spawn", "socket.connect", "socket.getaddrinfo", "socket.bind",
                     "pty.spawn", "webbrowser.open"))
_BAG_COPY = re.compile(r"\.regionmask_ros\.[0-9a-f]{8}\.part(/.+)?")
_IN_BAG_COPY = re.compile(r"bag\.(mcap|db3|bag)(-wal|-shm|-journal)?")
_TEMPORARY = tempfile.gettempdir()
"""Found here: inside of the audit hook, looking for it would wait for itself."""
_WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Watch:
    """Notes files that are written, and programs and connections that are started, while a reader runs."""

    def __init__(self) -> None:
        self.is_on = False
        self.seen: list[str] = []
        sys.addaudithook(self._note)

    def _note(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.is_on:
            return
        if args and isinstance(args[0], str | os.PathLike) and _is_bag_copy(os.fspath(args[0])):
            return
        if event == "open" and not isinstance(args[0], int) and args[0] != os.devnull and (args[2] or 0) & _WRITE_FLAGS:
            self.seen.append(f"opens {args[0]!r} for writing")
        elif event in _WRITES or event in _STARTS:
            self.seen.append(f"{event} {args!r}"[:200])
        elif event == "subprocess.Popen" and not str(args[1][1:2]).endswith("hdf5_dump.py']"):
            self.seen.append(f"starts {args[1]!r}"[:200])


def _is_bag_copy(path: str) -> bool:
    """Whether this is a copy of a bag's file that its reader makes, and has to remove, in the temporary folder."""
    # shutil.rmtree names a file in its folder without it.
    return _IN_BAG_COPY.fullmatch(path) is not None or (
        os.path.isabs(path) and _BAG_COPY.fullmatch(os.path.relpath(path, _TEMPORARY)) is not None)


class Memory:
    """The largest amount of memory that the process has had since ``reset``."""

    def __init__(self) -> None:
        self._before = 0

    def reset(self) -> None:
        """Begins anew."""
        with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as file:
            file.write("5")
        self._before = _status("VmRSS")

    def peak(self) -> int:
        """Bytes beyond those at the beginning."""
        return max(0, _status("VmHWM") - self._before)


def _status(name: str) -> int:
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        return next((int(line.split()[1]) << 10 for line in file if line.startswith(name)), 0)


def make_case(kind: Kind, seed: int, number: int) -> Any:
    """The case of this number, the same in every process."""
    return kind.make(random.Random(f"{seed} {kind.name} {number}"))


def read_case(kind: Kind, case: Any, folder: Path) -> None:
    """Gives a case to its reader."""
    kind.read(case, folder)


def _run_case(kind: Kind, case: Any, folder: Path, watch: Watch) -> tuple[str, str]:
    """Outcome, and what to say about it."""
    watch.seen.clear()
    watch.is_on = True
    try:
        read_case(kind, case, folder)
        outcome, detail = ACCEPTED, ""
    except UserError as error:
        line = str(error)
        is_clear = line.isprintable() and 0 < len(line) <= MAX_LINE_LENGTH
        outcome, detail = (REFUSED, "") if is_clear else (UNCLEAR, line[:60])
    # All others are what the campaign looks for.
    except BaseException as error:  # noqa: BLE001
        place = traceback.extract_tb(error.__traceback__)[-1]
        ours = [entry for entry in traceback.extract_tb(error.__traceback__) if "regionmask_ros" in entry.filename]
        at = ours[-1] if ours else place
        outcome = TRACEBACK
        detail = f"{type(error).__name__}: {str(error)[:150]} at {Path(at.filename).name}:{at.lineno} in {at.name}"
    finally:
        watch.is_on = False
    return (OUTSIDE, watch.seen[0]) if watch.seen else (outcome, detail)


def _left_files(folder: Path, case: Any) -> str:
    """A file that the reader has added to the folder of the case, or a copy that it has left; empty for none."""
    expected = {str(Path(name)) for name in case} if isinstance(case, dict) else set()
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}
    copies = [entry.name for entry in os.scandir(_TEMPORARY) if _is_bag_copy(entry.path)]
    return next(iter([*(found - expected), *copies]), "")


def serve(kinds: dict[str, Kind], root: Path) -> None:
    """Reads requests until the input ends.

    Args:
        kinds: All kinds by name.
        root: A folder for the files of the cases.
    """
    answers = os.dup(1)
    # What libraries print is not part of the answer.
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    from regionmask_ros.sources.base import silence_decoders

    silence_decoders()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    limit = _status("VmSize") + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    watch, memory = Watch(), Memory()
    for line in sys.stdin:
        seed, name, first, count = json.loads(line)
        for number in range(first, first + count):
            kind, folder = kinds[name], root / "case"
            case = make_case(kind, seed, number)
            folder.mkdir()
            if isinstance(case, dict) and all(isinstance(value, bytes) for value in case.values()):
                write_files(case, folder)
            memory.reset()
            begin = _cpu_s()
            # SIGPROF ends a process that has no handler for it.
            signal.setitimer(signal.ITIMER_PROF, CPU_S * max(1.0, kind.hang_s))
            outcome, detail = _run_case(kind, case, folder, watch)
            signal.setitimer(signal.ITIMER_PROF, 0.0)
            spent, most = _cpu_s() - begin, memory.peak()
            left = _left_files(folder, case)
            if left:
                outcome, detail = OUTSIDE, f"leaves {left!r}"
            shutil.rmtree(folder)
            os.write(answers, (json.dumps([number, outcome, round(spent, 4), most, detail]) + "\n").encode())


def _cpu_s() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + spent.ru_utime + spent.ru_stime
