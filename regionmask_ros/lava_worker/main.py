"""The loop over there: events in, one time step each; heads out, each with its frame's number.

The main thread reads messages and injects. Other threads wait for heads, for the end of a process that computes, and
for the end of the pipeline's process. When anything of it ends, all of it ends: see ``family``.
"""

from __future__ import annotations

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
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from . import processes as family
from . import protocol as messages
from .protocol import Message, NetworkHeader, ProtocolError, Splitter, pack
from .sim_graph import FrameCounts, SimGraph

if TYPE_CHECKING:
    from .loihi_graph import LoihiGraph

LOIHI = "loihi2"
GONE = "the pipeline's process has gone"
MAX_BYTES = 1 << 30
CHUNK_BYTES = 1 << 20


class Graph(Protocol):
    """The network in Lava, running: see ``SimGraph`` for what its members are."""

    latency: int
    lead_in: int

    def inject(self, index: np.ndarray, message: np.ndarray) -> None: ...

    def extract(self) -> np.ndarray: ...


class Line:
    """The socket to the pipeline's process: one thread reads, any may send. Sending waits, reading too.

    Both raise WireBroken when the other end has gone.
    """

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(True)
        self._socket, self._sending = end, threading.Lock()
        self._splitter, self._received = Splitter(MAX_BYTES), deque()

    def send(self, kind: int, body: bytes = b"", sequence: int = 0) -> None:
        with self._sending:
            try:
                self._socket.sendall(pack(kind, body, sequence))
            except OSError as error:
                raise ProtocolError(GONE) from error

    def receive(self) -> Message:
        while not self._received:
            try:
                data = self._socket.recv(CHUNK_BYTES)
            except OSError as error:
                raise ProtocolError(GONE) from error
            if not data:
                raise ProtocolError(GONE)
            self._received.extend(self._splitter.feed(data))
        return self._received.popleft()


class Steps:
    """What goes in and what comes out, paired: the n-th head belongs to the frame injected ``latency`` steps before.

    Every layer sends before it takes in. So in the simulator the head of a step comes out as soon as the step before is
    complete, and the very first one before anything has been injected.
    """

    def __init__(self, graph: Graph, counts: FrameCounts | None, line: Line) -> None:
        self._graph, self._counts, self._line = graph, counts, line
        self._sequences: deque[int | None] = deque()
        self._injected_s = 0.0
        self.skip_steps(graph.lead_in)

    def take(self, index: np.ndarray, message: np.ndarray, sequence: int | None) -> None:
        """One frame's events; ``sequence`` None: a step of which nobody wants the head."""
        self._sequences.append(sequence)
        self._injected_s = time.monotonic()
        self._graph.inject(index, message)

    def skip_steps(self, steps: int) -> None:
        """Steps without events."""
        for _ in range(steps):
            self.take(np.zeros(0, np.uint32), np.zeros(0, np.int8), None)

    def give(self) -> None:
        """Heads as they come, for ever."""
        step, before_s = 0, 0.0
        while True:
            head = self._graph.extract()
            step += 1
            now_s = time.monotonic()
            step_ms, before_s = (now_s - max(self._injected_s, before_s)) * 1e3, now_s
            sequence = self._sequences.popleft() if step > self._graph.latency else None
            if sequence is None:
                self._forget(step - self._graph.latency + 1)
                self._line.send(messages.STEPPED)
                continue
            events, synops = self._counts.of(step - self._graph.latency) if self._counts else ((), ())
            answer = messages.Answer(head, events, synops, step_ms)
            self._line.send(messages.RESULT, messages.pack_result(answer), sequence)

    def _forget(self, step: int) -> None:
        if self._counts:
            self._counts.discard_before(step)


def main(descriptor: int, folder: str) -> None:
    """Serves until the other end closes; then nothing of it is left.

    descriptor: of the socket. folder: made for this process alone, all its temporary files lie there; it goes, too.
    """
    end = _ProcessTerminator(folder)
    signal.signal(signal.SIGTERM, lambda *_: end())
    family.mark_segments()
    line = Line(socket.socket(fileno=descriptor))
    counts = os.pipe()
    family.kill_children_with_parent((descriptor, counts[0]))
    threading.Thread(target=_exit_on_hang_up, args=(descriptor, end), name="hang-up", daemon=True).start()
    try:
        network = _open_network(line)
        size = int(np.prod(network.shape))
        if network.settings.get("backend") == LOIHI:
            chip = _loihi(network, line)
            end.before = chip.stop
            graph, counted, watched = chip, None, chip.run_forever
        else:
            simulator = SimGraph(network, str(network.settings["conv"]), counts[1])
            graph, counted = simulator, FrameCounts(len(network.layers), counts[0])
            watched = partial(_watch, simulator.actors())
        facts = {**versions(), "latency": graph.latency, "lead_in": graph.lead_in}
        line.send(messages.READY, messages.pack_json(facts))
        steps = Steps(graph, counted, line)
        _start("heads", line, steps.give, end)
        _start("watch", line, watched, end)
        _serve(line, steps, size)
    except BaseException as error:  # noqa: BLE001  whatever it is, the other end must be told, and nothing may stay
        _fail(line, error)
    end()


def versions() -> dict[str, str]:
    """Of what computes here, for people."""
    return {
        "python": platform.python_version(), "interpreter": sys.executable, "numpy": np.__version__,
        "lava": importlib.metadata.version("lava-nc"),
    }


def _open_network(line: Line) -> NetworkHeader:
    message = line.receive()
    if message.kind != messages.OPEN:
        raise ProtocolError(f"a message of kind {message.kind} came before a network")
    return messages.unpack_open(message.body)


def _loihi(network: NetworkHeader, line: Line) -> LoihiGraph:
    from .loihi_graph import LoihiGraph

    return LoihiGraph(
        network, network.settings, lambda table: line.send(messages.PROFILE, messages.pack_json(table))
    )


def _serve(line: Line, steps: Steps, size: int) -> None:
    while True:
        message = line.receive()
        if message.kind == messages.FRAME:
            steps.take(*messages.unpack_frame(message.body, size), message.sequence)
        elif message.kind == messages.FLUSH:
            steps.skip_steps(messages.unpack_flush(message.body))
        else:
            raise ProtocolError(f"a message of kind {message.kind} came")


def _start(name: str, line: Line, work: Callable[[], None], end: Callable[[], None]) -> None:
    """A thread whose end is the end of everything: none of them returns while all is well."""

    def run_guarded() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  as in main
            _fail(line, error)
        end()

    threading.Thread(target=run_guarded, name=name, daemon=True).start()


def _exit_on_hang_up(descriptor: int, end: Callable[[], None]) -> None:
    """Ends all when the pipeline's process has gone, even while this one is busy with something that never returns."""
    poll = select.poll()
    poll.register(descriptor, select.POLLRDHUP | select.POLLHUP)
    poll.poll()
    end()


def _watch(actors: list[Any]) -> None:
    """Raises as soon as one of the processes that compute has ended."""
    ended = connection.wait([actor.sentinel for actor in actors])
    (actor,) = [actor for actor in actors if actor.sentinel == ended[0]]
    Process.join(actor, 1.0)  # Lava's own join takes no time limit
    full = f"; {family.SEGMENTS} is full" if actor.exitcode == -signal.SIGBUS else ""
    raise RuntimeError(f"one of Lava's processes has ended with {actor.exitcode}{full}")


def _fail(line: Line, error: BaseException) -> None:
    try:
        line.send(messages.FAILED, messages.to_one_line([f"{type(error).__name__}:", error]))
    except ProtocolError:
        pass


class _ProcessTerminator:
    """Ends this process and all below it, at once: an orderly stop of Lava waits for a step that may never come.

    before: what has to be given back first, if anything. Only the first call does something; it does not return.
    """

    def __init__(self, folder: str) -> None:
        self._folder, self._begun = folder, threading.Lock()
        self.before: Callable[[], None] | None = None

    def __call__(self) -> None:
        if not self._begun.acquire(blocking=False):
            threading.Event().wait()
        if self.before is not None:
            try:
                self.before()
            except BaseException:  # noqa: BLE001  whatever it is, the rest must go
                pass
        leader = os.getpid()
        family.kill_session(leader, spare=leader)
        family.remove_segments(leader)
        shutil.rmtree(self._folder, ignore_errors=True)
        os._exit(0)
