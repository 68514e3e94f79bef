"""Worker processes on this machine."""

from __future__ import annotations

import contextlib
import copyreg
import io
import os
import pickle
import signal
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

import regionmask_ros

from ..errors import UserError, to_one_line
from .calls import Outcome, Shared, Work

GRACE_S = 5.0
"""Within this time a worker may remove its temporary files, before it is killed."""

_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_STARTED_BY = f"{__package__}.worker"
_LOG_BYTES = 4096


@dataclass
class _Worker:
    """A process.

    Attributes:
        process: The process.
        connection: Our end of its socket.
        log: What it writes on stderr.
        ticket: Of the call that it does; None while it is idle.
    """

    process: subprocess.Popen[bytes]
    connection: Connection
    log: IO[bytes]
    ticket: int | None = None


class WorkerProcesses:
    """Calls in processes of this machine. A process is started when it is needed, and again when it has died.

    Args:
        count: Largest number of processes.
        job: The first argument of all work. It is sent to each process once.
    """

    def __init__(self, count: int, job: Any) -> None:
        self._count = count
        self._shared = _pickle(Shared(job))
        self._workers: list[_Worker] = []

    @property
    def capacity(self) -> int:
        """See ``Executor``."""
        return self._count

    @property
    def place(self) -> str:
        """See ``Executor``."""
        return "1 worker process" if self._count == 1 else f"{self._count} worker processes"

    @property
    def pids(self) -> list[int]:
        """Numbers of the processes."""
        return [worker.process.pid for worker in self._workers]

    def submit(self, ticket: int, work: Work, item: Any) -> None:
        """See ``Executor``."""
        worker = next((one for one in self._workers if one.ticket is None), None) or self._start()
        worker.ticket = ticket
        # If it has died, ``wait`` sees its socket closed.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            worker.connection.send_bytes(_pickle((ticket, work, item)))

    def wait(self, timeout_s: float) -> list[Outcome]:
        """See ``Executor``."""
        by_connection = {one.connection: one for one in self._workers if one.ticket is not None}
        outcomes = []
        for connection in wait(list(by_connection), timeout_s):
            worker = by_connection[connection]  # type: ignore[index]  # it is one of those that were given
            assert worker.ticket is not None
            try:
                outcome = worker.connection.recv()
            except (EOFError, ConnectionResetError):
                self._workers.remove(worker)
                outcome = Outcome(worker.ticket, death=_describe_end(worker))
            worker.ticket = None
            outcomes.append(outcome)
        return outcomes

    def close(self) -> None:
        """See ``Executor``."""
        workers, self._workers = self._workers, []
        for worker in workers:
            worker.connection.close()
        for worker in workers:
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.process.wait(GRACE_S)
            _kill(worker)

    def _start(self) -> _Worker:
        ours, theirs = socket.socketpair()
        package = str(Path(regionmask_ros.__file__).resolve().parent.parent)
        path = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH", "")])])
        log = tempfile.TemporaryFile()  # noqa: SIM115  Closed with the worker.
        try:
            with theirs:
                process = subprocess.Popen(
                    [sys.executable, "-m", _STARTED_BY, str(theirs.fileno())], stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL, stderr=log, pass_fds=(theirs.fileno(),), start_new_session=True,
                    env={**os.environ, **dict.fromkeys(_ONE_THREAD, "1"), "PYTHONPATH": path})
        except OSError as error:
            ours.close()
            log.close()
            raise UserError(f"a worker process cannot be started: {error.strerror}") from error
        worker = _Worker(process, Connection(ours.detach()), log)
        self._workers.append(worker)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            worker.connection.send_bytes(self._shared)
        return worker


def _make_read_only(mapping: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    """What a pickle of a read-only mapping calls."""
    return MappingProxyType(mapping)


class _Pickler(pickle.Pickler):
    """Also for the read-only mappings of settings, which pickle refuses."""

    dispatch_table = copyreg.dispatch_table.copy()
    dispatch_table[MappingProxyType] = lambda mapping: (_make_read_only, (dict(mapping),))


def _pickle(message: Any) -> bytes:
    out = io.BytesIO()
    _Pickler(out, pickle.HIGHEST_PROTOCOL).dump(message)
    return out.getvalue()


def _describe_end(worker: _Worker) -> str:
    """How a worker has ended, whose socket is closed."""
    worker.connection.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        worker.process.wait(GRACE_S)
    _kill(worker, close_log=False)
    with worker.log:
        worker.log.seek(0, os.SEEK_END)
        worker.log.seek(max(0, worker.log.tell() - _LOG_BYTES))
        lines = worker.log.read().decode(errors="replace").strip().splitlines()
    status = worker.process.returncode
    how = f"the worker was ended by {signal.Signals(-status).name}" if status < 0 else (
        f"the worker ended with status {status}")
    cure = "; often the system's answer to full memory" if status == -signal.SIGKILL else ""
    return to_one_line(f"{how}{cure}{f': {lines[-1]}' if lines else ''}")


def _kill(worker: _Worker, close_log: bool = True) -> None:
    """Ends the worker's whole session."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(worker.process.pid, signal.SIGKILL)
    worker.process.wait()
    if close_log:
        worker.log.close()
