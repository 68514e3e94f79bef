"""A backend whose every event is also given to the reference implementation, and whose state is compared with it."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from regionmask_ros.backends import open_backend
from regionmask_ros.backends.base import BackendResult, IsCancelled, never_cancelled
from regionmask_ros.backends.cpu import CpuBackend
from regionmask_ros.core.options import Value
from regionmask_ros.network.chain import Network

from .reference import SparseReference

WAITING_FRAMES = 8
"""The reference runs in a thread of its own, this far behind at most, so that memory stays small."""


class WitnessedBackend:
    """The cpu backend with its witness, see ``backends.base.Backend``.

    Args:
        network: The network.
        input_wh: Width and height of its input.
        arithmetic: The integer rule.
    """

    latency_steps = 0
    profile = None

    def __init__(self, network: Network, input_wh: tuple[int, int], arithmetic: str) -> None:
        inner = open_backend("cpu", network, input_wh, arithmetic)
        assert isinstance(inner, CpuBackend)
        self._inner = inner
        self._names = [layer.name for layer in network.layers]
        self._thread, self._waiting = ThreadPoolExecutor(1), deque[Future[None]]()
        self._reference = SparseReference(network, input_wh, arithmetic)
        self.kernels = inner.kernels

    def submit(self, sent: Any, tag: Any) -> None:
        """Computes one frame in both."""
        self._inner.submit(sent, tag)
        if len(sent):
            self._waiting.append(self._thread.submit(self._reference.step, sent.index, sent.message))
        while len(self._waiting) > WAITING_FRAMES:
            self._waiting.popleft().result()

    def differences(self) -> list[str]:
        """Waits for the reference, and compares all states in every bit.

        Returns:
            A line for each array that differs; empty if all are equal.
        """
        self._wait()
        found = []
        for number, name in enumerate(self._names):
            pairs = zip(("sigma", "reference"), self._inner.layer_state(number), self._reference.state(number))
            for what, mine, expected in pairs:
                if mine is not None and expected is not None and not np.array_equal(mine, expected):
                    first = tuple(int(place) for place in np.argwhere(mine != expected)[0])
                    found.append(f"{name}: {what} differs in {np.count_nonzero(mine != expected)} values, first at "
                                 f"{first}: {mine[first]}, expected {expected[first]}")
        return found

    def poll(self, timeout_s: float) -> BackendResult | None:
        """The cpu backend's."""
        return self._inner.poll(timeout_s)

    def drain(self) -> None:
        """The cpu backend's."""
        self._inner.drain()

    def reset(self) -> None:
        """Restores the initial state of both."""
        self._wait()
        self._inner.reset()
        self._reference.reset()

    def close(self) -> None:
        """Ends the reference's thread."""
        self._wait()
        self._thread.shutdown()
        self._inner.close()

    def _wait(self) -> None:
        while self._waiting:
            self._waiting.popleft().result()


class Witness:
    """Opens the backend of one pipeline.

    Attributes:
        opened: The backend; None before the first frame.
    """

    def __init__(self) -> None:
        self.opened: WitnessedBackend | None = None

    def open(self, _: str, network: Network, input_wh: tuple[int, int], arithmetic: str = "",
             given: Mapping[str, Value] | None = None, is_cancelled: IsCancelled = never_cancelled
             ) -> WitnessedBackend:
        """As ``backends.open_backend``, for the cpu backend."""
        self.opened = WitnessedBackend(network, input_wh, arithmetic)
        return self.opened
