"""A backend that is observed: what the cost model needs of every frame, and what looking at it takes."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from ...backends import open_backend
from ...backends.base import Backend, BackendResult, DenseBackend, IsCancelled, never_cancelled
from ...core.options import Value
from ...metrics.loihi2 import Allocation, RowSynops, allocate
from ...network.dense import AnyNetwork, DenseNetwork


class BackendObserver:
    """Opens the backend of a pipeline, and sees every frame that goes through it.

    Attributes:
        rows: Synops by output row of each layer, for the last frame; None where the backend cannot show its layers.
        allocation: How the cost model distributes the network over cores; None where it cannot.
        spent_s: Processor time of the process that opening and observing have taken.
    """

    def __init__(self) -> None:
        self.rows: list[np.ndarray] | None = None
        self.allocation: Allocation | None = None
        self.spent_s = 0.0

    def open(self, backend: str, network: AnyNetwork, input_wh: tuple[int, int], arithmetic: str = "",
             given: Mapping[str, Value] | None = None, is_cancelled: IsCancelled = never_cancelled) -> ObservedBackend:
        """As ``backends.open_backend``."""
        start = time.process_time()
        inner = open_backend(backend, network, input_wh, arithmetic, given, is_cancelled)
        self.allocation = None if isinstance(network, DenseNetwork) else allocate(network, input_wh)
        opened = ObservedBackend(inner, self, network, input_wh)
        self.spent_s += time.process_time() - start
        return opened


class ObservedBackend:
    """A backend whose frames are observed, see ``backends.base.Backend``."""

    def __init__(self, inner: Backend, observer: BackendObserver, network: AnyNetwork, input_wh: tuple[int, int]
                 ) -> None:
        self._inner, self._observer = inner, observer
        self._network, self._input_wh = network, input_wh
        self.kernels, self.latency_steps = inner.kernels, inner.latency_steps
        self._counter = self._new_counter()

    @property
    def profile(self) -> dict[str, Any] | None:
        """The inner backend's."""
        return self._inner.profile

    def submit(self, sent: Any, tag: Any) -> None:
        """Gives a frame to the inner backend, and counts its synops by row."""
        self._inner.submit(sent, tag)
        if self._counter is not None:
            start = time.process_time()
            self._observer.rows = self._counter.step(sent)
            self._observer.spent_s += time.process_time() - start

    def prepare(self, shapes: Sequence[tuple[int, int]]) -> None:
        """Prepares the inner backend."""
        cast(DenseBackend, self._inner).prepare(shapes)

    def poll(self, timeout_s: float) -> BackendResult | None:
        """The inner backend's."""
        return self._inner.poll(timeout_s)

    def drain(self) -> None:
        """The inner backend's."""
        self._inner.drain()

    def reset(self) -> None:
        """Resets the inner backend, and starts counting anew."""
        self._inner.reset()
        self._counter = self._new_counter()

    def close(self) -> None:
        """Closes the inner backend."""
        self._inner.close()

    def _new_counter(self) -> RowSynops | None:
        """Only a backend that computes at once can show the layers as they are after a frame."""
        state = getattr(self._inner, "layer_state", None)
        if state is None or isinstance(self._network, DenseNetwork):
            return None
        return RowSynops(self._network, self._input_wh, state)
