"""The worker process seen from the pipeline's side: finding its interpreter, starting it, messages, and ending it.

The worker leads a session of its own. Ctrl-C in a terminal therefore reaches the pipeline only, and killing the session
ends all processes of Lava. The worker also ends when the pipeline's end of the socket closes, which the kernel does if
the pipeline crashes.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import weakref
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import to_one_line
from ..lava_worker import protocol
from ..lava_worker.processes import kill_session, remove_segments
from ..lava_worker.protocol import Message, NetworkHeader, ProtocolError, Splitter
from ..user_folders import data_folder, find_distrust
from .base import BackendError, IsCancelled

START = Path(__file__).resolve().parent.parent / "lava_worker" / "start.py"
PYTHON_VARIABLE = "REGIONMASK_LAVA_PYTHON"
LAVA_FOLDER = "lava"
HINT = f"run 'make lava', or name one that has lava-nc in the environment variable {PYTHON_VARIABLE}"

FACTS_TIMEOUT_S = 5.0
MAX_BYTES = 1 << 28
CHUNK_BYTES = 1 << 20
CANCEL_POLL_PERIOD_S = 0.1
MAX_LOG_CHARACTERS = 10_000

MAX_FOLDER_LENGTH = 60
"""Characters. The kernel allows 107 for the name of a socket, which Lava creates some folders below."""

# Each process computes with one thread: with more, a forked BLAS can wait forever.
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_OF_OUR_PYTHON = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
_HAS_ENDED = "it has ended"


def find_lava_python(explicit: str = "") -> Path:
    """Finds the interpreter that runs Lava. It is not started, so it may still fail.

    The first of these that exists: ``explicit``; what the environment variable REGIONMASK_LAVA_PYTHON names;
    lava/bin/python below this Python's prefix, where ``make lava`` installs it; the same below the user's data folder;
    this Python, if it has Lava.

    Args:
        explicit: Path of the interpreter; empty: search.

    Returns:
        Path of the interpreter.

    Raises:
        BackendError: There is none.
    """
    for named, by in ((explicit, "the option lava_python"), (os.environ.get(PYTHON_VARIABLE, ""), PYTHON_VARIABLE)):
        if named:
            path = Path(os.path.expanduser(named))
            if not os.access(path, os.X_OK) or path.is_dir():
                raise BackendError(to_one_line(f"{path}: no interpreter, but {by} names it; {HINT}"))
            return path
    for folder in filter(None, (Path(sys.prefix), data_folder())):
        path = folder / LAVA_FOLDER / "bin" / "python"
        if os.access(path, os.X_OK):
            reason = find_distrust(path.parent) if folder == data_folder() else ""
            if reason:
                raise BackendError(to_one_line(f"{path}: not started, because {reason}"))
            return path
    if any((Path(entry) / "lava" / "magma").is_dir() for entry in sys.path if os.path.isabs(entry)):
        return Path(sys.executable)
    raise BackendError(f"no interpreter with Lava found; {HINT}")


def ask_lava_python(interpreter: Path) -> dict[str, Any]:
    """Starts an interpreter and asks what it has for Lava and Loihi 2.

    Args:
        interpreter: Path of the interpreter.

    Returns:
        As ``lava_worker.start.collect_facts``.

    Raises:
        BackendError: It cannot be started, or does not answer.
    """
    try:
        done = subprocess.run([str(interpreter), str(START), "--facts"], stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=FACTS_TIMEOUT_S, env=make_environment(os.environ), check=False)
        return dict(json.loads(done.stdout))
    except subprocess.TimeoutExpired:
        cause = f"does not answer within {FACTS_TIMEOUT_S:g} s"
    except OSError as error:
        cause = f"cannot be started, {error.strerror}"
    except ValueError:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        cause = f"is not a usable Python: {last[0] if last else f'it ended with status {done.returncode}'}"
    raise BackendError(to_one_line(f"{interpreter}: {cause}"))


def make_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for an interpreter with Lava: without variables that lead to this Python's packages."""
    ours = {name: value for name, value in environ.items() if name not in _OF_OUR_PYTHON}
    return {**ours, **dict.fromkeys(_ONE_THREAD, "1"), "PYTHONDONTWRITEBYTECODE": "1"}


class Connection:
    """The pipeline's end of the socket. It owns the socket. For one thread at a time.

    While it sends, it also receives, so that two sides that send to each other cannot block each other.

    Args:
        end: A connected stream socket.
        max_bytes: Largest length of a received body.
    """

    def __init__(self, end: socket.socket, max_bytes: int) -> None:
        end.setblocking(False)
        self._socket = end
        self._splitter = Splitter(max_bytes)
        self._received: deque[Message] = deque()

    def send(self, data: bytes, timeout_s: float) -> None:
        """Sends all data.

        Args:
            data: Bytes of whole messages.
            timeout_s: Longest time in seconds during which the other side reads nothing.

        Raises:
            ProtocolError: The other side has closed the socket, or reads nothing.
        """
        rest = memoryview(data)
        while rest:
            readable, writable, _ = select.select([self._socket], [self._socket], [], timeout_s)
            if not (readable or writable):
                raise ProtocolError(f"it has read no data for {timeout_s:g} s")
            if readable:
                self._read()
            if writable:
                try:
                    rest = rest[self._socket.send(rest[:CHUNK_BYTES]):]
                except BlockingIOError:
                    continue
                except OSError as error:
                    raise ProtocolError(_HAS_ENDED) from error

    def receive(self, timeout_s: float) -> Message | None:
        """Waits for the next message.

        Args:
            timeout_s: Longest wait in seconds.

        Returns:
            The message; None if none is complete within the time.

        Raises:
            ProtocolError: The other side has closed the socket, or has sent an invalid message.
        """
        deadline = time.monotonic() + timeout_s
        while not self._received:
            left = max(0.0, deadline - time.monotonic())
            if not select.select([self._socket], [], [], left)[0]:
                return None
            self._read()
        return self._received.popleft()

    def close(self) -> None:
        """Closes the socket, which the other side notices. Can be called again."""
        self._socket.close()

    def _read(self) -> None:
        try:
            data = self._socket.recv(CHUNK_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            raise ProtocolError(_HAS_ENDED) from error
        if not data:
            raise ProtocolError(_HAS_ENDED)
        self._received.extend(self._splitter.feed(data))


class WorkerProcess:
    """A running worker with its network. It ends with ``end``, with this object, or with the program.

    Args:
        interpreter: The Python that has Lava.
        network: The network.
        timeout_s: Seconds within which it must be ready.
        is_cancelled: Whether it is no longer wanted. Called while it starts.
        grace_s: Seconds within which it may end by itself before it is killed.

    Attributes:
        ready: Content of its READY message, see ``lava_worker.protocol``.

    Raises:
        BackendError: It cannot be started, is not ready in time, or was cancelled.
    """

    def __init__(self, interpreter: Path, network: NetworkHeader, timeout_s: float, is_cancelled: IsCancelled,
                 grace_s: float = 0.0) -> None:
        self._folder = _make_runtime_folder()
        our_end, worker_end = socket.socketpair()
        try:
            with worker_end, (self._folder / "log").open("wb") as log:
                self._process = subprocess.Popen(
                    [str(interpreter), str(START), str(worker_end.fileno()), str(self._folder)],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=(worker_end.fileno(),),
                    start_new_session=True, cwd=self._folder,
                    env={**make_environment(os.environ), "TMPDIR": str(self._folder)},
                )
        except OSError as error:
            our_end.close()
            shutil.rmtree(self._folder, ignore_errors=True)
            raise BackendError(to_one_line(f"{interpreter}: cannot be started, {error.strerror}")) from error
        self._connection = Connection(our_end, MAX_BYTES)
        self._end = weakref.finalize(self, _end_process, self._process, self._connection, self._folder, grace_s)
        self.ready = self._wait_until_ready(network, timeout_s, is_cancelled)

    @property
    def pid(self) -> int:
        """Process id of the worker."""
        return self._process.pid

    def send(self, kind: int, body: bytes, sequence: int, timeout_s: float) -> None:
        """Sends a message.

        Args:
            kind: Kind of message.
            body: Its body.
            sequence: Sequence number of its frame, 0 for none.
            timeout_s: Longest time in seconds during which the worker reads nothing.

        Raises:
            BackendError: The worker has failed or ended, or reads nothing.
        """
        try:
            self._connection.send(protocol.pack(kind, body, sequence), timeout_s)
        except ProtocolError as error:
            raise self._explain(error) from error

    def receive(self, timeout_s: float) -> Message | None:
        """Waits for a message.

        Args:
            timeout_s: Longest wait in seconds.

        Returns:
            The message; None if there is none within the time.

        Raises:
            BackendError: The worker has failed or ended.
        """
        try:
            message = self._connection.receive(timeout_s)
        except ProtocolError as error:
            raise self._explain(error) from error
        if message is not None and message.kind == protocol.FAILED:
            raise self.fail(f"has failed: {message.body.decode(errors='replace')}")
        return message

    def fail(self, reason: str) -> BackendError:
        """Ends the worker.

        Args:
            reason: Continues the sentence "the Lava process ...".

        Returns:
            The error to raise.
        """
        self.end()
        return BackendError(to_one_line(f"the Lava process {reason}"))

    def end(self) -> None:
        """Ends the worker and removes everything that it may have left. Can be called again."""
        self._end()

    def _wait_until_ready(self, network: NetworkHeader, timeout_s: float, is_cancelled: IsCancelled) -> dict[str, Any]:
        deadline = time.monotonic() + timeout_s
        self.send(protocol.OPEN, protocol.pack_open(network), 0, timeout_s)
        message = None
        while message is None and (left_s := deadline - time.monotonic()) > 0.0:
            if is_cancelled():
                raise self.fail("was cancelled while it started")
            message = self.receive(min(left_s, CANCEL_POLL_PERIOD_S))
        if message is None:
            raise self.fail(f"was not ready within {timeout_s:g} s")
        try:
            if message.kind != protocol.READY:
                raise ProtocolError(f"its first message is of kind {message.kind}, not READY")
            return protocol.unpack_json(message.body)
        except ProtocolError as error:
            raise self.fail(f"has failed: {error}") from error

    def _explain(self, error: ProtocolError) -> BackendError:
        """Ends the worker. The reason is its FAILED message, or the last line of its log, or the error."""
        with contextlib.suppress(ProtocolError, OSError):
            message = self._connection.receive(0.0)
            while message is not None and message.kind != protocol.FAILED:
                message = self._connection.receive(0.0)
            if message is not None:
                return self.fail(f"has failed: {message.body.decode(errors='replace')}")
        return self.fail(f"has failed: {_read_last_line(self._folder / 'log') or error}")


def _make_runtime_folder() -> Path:
    """A new folder for the worker's temporary files, whose path is short enough for sockets in it."""
    usual = tempfile.gettempdir()
    return Path(tempfile.mkdtemp(prefix="regionmask_", dir=usual if len(usual) <= MAX_FOLDER_LENGTH else "/tmp"))


def _read_last_line(log: Path) -> str:
    """The last line that is not blank, or an empty text."""
    try:
        lines = log.read_text(errors="replace")[-MAX_LOG_CHARACTERS:].splitlines()
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _end_process(process: subprocess.Popen[bytes], connection: Connection, folder: Path, grace_s: float) -> None:
    """Closing the socket asks the worker to end itself and its children. What remains after that is killed."""
    connection.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(grace_s)
    kill_session(process.pid)
    process.wait()
    remove_segments(process.pid)
    shutil.rmtree(folder, ignore_errors=True)
