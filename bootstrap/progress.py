"""Prints progress with the elapsed time, and runs programs with their output in a log."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from .failures import CommandError, StepCancelled

_ERASE = "\r\x1b[K"
"""Goes to the start of the line on a terminal, and erases the line."""

HEARTBEAT_S = 10.0
"""Time to the first line about a program that runs, and the least time between two; each wait is longer than the one
before. On a terminal one line is written again and again instead."""


class Progress:
    """Prints lines such as ``[  12.3 s] installing packages``. Safe to use from several threads."""

    def __init__(self, logs: Path, hold: int | None = None) -> None:
        """Starts the clock.

        Args:
            logs: The folder that receives one log a program.
            hold: The descriptor of an open file that programs inherit. A lock on it lasts until the last of them has
                ended, even when the set-up itself was killed.
        """
        self.logs, self.hold = logs, hold
        self._start = time.monotonic()
        self._stop = threading.Event()
        self._print = threading.Lock()
        self._is_terminal = sys.stdout.isatty()
        # What the programs that run now have reached, by thread: the last line on a terminal.
        self._reached: dict[int, str] = {}

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._start

    def print_line(self, text: str) -> None:
        """Prints one line."""
        with self._print:
            print(f"{_ERASE if self._is_terminal else ''}[{self.seconds:6.1f} s] {text}", flush=True)

    def _show(self, text: str) -> None:
        """Writes the last line on a terminal again; empty when the program of this thread has ended."""
        with self._print:
            self._reached.pop(threading.get_ident(), None)
            if text:
                self._reached[threading.get_ident()] = text
            line = f"[{self.seconds:6.1f} s] {'; '.join(self._reached.values())}" if self._reached else ""
            print(f"{_ERASE}{line[:shutil.get_terminal_size().columns - 1]}", end="", flush=True)

    def stop(self) -> None:
        """Ends the programs that other threads run."""
        self._stop.set()

    def run(self, what: str, command: Sequence[str | Path], env: Mapping[str, str], log: str,
            cwd: Path | None = None, watch: Callable[[str], str] | None = None) -> None:
        """Runs a program and waits for it.

        Args:
            what: What it does, for messages.
            command: The program and its arguments.
            env: Its environment.
            log: The output goes to ``logs/<log>.log``.
            cwd: Its working directory; None for the current one.
            watch: Makes a text about how far the program has come from what it has printed; None: there is none.

        Raises:
            CommandError: When it fails.
            StepCancelled: When `stop` was called; the program is ended.
        """
        path = self.logs / f"{log}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "ab") as output:
            output.write(("$ " + " ".join(map(str, command)) + "\n").encode())
            output.flush()
            start = output.tell()
            child = subprocess.Popen(
                [str(word) for word in command], env=dict(env), cwd=cwd, stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, pass_fds=() if self.hold is None else (self.hold,))
            exit_code = self._wait(child, lambda: (watch(_read_from(path, start)) if watch else "") or what)
        if exit_code:
            raise CommandError(what, exit_code, path, _read_from(path, start))

    def _wait(self, child: subprocess.Popen[bytes], describe: Callable[[], str]) -> int:
        begin, next_message = time.monotonic(), HEARTBEAT_S
        try:
            while True:
                try:
                    exit_code = child.wait(timeout=0.25)
                    if self._is_terminal:
                        self._show(describe())
                    return exit_code
                except subprocess.TimeoutExpired:
                    passed = time.monotonic() - begin
                if self._stop.is_set():
                    raise StepCancelled
                if self._is_terminal:
                    self._show(describe())
                elif passed >= next_message:
                    next_message = max(1.5 * passed, passed + HEARTBEAT_S)
                    self.print_line(f"... {describe()}")
        finally:
            if self._is_terminal:
                self._show("")
            if child.poll() is None:
                child.terminate()
                try:
                    child.wait(timeout=5)
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()


def format_share(done: int, total: int) -> str:
    """Formats how much is done, such as "37 of 149 (25 %)"."""
    done = max(0, min(done, total))
    return f"{done} of {total} ({100 * done // max(total, 1)} %)"


def watch_counts(what: str) -> Callable[[str], str]:
    """Makes a function for `Progress.run`.

    Args:
        what: What the program does. It prints counts as Ninja does, "[12/87]" at the start of a line.

    Returns:
        A function from the program's output to a text with the last count, such as "building: 12 of 87 (13 %)". The
        text is empty before the first one.
    """

    def watch(output: str) -> str:
        counts = re.findall(r"^\[(\d+)/(\d+)\]", output, re.MULTILINE)
        return f"{what}: {format_share(*map(int, counts[-1]))}" if counts else ""

    return watch


def _read_from(path: Path, start: int) -> str:
    try:
        with open(path, "rb") as file:
            file.seek(start)
            return file.read().decode(errors="replace")
    except OSError:
        return ""
