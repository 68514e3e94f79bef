"""Prints progress with the elapsed time, and runs programs with their output in a log."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from .failures import CommandError, StepCancelled

HEARTBEAT_S = 20.0


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

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._start

    def print_line(self, text: str) -> None:
        """Prints one line."""
        with self._print:
            print(f"[{self.seconds:6.1f} s] {text}", flush=True)

    def stop(self) -> None:
        """Ends the programs that other threads run."""
        self._stop.set()

    def run(self, what: str, command: Sequence[str | Path], env: Mapping[str, str], log: str,
            cwd: Path | None = None) -> None:
        """Runs a program and waits for it.

        Args:
            what: What it does, for messages.
            command: The program and its arguments.
            env: Its environment.
            log: The output goes to ``logs/<log>.log``.
            cwd: Its working directory; None for the current one.

        Raises:
            CommandError: When it fails.
            StepCancelled: When `stop` was called; the program is ended.
        """
        path = self.logs / f"{log}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "ab") as output:
            output.write(("$ " + " ".join(map(str, command)) + "\n").encode())
            output.flush()
            child = subprocess.Popen(
                [str(word) for word in command], env=dict(env), cwd=cwd, stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, pass_fds=() if self.hold is None else (self.hold,))
            exit_code = self._wait(what, child)
        if exit_code:
            raise CommandError(what, exit_code, path)

    def _wait(self, what: str, child: subprocess.Popen[bytes]) -> int:
        begin, last_message = time.monotonic(), 0.0
        try:
            while True:
                try:
                    return child.wait(timeout=0.25)
                except subprocess.TimeoutExpired:
                    passed = time.monotonic() - begin
                if self._stop.is_set():
                    raise StepCancelled
                if passed - last_message >= HEARTBEAT_S:
                    last_message = passed
                    self.print_line(f"... still {what}")
        finally:
            if child.poll() is None:
                child.terminate()
                try:
                    child.wait(timeout=5)
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()
