"""One program is started, ended by a signal, and judged."""

from __future__ import annotations

import random
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from regionmask_ros.files.outputs import MARKER
from regionmask_ros.interrupts import EXIT_BY_SIGNAL

from .programs import Program
from .room import Room

NUMBERS = (signal.SIGINT, signal.SIGTERM)
FAILURES = ("status", "traceback", "hang", "process", "memory", "file")
"""What must not happen, in the order of the table's columns."""

END_S = 20.0
"""A program that has not ended after this time hangs."""

START_S = 120.0
_SECOND_SHARE, _SECOND_S = 0.25, 0.5
_POLL_S, _LOOK_S = 0.002, 0.02
_ALARMING = re.compile(
    r"Traceback \(most recent|Exception ignored|Fatal Python|terminate called|Segmentation|core dumped|leaked|caught:")


class Interrupted(Exception):
    """The campaign is to end."""


@dataclass(frozen=True)
class Outcome:
    """How a program has ended.

    Attributes:
        program: The program's name.
        moment: Which signal was sent, and when.
        status: The exit status.
        problems: What must not happen, as (one of ``FAILURES``, detail).
        log: What it has printed.
    """

    program: str
    moment: str
    status: int
    problems: tuple[tuple[str, str], ...]
    log: str


class Trial:
    """A program that runs in a room until a signal.

    Args:
        program: The program.
        room: Its room, which nobody has used.
        stop: Set when the trial shall be given up.
    """

    def __init__(self, program: Program, room: Room, stop: threading.Event) -> None:
        self._program, self._room, self._stop = program, room, stop
        self._log = room.folder / "log"

    def run(self, rng: random.Random, longest_s: float) -> Outcome | float:
        """Starts the program and sends a signal, and one time in four a second one soon after.

        Half of the moments of a program that says when it is running come after that.

        Args:
            rng: Draws the signal and its moment.
            longest_s: The longest time between the first lines and the signal.

        Returns:
            How it has ended; how many seconds it has lived if it had ended before the signal.

        Raises:
            Interrupted: ``stop`` was set.
            RuntimeError: The program does not start.
        """
        number, is_late = rng.choice(NUMBERS), bool(self._program.running) and rng.random() < 0.5
        delay_s = rng.uniform(0.0, longest_s)
        with open(self._log, "wb") as file:
            process = subprocess.Popen(
                self._program.command(self._room), stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
                env=dict(self._room.environment()), cwd=self._room.folder, start_new_session=True)
        try:
            self._wait(process, lambda: _handles(process.pid, signal.SIGTERM))
            begin = time.monotonic()
            if is_late:
                self._wait(process, self._is_running)
            self._sleep(process, delay_s)
            was_running = self._is_running()
            if process.poll() is not None:
                return time.monotonic() - begin
            sent = [number]
            process.send_signal(number)
            if rng.random() < _SECOND_SHARE:
                self._sleep(process, rng.uniform(0.0, _SECOND_S))
                sent.append(rng.choice(NUMBERS))
                process.send_signal(sent[-1])
            self._sleep(process, END_S)
            hangs = process.poll() is None
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
        problems = [("hang", f"lives {END_S:.0f} s after the signal")] if hangs else [
            *self._judge(process.returncode, sent, was_running),
            *self._room.find_leftovers(process.pid, self._is_output)]
        names = " and ".join(one.name for one in sent)
        moment = f"{names} {delay_s:.3f} s after {'it was running' if is_late else 'its first lines'}"
        return Outcome(self._program.name, moment, process.returncode, tuple(problems), self._read_log())

    def _wait(self, process: subprocess.Popen[bytes], condition: Callable[[], bool]) -> None:
        """Waits for a condition. Raises RuntimeError if the program ends before."""
        deadline = time.monotonic() + START_S
        while not condition():
            if process.poll() is not None or time.monotonic() > deadline:
                last = self._read_log().strip().splitlines()[-1:]
                raise RuntimeError(f"{self._program.name}: does not start: {' '.join(last)}")
            self._sleep(process, _POLL_S)

    def _sleep(self, process: subprocess.Popen[bytes], seconds: float) -> None:
        """Sleeps, or less if the process ends."""
        deadline = time.monotonic() + seconds
        while process.poll() is None and (left := deadline - time.monotonic()) > 0.0:
            self._room.note_segments(process.pid)
            if self._stop.wait(min(left, _LOOK_S)):
                raise Interrupted

    def _read_log(self) -> str:
        return self._log.read_text(errors="replace")

    def _is_running(self) -> bool:
        return bool(self._program.running) and self._program.running in self._read_log()

    def _judge(self, status: int, sent: list[signal.Signals], was_running: bool) -> Iterator[tuple[str, str]]:
        # Two that come together may be seen in any order.
        allowed = {0} if was_running else {EXIT_BY_SIGNAL + number for number in sent}
        if self._program.can_end_well or self._find_outputs() == set(self._program.outputs) != set():
            allowed.add(0)
        if status not in allowed:
            yield "status", f"{status}, not {' or '.join(map(str, sorted(allowed)))}"
        alarming = [line for line in self._read_log().splitlines() if _ALARMING.search(line)]
        if alarming:
            yield "traceback", alarming[0]

    def _find_outputs(self) -> set[str]:
        return {name for name in self._program.outputs if (self._room.output / name).exists()}

    def _is_output(self, path: str) -> bool:
        """Whether this may be left: a part of the program's outputs, if they are complete."""
        names = self._program.outputs
        if not names or self._find_outputs() != set(names):
            return False
        if any(part.startswith(".") and part != MARKER for part in Path(path).parts):
            return False
        return any(name == path or path.startswith(f"{name}/") or name.startswith(f"{path}/") for name in names)


def _handles(pid: int, number: int) -> bool:
    """Whether a process has a handler for a signal."""
    try:
        lines = Path("/proc", str(pid), "status").read_text().splitlines()
    except OSError:
        return False
    masks = [int(line.split()[1], 16) for line in lines if line.startswith("SigCgt:")]
    return bool(masks and masks[0] >> (number - 1) & 1)
