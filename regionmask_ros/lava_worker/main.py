"""The worker's main loop: receives events, runs a time step for each frame, and sends heads with their frame's number.

The main thread receives messages and injects events. Other threads wait for heads, for the end of a process that
computes, and for the end of the pipeline's process. If any of these ends, the whole worker ends, see `processes`.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import select
import shutil
import signal
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from multiprocessing import Process, connection
from typing import Any, Protocol

import numpy as np

from . import protocol
from .processes import SEGMENTS, kill_children_with_parent, kill_session, remove_segments, set_segment_prefix
from .protocol import Message, NetworkHeader, ProtocolError, Splitter, WorkerResult
from .sim_graph import FrameCounts, SimGraph

LOIHI = "loihi2"
MAX_BYTES = 1 << 30
CHUNK_BYTES = 1 << 20
_HAS_ENDED = "the pipeline's process has ended"


class Graph(Protocol):
    """The running network in Lava; see `sim_graph.SimGraph` for the members."""

    latency: int
    warmup_steps: int

    def inject(self, index: np.ndarray, message: np.ndarray) -> None:
        """Injects one frame's events."""

    def extract(self) -> np.ndarray:
        """Waits for the head after one more time step."""


class PipelineConnection:
    """The worker's end of the socket. One thread receives, any thread may send. Both block.

    Args:
        end: A connected stream socket.
    """

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(True)
        self._socket, self._send_lock = end, threading.Lock()
        self._splitter = Splitter(MAX_BYTES)
        self._received: deque[Message] = deque()

    def send(self, kind: int, body: bytes = b"", sequence: int = 0) -> None:
        """Sends a message.

        Args:
            kind: Kind of message.
            body: Its body.
            sequence: Sequence number of its frame.

        Raises:
            ProtocolError: The pipeline's process has ended.
        """
        with self._send_lock:
            try:
                self._socket.sendall(protocol.pack(kind, body, sequence))
            except OSError as error:
                raise ProtocolError(_HAS_ENDED) from error

    def receive(self) -> Message:
        """Waits for the next message.

        Returns:
            The message.

        Raises:
            ProtocolError: The pipeline's process has ended, or has sent an invalid message.
        """
        while not self._received:
            try:
                data = self._socket.recv(CHUNK_BYTES)
            except OSError as error:
                raise ProtocolError(_HAS_ENDED) from error
            if not data:
                raise ProtocolError(_HAS_ENDED)
            self._received.extend(self._splitter.feed(data))
        return self._received.popleft()


class Stepper:
    """Runs time steps and assigns heads to frames: head n belongs to the frame injected ``latency`` steps before.

    Each layer sends before it receives. In the simulator, the head of a step is therefore available as soon as the step
    before is complete, and the very first one before anything has been injected.

    Args:
        graph: The running network.
        counts: Its counts, if it counts.
        pipeline: Where heads are sent to.
    """

    def __init__(self, graph: Graph, counts: FrameCounts | None, pipeline: PipelineConnection) -> None:
        self._graph, self._counts, self._pipeline = graph, counts, pipeline
        self._sequences: deque[int | None] = deque()
        self._injected_s = 0.0
        self.skip_steps(graph.warmup_steps)

    def inject(self, index: np.ndarray, message: np.ndarray, sequence: int | None) -> None:
        """Injects one frame's events.

        Args:
            index: Flat places, uint32 [n].
            message: Messages in the encoder's units, int8 [n].
            sequence: Sequence number of the frame; None: its head is not sent.
        """
        self._sequences.append(sequence)
        self._injected_s = time.monotonic()
        self._graph.inject(index, message)

    def skip_steps(self, steps: int) -> None:
        """Runs that number of time steps without events."""
        for _ in range(steps):
            self.inject(np.zeros(0, np.uint32), np.zeros(0, np.int8), None)

    def send_heads(self) -> None:
        """Sends heads as they become available. Never returns."""
        step, before_s = 0, 0.0
        while True:
            head = self._graph.extract()
            step += 1
            now_s = time.monotonic()
            step_ms, before_s = (now_s - max(self._injected_s, before_s)) * 1e3, now_s
            injected_at = step - self._graph.latency
            sequence = self._sequences.popleft() if injected_at > 0 else None
            if sequence is None:
                if self._counts:
                    self._counts.discard_before(injected_at + 1)
                self._pipeline.send(protocol.STEPPED)
                continue
            events, synops = self._counts.pop(injected_at) if self._counts else ((), ())
            result = WorkerResult(head, events, synops, step_ms)
            self._pipeline.send(protocol.RESULT, protocol.pack_result(result), sequence)


def main(descriptor: int, folder: str) -> None:
    """Serves until the pipeline closes the socket. Then ends all processes and removes everything. Does not return.

    Args:
        descriptor: File descriptor of the socket.
        folder: Folder of all temporary files of this process. It is removed, too.
    """
    end = _ProcessTerminator(folder)
    signal.signal(signal.SIGTERM, lambda *_: end())
    set_segment_prefix()
    pipeline = PipelineConnection(socket.socket(fileno=descriptor))
    counts_read_fd, counts_write_fd = os.pipe()
    kill_children_with_parent((descriptor, counts_read_fd))
    threading.Thread(target=_end_on_hang_up, args=(descriptor, end), name="hang-up", daemon=True).start()
    try:
        network = _receive_network(pipeline)
        graph: Graph
        counts: FrameCounts | None = None
        if network.settings.get("backend") == LOIHI:
            from .loihi_graph import LoihiGraph

            chip = LoihiGraph(network, lambda figures: pipeline.send(protocol.PROFILE, protocol.pack_json(figures)))
            end.before = chip.stop
            graph, watch = chip, chip.run_forever
        else:
            simulator = SimGraph(network, str(network.settings["conv"]), counts_write_fd)
            counts = FrameCounts(len(network.layers), counts_read_fd)
            graph, watch = simulator, partial(_watch_actors, simulator.actors())
        ready = {**versions(), "latency": graph.latency, "lead_in": graph.warmup_steps}
        pipeline.send(protocol.READY, protocol.pack_json(ready))
        stepper = Stepper(graph, counts, pipeline)
        _start_thread("heads", pipeline, stepper.send_heads, end)
        _start_thread("watch", pipeline, watch, end)
        _serve(pipeline, stepper, int(np.prod(network.shape)))
    except BaseException as error:  # noqa: BLE001  the pipeline must be informed of any error, and nothing may remain
        _send_failure(pipeline, error)
    end()


def versions() -> dict[str, str]:
    """Versions of what computes here, for people."""
    return {
        "python": platform.python_version(), "interpreter": sys.executable, "numpy": np.__version__,
        "lava": importlib.metadata.version("lava-nc"),
    }


def _receive_network(pipeline: PipelineConnection) -> NetworkHeader:
    message = pipeline.receive()
    if message.kind != protocol.OPEN:
        raise ProtocolError(f"the first message is of kind {message.kind}, not OPEN")
    return protocol.unpack_open(message.body)


def _serve(pipeline: PipelineConnection, stepper: Stepper, size: int) -> None:
    """Injects frames as they are received. ``size``: number of values of the input. Never returns."""
    while True:
        message = pipeline.receive()
        if message.kind == protocol.FRAME:
            stepper.inject(*protocol.unpack_frame(message.body, size), message.sequence)
        elif message.kind == protocol.FLUSH:
            stepper.skip_steps(protocol.unpack_flush(message.body))
        else:
            raise ProtocolError(f"a message has the unknown kind {message.kind}")


def _start_thread(name: str, pipeline: PipelineConnection, work: Callable[[], None], end: Callable[[], None]) -> None:
    """Starts a thread whose end is the end of the worker: none of them returns unless something fails."""

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  as in main
            _send_failure(pipeline, error)
        end()

    threading.Thread(target=run, name=name, daemon=True).start()


def _end_on_hang_up(descriptor: int, end: Callable[[], None]) -> None:
    """Ends the worker when the pipeline's process has ended, even while the main thread hangs."""
    poll = select.poll()
    poll.register(descriptor, select.POLLRDHUP | select.POLLHUP)
    poll.poll()
    end()


def _watch_actors(actors: list[Any]) -> None:
    """Raises as soon as one of the processes that compute has ended."""
    ended = connection.wait([actor.sentinel for actor in actors])
    (actor,) = [actor for actor in actors if actor.sentinel == ended[0]]
    Process.join(actor, 1.0)  # Lava's own join has no timeout
    full = f"; {SEGMENTS} is full" if actor.exitcode == -signal.SIGBUS else ""
    raise RuntimeError(f"one of Lava's processes has ended with {actor.exitcode}{full}")


def _send_failure(pipeline: PipelineConnection, error: BaseException) -> None:
    with contextlib.suppress(ProtocolError):
        pipeline.send(protocol.FAILED, protocol.pack_failure(f"{type(error).__name__}: {error}"))


class _ProcessTerminator:
    """Ends this process and its session immediately: Lava's own stop waits for a step that may never complete.

    ``before`` is called first, to release a board. Only the first call has an effect; no call returns.
    """

    def __init__(self, folder: str) -> None:
        self._folder, self._begun = folder, threading.Lock()
        self.before: Callable[[], None] | None = None

    def __call__(self) -> None:
        if not self._begun.acquire(blocking=False):
            threading.Event().wait()
        if self.before is not None:
            with contextlib.suppress(BaseException):  # whatever fails, the rest must be removed
                self.before()
        leader = os.getpid()
        kill_session(leader, spare=leader)
        remove_segments(leader)
        shutil.rmtree(self._folder, ignore_errors=True)
        os._exit(0)
