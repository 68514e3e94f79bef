"""The backends on this computer's processor for sigma-delta networks: the event engine."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable
from operator import attrgetter
from typing import Any

import numpy as np

from ..core.arithmetic import RULES
from ..core.events import Events
from ..engine.branched.engine import BranchedEngine, PackedBranches
from ..engine.engine import EventEngine, PackedNetwork
from ..errors import UserError
from ..network.branched import BranchedNetwork
from ..network.chain import Network
from .base import BackendResult, IsCancelled, NoOptions, never_cancelled
from .immediate import ImmediateBackend

_PACKED: weakref.WeakKeyDictionary[Network, Any] = weakref.WeakKeyDictionary()
"""Cameras that run the same network in one process share its weights."""

_NO_OPTIONS = NoOptions()


class EventBackend(ImmediateBackend):
    """What the backends have in common: computing in the caller's thread.

    A subclass makes the engine, and defines ``head_of``, which takes the head from a result of it.

    Args:
        engine: An ``EventEngine`` or a ``BranchedEngine``.
    """

    supported_arithmetic = tuple(RULES)
    options_class = NoOptions
    counts_synops = True
    is_dense = False
    head_of: Callable[[Any], Any]

    @staticmethod
    def check(options: NoOptions) -> None:
        """Always passes: these backends are always available."""

    def __init__(self, engine: EventEngine | BranchedEngine) -> None:
        super().__init__()
        self._engine: Any = engine
        self.kernels = engine.kernel_set

    def submit(self, events: Events, tag: Any) -> None:
        """Computes one frame."""
        start = time.perf_counter()
        result = self._engine.step_changes(events.changes)
        elapsed_ms = (time.perf_counter() - start) * 1e3
        self._results.append(
            BackendResult(tag, self.head_of(result), result.layer_events, result.synops, elapsed_ms))

    def reset(self) -> None:
        """Restores the initial state and discards results that were not polled."""
        super().reset()
        self._engine.reset()


class CpuBackend(EventBackend):
    """Runs a chain of layers: a frame's result is available when ``submit`` returns.

    Args:
        network: The network.
        input_wh: Width and height of the network's input.
        arithmetic: The integer rule.
        options: None.
        is_cancelled: Not called, because opening takes almost no time.

    Raises:
        UserError: The processor does not have the kernel set that the environment names.
    """

    head_of = staticmethod(attrgetter("head"))

    def __init__(self, network: Network, input_wh: tuple[int, int], arithmetic: str, options: NoOptions = _NO_OPTIONS,
                 is_cancelled: IsCancelled = never_cancelled) -> None:
        super().__init__(EventEngine(_share(network, PackedNetwork), input_wh, arithmetic))

    def layer_state(self, number: int) -> tuple[np.ndarray, np.ndarray | None]:
        """(sigma, reference) of a layer after the last frame, int32 [rows, cols, channels], read-only views."""
        state: tuple[np.ndarray, np.ndarray | None] = self._engine.state(number)
        return state


class BranchedBackend(EventBackend):
    """Runs a network with branches: a frame's result is available when ``submit`` returns.

    Args:
        network: The network.
        input_wh: Width and height of the network's input.
        arithmetic: The integer rule.
        options: None.
        is_cancelled: Not called.

    Raises:
        UserError: The input does not fit the network.
    """

    head_of = staticmethod(attrgetter("heads"))

    def __init__(self, network: BranchedNetwork, input_wh: tuple[int, int], arithmetic: str,
                 options: NoOptions = _NO_OPTIONS, is_cancelled: IsCancelled = never_cancelled) -> None:
        packed = _share(network, lambda one: PackedBranches(one.graph))
        try:
            engine = BranchedEngine(packed, input_wh, arithmetic)
        except ValueError as error:
            raise UserError(f"network {network.name}: an input of {input_wh[0]}x{input_wh[1]} does not fit: {error}"
                            ) from error
        super().__init__(engine)


def _share(network: Network, pack: Callable[[Any], Any]) -> Any:
    """The packed weights of a network, made when they are first wanted."""
    packed = _PACKED.get(network)
    if packed is None:
        packed = _PACKED[network] = pack(network)
    return packed
