"""A backend in a process that runs Lava, one time step a frame: sending, waiting, and pairing results with frames.

The detector in Lava's simulator: the same network through lava-nc's own processes and fixed-point models.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..core.events import Events
from ..core.option_table import option_field
from ..lava_worker import protocol as messages
from ..lava_worker.protocol import LayerArrays, Message, NetworkHeader, ProtocolError
from ..metrics.loihi2 import measured_table
from ..network.graph import Network
from .base import BackendResult, IsCancelled, ProcessOptions, never_cancelled
from .lava_env import find_lava_python
from .worker_process import ChildProcess

STEPS_AHEAD = 3
"""Steps that may wait for Lava: one that it works on and some for it to go on with at once."""


class SteppedBackend:
    """Only events cross to the process; a held pixel is none.

    settings: for the process, in JSON's types. counted_layers: layers whose events and synops it counts. given_up:
    ends the wait for a process that is started. grace_s: how long it may take to end by itself. wire_bytes: sent for
    frames so far. profile: what was measured last, if anything, see ``metrics.loihi2_table``.
    """

    def __init__(
        self, network: Network, input_wh: tuple[int, int], options: ProcessOptions, settings: dict[str, Any],
        counted_layers: int, is_cancelled: IsCancelled, grace_s: float = 0.0,
    ) -> None:
        self._interpreter = find_lava_python(options.python)
        self._options, self._counted_layers = options, counted_layers
        self._is_cancelled, self._grace_s = is_cancelled, grace_s
        self._header = make_header(network, input_wh, settings)
        self._head_shape = network.output_size(input_wh)[-1]
        self.wire_bytes = 0
        self.profile: dict[str, Any] | None = None
        self._open()
        self.latency_steps = int(self._process.ready["latency"])

    @property
    def pid(self) -> int:
        """Of the process that leads all others of Lava."""
        return self._process.pid

    def submit(self, events: Events, tag: Any) -> None:
        if self._stale:
            self._process.end()
            self._open()
        self._sequence += 1
        self._inside.append((self._sequence, tag))
        self._fresh = False
        body = messages.pack_frame(events.index, events.message)
        self.wire_bytes += len(body)
        self._step(messages.FRAME, body, 1)

    def poll(self, timeout_s: float) -> BackendResult | None:
        deadline = time.monotonic() + timeout_s
        while not self._results and not self._stale:
            if not self._receive(max(0.0, deadline - time.monotonic())) and time.monotonic() >= deadline:
                break
        return self._results.popleft() if self._results else None

    def drain(self) -> None:
        if self._inside:
            self._skip_steps(self.latency_steps)
            self._wait(lambda: not self._inside)

    def reset(self) -> None:
        """Lava has no way back to its first state: a new process starts with the next frame."""
        self._stale = not self._fresh
        self._inside.clear()
        self._results.clear()

    def close(self) -> None:
        self._inside.clear()
        self._results.clear()
        self._process.end()

    def _open(self) -> None:
        self._process = ChildProcess(
            self._interpreter, self._header, self._options.open_timeout, self._is_cancelled, self._grace_s
        )
        self._inside: deque[tuple[int, Any]] = deque()
        self._results: deque[BackendResult] = deque()
        self._sequence, self._last_sign = 0, time.monotonic()
        self._steps_ahead = int(self._process.ready["lead_in"])
        self._fresh, self._stale = True, False

    def _skip_steps(self, steps: int) -> None:
        """Steps without events, which change nothing."""
        self._step(messages.FLUSH, messages.pack_flush(steps), steps)

    def _step(self, kind: int, body: bytes, steps: int) -> None:
        """Sends what takes so many steps; waits while Lava has enough to do."""
        self._wait(lambda: self._steps_ahead < STEPS_AHEAD)
        if self._steps_ahead <= 0:
            self._last_sign = time.monotonic()
        self._steps_ahead += steps
        self._process.send(kind, body, self._sequence, self._options.step_timeout)
        while self._receive(0.0):
            pass

    def _wait(self, until: Callable[[], bool]) -> None:
        while not until():
            self._receive(self._options.step_timeout)

    def _receive(self, timeout_s: float) -> bool:
        """Takes one message; False when none came. Raises BackendFailed for one that hangs."""
        message = self._process.receive(timeout_s)
        if message is not None:
            self._last_sign = time.monotonic()
            try:
                self._take(message)
            except ProtocolError as error:
                raise self._process.failed(str(error)) from error
        elif self._steps_ahead > 0 and time.monotonic() - self._last_sign >= self._options.step_timeout:
            raise self._process.failed(f"hangs: no time step in {self._options.step_timeout:g} s")
        return message is not None

    def _take(self, message: Message) -> None:
        if message.kind == messages.PROFILE:
            try:
                self.profile = measured_table(messages.unpack_json(message.body), self.latency_steps)
            except (KeyError, TypeError) as error:
                raise ProtocolError("a profile came that is none") from error
            return
        # One step more than were asked for may have answered: a head can come out before its step's frame goes in.
        if message.kind not in (messages.STEPPED, messages.RESULT) or self._steps_ahead < 0:
            raise ProtocolError(f"a message of kind {message.kind} came out of turn")
        self._steps_ahead -= 1
        if message.kind == messages.RESULT:
            answer = messages.unpack_result(message.body, self._head_shape, self._counted_layers)
            if not self._inside or self._inside[0][0] != message.sequence:
                raise ProtocolError(f"the result of frame {message.sequence} came out of turn")
            _, tag = self._inside.popleft()
            self._results.append(
                BackendResult(tag, answer.head, answer.layer_events, answer.synops, answer.step_ms)
            )


def make_header(network: Network, input_wh: tuple[int, int], settings: dict[str, Any]) -> NetworkHeader:
    """The network as it goes over the wire."""
    layers = tuple(
        LayerArrays(layer.name, layer.weight, layer.bias, layer.stride, layer.padding, layer.threshold)
        for layer in network.layers
    )
    width, height = input_wh
    return NetworkHeader((height, width, network.in_channels), network.encoder_threshold, layers, settings)


LAVA = "lava"


@dataclass(frozen=True)
class LavaSimOptions(ProcessOptions):
    """Options of the simulator.

    Attributes:
        conv: Convolution: ``gemm`` or ``stock``.
    """

    conv: str = option_field("lava_sim_conv")


class LavaSimBackend(SteppedBackend):
    """One layer a time step: a frame's head comes out ``latency_steps`` later."""

    arithmetics = (LAVA,)
    default_arithmetic = LAVA
    options_class = LavaSimOptions
    counts_synops = True
    quick_to_open = True

    @staticmethod
    def check(options: LavaSimOptions) -> None:
        """What can be told at once. Raises BackendFailed when no interpreter is found."""
        find_lava_python(options.python)

    def __init__(
        self, network: Network, input_wh: tuple[int, int], arithmetic: str, options: LavaSimOptions,
        is_cancelled: IsCancelled = never_cancelled,
    ) -> None:
        super().__init__(network, input_wh, options, {"conv": options.conv}, len(network.layers), is_cancelled)
        ready = self._process.ready
        self.kernels = f"lava-nc {ready['lava']}, {options.conv} convolution, Python {ready['python']}"
