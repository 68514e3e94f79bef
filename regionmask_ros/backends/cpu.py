"""The detector on this computer's processor: our own event engine."""

from __future__ import annotations

import time
import weakref
from collections import deque
from typing import Any

import numpy as np

from ..core.arithmetic import ARITHMETICS, CARRY
from ..core.events import Events
from ..engine.engine import EventEngine, KernelSetError, PackedNetwork
from ..errors import UserError
from ..network.graph import Network
from .base import BackendResult, IsCancelled, NoOptions, never_cancelled

_PACKED: weakref.WeakKeyDictionary[Network, PackedNetwork] = weakref.WeakKeyDictionary()
"""Cameras that run the same network in one process share its weights."""


def open_engine(packed: PackedNetwork, input_wh: tuple[int, int], arithmetic: str, path: str = "") -> EventEngine:
    """An ``EventEngine``; a path that is not to be had is the user's to mend."""
    try:
        return EventEngine(packed, input_wh, arithmetic, path)
    except KernelSetError as refused:
        raise UserError(str(refused)) from refused


class CpuBackend:
    """Computes at once, in the caller's thread: a frame's result is ready when ``submit`` returns.

    given_up: not asked, because opening takes no time to speak of.
    """

    arithmetics = ARITHMETICS
    default_arithmetic = CARRY
    options_class = NoOptions
    counts_synops = True
    quick_to_open = True
    latency_steps = 0
    profile = None

    @staticmethod
    def check(options: NoOptions) -> None:
        """It is always there."""

    def __init__(
        self, network: Network, input_wh: tuple[int, int], arithmetic: str, options: NoOptions = NoOptions(),
        is_cancelled: IsCancelled = never_cancelled,
    ) -> None:
        packed = _PACKED.get(network)
        if packed is None:
            packed = _PACKED[network] = PackedNetwork(network)
        self._engine = open_engine(packed, input_wh, arithmetic)
        self.kernels = self._engine.kernel_set
        self._results: deque[BackendResult] = deque()

    def submit(self, events: Events, tag: Any) -> None:
        start = time.perf_counter()
        result = self._engine.step_changes(events.changes)
        elapsed_ms = (time.perf_counter() - start) * 1e3
        self._results.append(BackendResult(tag, result.head, result.layer_events, result.synops, elapsed_ms))

    def layer_state(self, number: int) -> tuple[np.ndarray, np.ndarray | None]:
        """(sigma, reference) of a layer after the last frame, int32 [rows, cols, channels], views for looking at."""
        return self._engine.state(number)

    def poll(self, timeout_s: float) -> BackendResult | None:
        return self._results.popleft() if self._results else None

    def drain(self) -> None:
        """Nothing stays inside."""

    def reset(self) -> None:
        self._results.clear()
        self._engine.reset()

    def close(self) -> None:
        self._results.clear()
