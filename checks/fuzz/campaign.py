"""A campaign: shares the cases among child processes, and counts how they end."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Queue

from .kind import Kind
from .worker import ACCEPTED, OUTSIDE, REFUSED, TRACEBACK, UNCLEAR

ROOT = Path(__file__).resolve().parents[2]
BATCH = 200
SILENT_S = 120.0
"""Seconds without an answer after which a child process counts as hanging."""
MEMORY_BYTES = 1 << 30
CRASH, HANG, MEMORY = "crash", "hang", "memory"
FAILURES = (CRASH, HANG, TRACEBACK, MEMORY, OUTSIDE, UNCLEAR)
"""What must not happen, in the order of the table's columns."""
_TITLES: tuple[str, ...] = (
    "kind", "cases", "accepted", "refused", "crashes", "hangs", "tracebacks", "> 1 GB", "outside", "unclear")

Answer = tuple[int, str, float, int, str]
"""Number of the case, outcome, CPU seconds, bytes of memory, detail."""


@dataclass
class Tally:
    """How the cases of one kind ended.

    Attributes:
        counts: Cases by outcome.
        failures: (number, outcome, detail) of those that failed.
    """

    counts: dict[str, int] = field(default_factory=dict)
    failures: list[tuple[int, str, str]] = field(default_factory=list)

    def add(self, answer: Answer, hang_s: float) -> None:
        """Counts a case.

        Args:
            answer: How it ended.
            hang_s: CPU time after which it counts as a hang, in seconds.
        """
        number, outcome, spent_s, most_bytes, detail = answer
        if outcome != CRASH and spent_s > hang_s:
            outcome, detail = HANG, f"{spent_s:.1f} s of CPU time; {detail}"
        elif outcome != CRASH and most_bytes > MEMORY_BYTES:
            outcome, detail = MEMORY, f"{most_bytes >> 20} MB; {detail}"
        self.counts[outcome] = self.counts.get(outcome, 0) + 1
        if outcome in FAILURES:
            self.failures.append((number, outcome, detail))


def share_cases(kinds: Sequence[Kind], cases: int) -> dict[str, int]:
    """The number of cases of each kind, at least one."""
    total = sum(kind.share for kind in kinds)
    return {kind.name: max(1, round(cases * kind.share / total)) for kind in kinds}


def run_campaign(kinds: Sequence[Kind], cases: int, seed: int, jobs: int) -> dict[str, Tally]:
    """Runs a campaign.

    Args:
        kinds: The kinds.
        cases: Number of cases, all kinds together.
        seed: Two campaigns with the same seed have the same cases.
        jobs: Number of child processes at a time.

    Returns:
        The results by kind.
    """
    tallies = {kind.name: Tally() for kind in kinds}
    limits = {kind.name: kind.hang_s for kind in kinds}
    batches: Queue[tuple[str, int, int]] = Queue()
    for name, count in share_cases(kinds, cases).items():
        for first in range(0, count, BATCH):
            batches.put((name, first, min(BATCH, count - first)))
    lock = threading.Lock()

    def work() -> None:
        with _Child() as child:
            while True:
                try:
                    batch = batches.get_nowait()
                except Empty:
                    return
                for answer in child.read_all(seed, *batch):
                    with lock:
                        tallies[batch[0]].add(answer, limits[batch[0]])

    threads = [threading.Thread(target=work) for _ in range(max(1, min(jobs, batches.qsize())))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return tallies


class _Child:
    """A child process, which is started again when a case has ended it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._rest = b""
        self._folder = tempfile.TemporaryDirectory(prefix="regionmask_ros_fuzz_")

    def __enter__(self) -> _Child:
        return self

    def __exit__(self, *exception: object) -> None:
        self._end()
        self._folder.cleanup()

    def read_all(self, seed: int, name: str, first: int, count: int) -> Iterator[Answer]:
        """The answers to every case of a batch."""
        number, end = first, first + count
        while number < end:
            process = self._start()
            with contextlib.suppress(BrokenPipeError):
                self._inlet.write((json.dumps([seed, name, number, end - number]) + "\n").encode())
                self._inlet.flush()
            while number < end:
                line = self._read_line(process)
                yield self._describe_end(process, number) if line is None else tuple(json.loads(line))
                number += 1
                if line is None:
                    break

    def _start(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            home = Path(self._folder.name, "home")
            for folder in (home, Path(self._folder.name, "case")):
                shutil.rmtree(folder, ignore_errors=True)
            home.mkdir()
            places = dict.fromkeys(("HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "TMPDIR"), str(home))
            variables = {**os.environ, **places, "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1",
                         "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
            self._rest = b""
            self._process = subprocess.Popen(
                [sys.executable, "-m", "checks.fuzz", "--serve", self._folder.name], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, env=variables, cwd=home, start_new_session=True)
            assert self._process.stdin and self._process.stdout
            self._inlet, self._outlet = self._process.stdin, self._process.stdout
        return self._process

    def _read_line(self, process: subprocess.Popen[bytes]) -> bytes | None:
        """None when the process has ended, or says nothing."""
        while b"\n" not in self._rest:
            if not select.select([self._outlet], [], [], SILENT_S)[0]:
                process.kill()
            data = os.read(self._outlet.fileno(), 1 << 16)
            if not data:
                return None
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def _describe_end(self, process: subprocess.Popen[bytes], number: int) -> Answer:
        status = process.wait()
        self._end()
        if status in (-signal.SIGPROF, -signal.SIGKILL):
            return number, HANG, 0.0, 0, "does not end"
        return number, CRASH, 0.0, 0, signal.Signals(-status).name if status < 0 else f"exit status {status}"

    def _end(self) -> None:
        if self._process is not None:
            with contextlib.suppress(BrokenPipeError):
                self._inlet.close()
            self._process.wait()
            self._outlet.close()
            self._process = None


def format_table(tallies: dict[str, Tally]) -> str:
    """The results as a table, with a line for all kinds together."""
    rows = [_TITLES]
    numbers = []
    for name, tally in tallies.items():
        values = [sum(tally.counts.values()), *(tally.counts.get(key, 0) for key in (ACCEPTED, REFUSED, *FAILURES))]
        numbers.append(values)
        rows.append((name, *(f"{value:,}" for value in values)))
    rows.append(("all", *(f"{sum(column):,}" for column in zip(*numbers))))
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows)
