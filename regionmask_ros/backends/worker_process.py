"""The process that runs Lava, seen from the pipeline's side: started, spoken to, and ended for certain.

It leads a session of its own, so Ctrl-C in a terminal reaches the pipeline only, and killing the session ends all that
it has started. It ends by itself when our end of the socket closes, which the kernel does for a pipeline that crashes.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import to_one_line
from ..lava_worker import processes as family
from ..lava_worker import protocol as messages
from ..lava_worker.protocol import Connection, Message, NetworkHeader, ProtocolError, pack
from .base import BackendError, IsCancelled

START = Path(__file__).resolve().parent.parent / "lava_worker" / "start.py"
MAX_BYTES = 1 << 28
POLL_PERIOD_S = 0.1
"""Whether a process that starts is still wanted."""

MAX_FOLDER_LENGTH = 60
"""Characters. The kernel allows 107 for a socket's name, which Lava makes some folders below."""

# Each process computes with one thread: with more, a forked BLAS can wait for ever.
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_OF_OUR_PYTHON = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "LD_LIBRARY_PATH", "VIRTUAL_ENV")


class ChildProcess:
    """A started process with its network. Owns it until ``end``; it also ends with this object and with the program.

    ready: what it told of itself (see ``messages``). grace_s: how long it may take to end before it is killed.
    Raises BackendFailed when it is not ready within ``timeout_s``, or is given up before.
    """

    def __init__(
        self, interpreter: Path, network: NetworkHeader, timeout_s: float, is_cancelled: IsCancelled, grace_s: float = 0.0
    ) -> None:
        self._folder = _make_runtime_folder()
        ours, theirs = socket.socketpair()
        log = open(self._folder / "log", "wb")
        try:
            with theirs, log:
                self._process = subprocess.Popen(
                    [str(interpreter), str(START), str(theirs.fileno()), str(self._folder)], stdin=subprocess.DEVNULL,
                    stdout=log, stderr=log, pass_fds=(theirs.fileno(),), start_new_session=True, cwd=self._folder,
                    env={**lava_environment(os.environ), "TMPDIR": str(self._folder)},
                )
        except OSError as error:
            ours.close()
            shutil.rmtree(self._folder, ignore_errors=True)
            raise BackendError(to_one_line(f"{interpreter}: cannot be started, {error.strerror}")) from error
        self._connection = Connection(ours, MAX_BYTES)
        self._end = weakref.finalize(self, _end, self._process, self._connection, self._folder, grace_s)
        self.ready = self._wait_until_ready(network, timeout_s, is_cancelled)

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, kind: int, body: bytes, sequence: int, timeout_s: float) -> None:
        """Raises BackendFailed when it has ended or takes nothing for that long."""
        self._send(pack(kind, body, sequence), timeout_s)

    def receive(self, timeout_s: float) -> Message | None:
        """The next message, None when none comes within the time. Raises BackendFailed when it has failed or ended."""
        try:
            message = self._connection.receive(timeout_s)
        except ProtocolError as error:
            raise self._failed(str(error)) from error
        if message is not None and message.kind == messages.FAILED:
            raise self.failed(f"has failed: {message.body.decode(errors='replace')}")
        return message

    def failed(self, why: str) -> BackendError:
        """Ends it, and the error to raise."""
        self.end()
        return BackendError(to_one_line(f"the Lava process {why}"))

    def end(self) -> None:
        """Ends it and removes all that it may have left. Harmless when called twice."""
        self._end()

    def _send(self, data: bytes, timeout_s: float) -> None:
        try:
            self._connection.send(data, timeout_s)
        except ProtocolError as error:
            raise self._failed(str(error)) from error

    def _wait_until_ready(self, network: NetworkHeader, timeout_s: float, is_cancelled: IsCancelled) -> dict[str, Any]:
        deadline = time.monotonic() + timeout_s
        self._send(pack(messages.OPEN, messages.pack_open(network)), timeout_s)
        message = None
        while message is None and (left_s := deadline - time.monotonic()) > 0.0:
            if is_cancelled():
                raise self.failed("was given up while it started")
            message = self.receive(min(left_s, POLL_PERIOD_S))
        if message is None:
            raise self.failed(f"was not ready within {timeout_s:g} s")
        try:
            if message.kind != messages.READY:
                raise ProtocolError(f"it began with a message of kind {message.kind}")
            return messages.unpack_json(message.body)
        except ProtocolError as error:
            raise self.failed(str(error)) from error

    def _failed(self, told: str) -> BackendError:
        """Ends it; its own words come first, then the last line of its log, then what the wire tells."""
        try:
            message = self._connection.receive(0.0)
            while message is not None and message.kind != messages.FAILED:
                message = self._connection.receive(0.0)
            if message is not None:
                return self.failed(f"has failed: {message.body.decode(errors='replace')}")
        except (ProtocolError, OSError):
            pass
        said = _last_line(self._folder / "log")
        return self.failed(f"has failed: {said or told}")


def _make_runtime_folder() -> Path:
    """A new folder for the process's temporary files, with a name that is short enough for sockets in it."""
    usual = tempfile.gettempdir()
    return Path(tempfile.mkdtemp(prefix="regionmask_", dir=usual if len(usual) <= MAX_FOLDER_LENGTH else "/tmp"))


def lava_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of an interpreter with Lava: without what leads to this Python's packages."""
    kept = {name: value for name, value in environ.items() if name not in _OF_OUR_PYTHON}
    return {**kept, **dict.fromkeys(_ONE_THREAD, "1"), "PYTHONDONTWRITEBYTECODE": "1"}


def _last_line(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace")[-10_000:].splitlines()
    except OSError:
        return ""
    told = [line.strip() for line in lines if line.strip()]
    return told[-1] if told else ""


def _end(process: subprocess.Popen, connection: Connection, folder: Path, grace_s: float) -> None:
    """Closing the socket asks it to end, and it takes all below it along. What then is still there is killed."""
    connection.close()
    try:
        process.wait(grace_s)
    except subprocess.TimeoutExpired:
        pass
    family.kill_session(process.pid)
    process.wait()
    family.remove_segments(process.pid)
    shutil.rmtree(folder, ignore_errors=True)
