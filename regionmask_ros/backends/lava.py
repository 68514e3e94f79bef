"""Backends in a worker process that runs Lava with one time step per frame, and the one in Lava's simulator."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..core.events import Events
from ..core.option_table import option_field
from ..lava_worker import protocol
from ..lava_worker.protocol import LayerArrays, Message, NetworkHeader, ProtocolError
from ..metrics.loihi2 import measured_table
from ..network.chain import Network
from .base import BackendResult, IsCancelled, ProcessOptions, never_cancelled
from .worker_process import WorkerProcess, find_lava_python

MAX_WAITING_STEPS = 3
"""Time steps that the worker may have before it: the one that it computes, and others so that it never idles."""


class SteppedBackend:
    """A backend in a worker process. Only events are sent to it; a masked pixel has none.

    Args:
        network: The network.
        input_wh: Width and height of the network's input.
        options: Interpreter and timeouts.
        settings: For the worker, in JSON's types.
        counted_layers: Number of layers whose events and synops it counts, 0 for none.
        is_cancelled: Ends the wait for a worker that is starting.
        grace_s: Seconds within which it may end by itself when it is closed.

    Attributes:
        latency_steps: Time steps from a frame's events to its head.
        wire_bytes: Number of bytes sent for frames so far.
        profile: The last measurement, see ``metrics.loihi2.measured_table``; None for none.

    Raises:
        BackendError: The worker cannot be started, or was cancelled.
    """

    supported_arithmetic = ("lava",)

    def __init__(self, network: Network, input_wh: tuple[int, int], options: ProcessOptions, settings: dict[str, Any],
                 counted_layers: int, is_cancelled: IsCancelled, grace_s: float = 0.0) -> None:
        self._interpreter = find_lava_python(options.python)
        self._open_timeout, self._step_timeout = options.open_timeout, options.step_timeout
        self._counted_layers, self._is_cancelled, self._grace_s = counted_layers, is_cancelled, grace_s
        self._header = make_header(network, input_wh, settings)
        self._needs_restart = False
        self._head_shape = network.output_size(input_wh)[-1]
        self.wire_bytes = 0
        self.profile: dict[str, Any] | None = None
        self._open()
        self.latency_steps = int(self._process.ready["latency"])

    @property
    def pid(self) -> int:
        """Process id of the worker, which leads the session of Lava's processes."""
        return self._process.pid

    def submit(self, events: Events, tag: Any) -> None:
        """Sends one frame. Waits while `MAX_WAITING_STEPS` time steps are not complete."""
        if self._needs_restart:
            self._process.end()
            self._open()
        self._sequence += 1
        self._submitted.append((self._sequence, tag))
        self._is_initial = False
        body = protocol.pack_frame(events.index, events.message)
        self.wire_bytes += len(body)
        self._send_steps(protocol.FRAME, body, 1)

    def poll(self, timeout_s: float) -> BackendResult | None:
        """The next result, or None if there is none within the time."""
        deadline = time.monotonic() + timeout_s
        while not self._results and not self._needs_restart:
            if not self._receive(max(0.0, deadline - time.monotonic())) and time.monotonic() >= deadline:
                break
        return self._results.popleft() if self._results else None

    def drain(self) -> None:
        """Runs steps without events until all submitted frames have results."""
        if self._submitted:
            self._skip_steps(self.latency_steps)
            self._wait_until(lambda: not self._submitted)

    def reset(self) -> None:
        """Discards all results. Lava cannot return to its initial state: the next frame starts a new worker."""
        self._needs_restart = not self._is_initial
        self._submitted.clear()
        self._results.clear()

    def close(self) -> None:
        """Ends the worker and all of Lava's processes."""
        self._submitted.clear()
        self._results.clear()
        self._process.end()

    def _open(self) -> None:
        self._process = WorkerProcess(
            self._interpreter, self._header, self._open_timeout, self._is_cancelled, self._grace_s)
        self._submitted: deque[tuple[int, Any]] = deque()
        self._results: deque[BackendResult] = deque()
        self._sequence, self._last_message_s = 0, time.monotonic()
        self._waiting_steps = int(self._process.ready["lead_in"])
        self._is_initial, self._needs_restart = True, False

    def _skip_steps(self, steps: int) -> None:
        """Runs steps without events, which change nothing."""
        self._send_steps(protocol.FLUSH, protocol.pack_flush(steps), steps)

    def _send_steps(self, kind: int, body: bytes, steps: int) -> None:
        """Sends a message that takes ``steps`` time steps."""
        self._wait_until(lambda: self._waiting_steps < MAX_WAITING_STEPS)
        if self._waiting_steps <= 0:
            self._last_message_s = time.monotonic()
        self._waiting_steps += steps
        self._process.send(kind, body, self._sequence, self._step_timeout)
        while self._receive(0.0):
            pass

    def _wait_until(self, is_done: Callable[[], bool]) -> None:
        while not is_done():
            self._receive(self._step_timeout)

    def _receive(self, timeout_s: float) -> bool:
        """Handles one message; False if there is none within the time. Raises BackendError if the worker hangs."""
        message = self._process.receive(timeout_s)
        if message is not None:
            self._last_message_s = time.monotonic()
            try:
                self._handle(message)
            except ProtocolError as error:
                raise self._process.fail(f"has failed: {error}") from error
        elif self._waiting_steps > 0 and time.monotonic() - self._last_message_s >= self._step_timeout:
            raise self._process.fail(f"hangs: no time step in {self._step_timeout:g} s")
        return message is not None

    def _handle(self, message: Message) -> None:
        if message.kind == protocol.PROFILE:
            try:
                self.profile = measured_table(protocol.unpack_json(message.body), self.latency_steps)
            except (KeyError, TypeError) as error:
                raise ProtocolError("the profile is invalid") from error
            return
        # One step more than requested may have completed: a head can come out before its step's frame goes in.
        if message.kind not in (protocol.STEPPED, protocol.RESULT) or self._waiting_steps < 0:
            raise ProtocolError(f"a message of kind {message.kind} was not expected")
        self._waiting_steps -= 1
        if message.kind == protocol.RESULT:
            result = protocol.unpack_result(message.body, self._head_shape, self._counted_layers)
            if not self._submitted or self._submitted[0][0] != message.sequence:
                raise ProtocolError(f"the result of frame {message.sequence} is out of order")
            _, tag = self._submitted.popleft()
            self._results.append(BackendResult(tag, result.head, result.layer_events, result.synops, result.step_ms))


def make_header(network: Network, input_wh: tuple[int, int], settings: dict[str, Any]) -> NetworkHeader:
    """The network as it is sent to the worker.

    Args:
        network: The network.
        input_wh: Width and height of its input.
        settings: For the worker, in JSON's types.

    Returns:
        The content of the first message.
    """
    layers = tuple(
        LayerArrays(layer.name, layer.weight, layer.bias, layer.stride, layer.padding, layer.threshold, layer.exponent,
                    layer.groups)
        for layer in network.layers)
    width, height = input_wh
    return NetworkHeader((height, width, network.in_channels), network.encoder_threshold, layers, settings)


@dataclass(frozen=True)
class LavaSimOptions(ProcessOptions):
    """Options of the simulator.

    Attributes:
        conv: Convolution: ``gemm`` or ``stock``.
    """

    conv: str = option_field("lava_sim_conv")


class LavaSimBackend(SteppedBackend):
    """The network in Lava's simulator, with Lava's own processes and fixed-point models.

    One layer per time step: a frame's head comes out ``latency_steps`` later.

    Args:
        network: The network.
        input_wh: Width and height of the network's input.
        arithmetic: ``lava``.
        options: Interpreter, timeouts and convolution.
        is_cancelled: Ends the wait for a worker that is starting.
    """

    options_class = LavaSimOptions
    counts_synops = True
    quick_to_open = True
    is_dense = False

    @staticmethod
    def check(options: LavaSimOptions) -> None:
        """Raises BackendError if no interpreter is found."""
        find_lava_python(options.python)

    def __init__(self, network: Network, input_wh: tuple[int, int], arithmetic: str, options: LavaSimOptions,
                 is_cancelled: IsCancelled = never_cancelled) -> None:
        super().__init__(network, input_wh, options, {"conv": options.conv}, len(network.layers), is_cancelled)
        ready = self._process.ready
        self.kernels = f"lava-nc {ready['lava']}, {options.conv} convolution, Python {ready['python']}"
