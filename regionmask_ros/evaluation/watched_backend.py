"""A backend under observation: the same results, and what the cost model needs to know about each frame."""

from __future__ import annotations

import time
from typing import Any, Mapping

import numpy as np

from ..backends import open_backend
from ..backends.base import Backend, BackendResult
from ..backends.options import Value
from ..encoder import Events
from ..metrics.loihi2_model import allocate
from ..metrics.row_synops import RowSynops
from ..network.spec import Network


class Watch:
    """Opens the backend of a pipeline, and sees every frame that goes through it.

    rows: synops by output row of each layer, for the last frame; None where the backend cannot show its layers.
    allocation: how the cost model lays the network over cores; None where it cannot.
    spent_s: processor time of this thread that the watching itself has taken.
    """

    def __init__(self) -> None:
        self.rows: list[np.ndarray] | None = None
        self.allocation = None
        self.spent_s = 0.0

    def open(self, backend: str, network: Network, input_wh: tuple[int, int], arithmetic: str = "",
             given: Mapping[str, Value] | None = None) -> WatchedBackend:
        """As ``backends.open_backend``."""
        start = time.thread_time()
        inner = open_backend(backend, network, input_wh, arithmetic, given)
        self.allocation = allocate(network, input_wh)
        opened = WatchedBackend(inner, self, network, input_wh)
        self.spent_s += time.thread_time() - start
        return opened


class WatchedBackend:
    """See ``backends.base.Backend``."""

    def __init__(self, inner: Backend, watch: Watch, network: Network, input_wh: tuple[int, int]) -> None:
        self._inner, self._watch = inner, watch
        self._network, self._input_wh = network, input_wh
        self.kernels, self.latency_steps = inner.kernels, inner.latency_steps
        self._counter = self._new_counter()

    @property
    def profile(self) -> dict[str, Any] | None:
        return self._inner.profile

    def submit(self, events: Events, tag: Any) -> None:
        self._inner.submit(events, tag)
        if self._counter is not None:
            start = time.thread_time()
            self._watch.rows = self._counter.step(events)
            self._watch.spent_s += time.thread_time() - start

    def poll(self, timeout_s: float) -> BackendResult | None:
        return self._inner.poll(timeout_s)

    def drain(self) -> None:
        self._inner.drain()

    def reset(self) -> None:
        self._inner.reset()
        self._counter = self._new_counter()

    def close(self) -> None:
        self._inner.close()

    def _new_counter(self) -> RowSynops | None:
        """Only a backend that computes at once can show the layers as they are after a frame."""
        state = getattr(self._inner, "layer_state", None)
        return None if state is None else RowSynops(self._network, self._input_wh, state)
