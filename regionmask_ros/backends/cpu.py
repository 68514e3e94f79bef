"""The backend on this computer's processor: the event engine."""

from __future__ import annotations

import time
import weakref
from typing import Any

import numpy as np

from ..core.arithmetic import RULES
from ..core.events import Events
from ..engine.engine import EventEngine, PackedNetwork
from ..network.chain import Network
from .base import BackendResult, IsCancelled, NoOptions, never_cancelled
from .immediate import ImmediateBackend

_PACKED: weakref.WeakKeyDictionary[Network, PackedNetwork] = weakref.WeakKeyDictionary()
"""Cameras that run the same network in one process share its weights."""

_NO_OPTIONS = NoOptions()


class CpuBackend(ImmediateBackend):
    """Computes in the caller's thread: a frame's result is available when ``submit`` returns.

    Args:
        network: The network.
        input_wh: Width and height of the network's input.
        arithmetic: The integer rule.
        options: None.
        is_cancelled: Not called, because opening takes almost no time.

    Raises:
        UserError: The processor does not have the kernel set that the environment names.
    """

    supported_arithmetic = tuple(RULES)
    options_class = NoOptions
    counts_synops = True
    is_dense = False

    @staticmethod
    def check(options: NoOptions) -> None:
        """Always passes: this backend is always available."""

    def __init__(self, network: Network, input_wh: tuple[int, int], arithmetic: str, options: NoOptions = _NO_OPTIONS,
                 is_cancelled: IsCancelled = never_cancelled) -> None:
        super().__init__()
        packed = _PACKED.get(network)
        if packed is None:
            packed = _PACKED[network] = PackedNetwork(network)
        self._engine = EventEngine(packed, input_wh, arithmetic)
        self.kernels = self._engine.kernel_set

    def submit(self, events: Events, tag: Any) -> None:
        """Computes one frame."""
        start = time.perf_counter()
        result = self._engine.step_changes(events.changes)
        elapsed_ms = (time.perf_counter() - start) * 1e3
        self._results.append(BackendResult(tag, result.head, result.layer_events, result.synops, elapsed_ms))

    def layer_state(self, number: int) -> tuple[np.ndarray, np.ndarray | None]:
        """(sigma, reference) of a layer after the last frame, int32 [rows, cols, channels], read-only views."""
        return self._engine.state(number)

    def reset(self) -> None:
        """Restores the initial state and discards results that were not polled."""
        super().reset()
        self._engine.reset()
