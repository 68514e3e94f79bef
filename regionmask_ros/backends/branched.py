"""The backend on this computer's processor for sigma-delta networks with branches: the event engine."""

from __future__ import annotations

import time
import weakref
from typing import Any

from ..core.arithmetic import RULES
from ..core.events import Events
from ..engine.branched.engine import BranchedEngine, PackedBranches
from ..errors import UserError
from ..network.branched import BranchedNetwork
from .base import BackendResult, IsCancelled, NoOptions, never_cancelled
from .immediate import ImmediateBackend

_PACKED: weakref.WeakKeyDictionary[BranchedNetwork, PackedBranches] = weakref.WeakKeyDictionary()
"""Cameras that run the same network in one process share its weights."""

_NO_OPTIONS = NoOptions()


class BranchedBackend(ImmediateBackend):
    """Computes in the caller's thread: a frame's result is available when ``submit`` returns.

    Args:
        network: The network.
        input_wh: Width and height of the network's input.
        arithmetic: The integer rule.
        options: None.
        is_cancelled: Not called.

    Raises:
        UserError: The input does not fit the network.
    """

    supported_arithmetic = tuple(RULES)
    options_class = NoOptions
    counts_synops = True
    is_dense = False

    @staticmethod
    def check(options: NoOptions) -> None:
        """Always passes: this backend is always available."""

    def __init__(self, network: BranchedNetwork, input_wh: tuple[int, int], arithmetic: str,
                 options: NoOptions = _NO_OPTIONS, is_cancelled: IsCancelled = never_cancelled) -> None:
        super().__init__()
        packed = _PACKED.get(network)
        if packed is None:
            packed = _PACKED[network] = PackedBranches(network.graph)
        try:
            self._engine = BranchedEngine(packed, input_wh, arithmetic)
        except ValueError as error:
            raise UserError(f"network {network.name}: an input of {input_wh[0]}x{input_wh[1]} does not fit: {error}"
                            ) from error
        self.kernels = self._engine.kernel_set

    def submit(self, events: Events, tag: Any) -> None:
        """Computes one frame."""
        start = time.perf_counter()
        result = self._engine.step_changes(events.changes)
        elapsed_ms = (time.perf_counter() - start) * 1e3
        self._results.append(BackendResult(tag, result.heads, result.layer_events, result.synops, elapsed_ms))

    def reset(self) -> None:
        """Restores the initial state and discards results that were not polled."""
        super().reset()
        self._engine.reset()
