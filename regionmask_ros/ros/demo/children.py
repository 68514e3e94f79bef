"""Commands of this package in child processes, which are checked while they run and always stopped."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...errors import UserError

STOP_TIMEOUT_S = 15.0


class Child:
    """A command of this package in a child process. Context manager; leaving it ends the process.

    The process has a session of its own, so that only the parent receives Ctrl-C and the processes end in order.

    Args:
        name: Its name in messages.
        arguments: The command and its arguments.
        environment: The process's environment.
        log: File for its output.
    """

    def __init__(self, name: str, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.name, self._log = name, log
        with open(log, "wb") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "regionmask_ros", *arguments], env=dict(environment), stdin=subprocess.DEVNULL,
                stdout=file, stderr=subprocess.STDOUT, start_new_session=True)

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def ended(self) -> bool:
        """Checks whether the process has ended.

        Returns:
            Whether it has ended without an error.

        Raises:
            UserError: It has ended with an error.
        """
        status = self._process.poll()
        if status:
            raise UserError(f"the {self.name} ended with status {status}: {self._last_line()}")
        return status is not None

    def check_running(self) -> None:
        """Checks that the process is running.

        Raises:
            UserError: It has ended.
        """
        if self.ended():
            raise UserError(f"the {self.name} ended too early: {self._last_line()}")

    def stop(self) -> None:
        """Interrupts the process; kills it if it does not end in time."""
        try:
            if self._process.poll() is None:
                self._process.send_signal(signal.SIGINT)
                self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            pass
        finally:
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()

    def _last_line(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1].removeprefix("regionmask_ros: error: ") if lines else "it printed nothing"
