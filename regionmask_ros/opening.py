"""A backend that opens beside the one that runs, in a thread of its own."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Callable

import numpy as np

from .backends import Backend, open_backend
from .backends.base import GivenUp, wanted_all_along
from .encoder import Encoder
from .errors import UserError
from .grid import RegionGrid
from .network.spec import Network
from .pipeline_settings import PipelineSettings
from .warm import follow_an_object

CLOSE_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Opened:
    """How an opening ended. backend: None when it failed, reason then tells why in one line. took_s: seconds."""

    settings: PipelineSettings
    input_wh: tuple[int, int]
    backend: Backend | None
    reason: str
    took_s: float


class Opening:
    """Begins at once. Owns the backend until ``take``.

    settings: their backend, arithmetic, thresholds and options count. done: called in the thread once ``take`` has
    something to give.
    """

    def __init__(
        self, network: Network, settings: PipelineSettings, input_wh: tuple[int, int], done: Callable[[], None]
    ) -> None:
        self.settings = settings
        self._network, self._input_wh, self._done = network, input_wh, done
        self._changing, self._wanted, self._opened = threading.Lock(), True, None
        self._thread = threading.Thread(target=self._work, name="opening", daemon=True)
        self._thread.start()

    def take(self) -> Opened | None:
        """How it ended; the backend is then the caller's. None before, and when it was taken already."""
        with self._changing:
            opened, self._opened = self._opened, None
            return opened

    def give_up(self) -> None:
        """It is wanted no more: closed, or ended as soon as it can be."""
        with self._changing:
            self._wanted = False
        opened = self.take()
        if opened and opened.backend:
            opened.backend.close()

    def join(self) -> None:
        """After ``give_up``: waits until nothing of it is left, within reason."""
        self._thread.join(CLOSE_TIMEOUT_S)

    def _work(self) -> None:
        start, backend, reason = time.monotonic(), None, ""
        try:
            backend = open_warm(self._network, self.settings, self._input_wh, lambda: not self._wanted)
        except UserError as error:
            reason = str(error)
        except Exception as error:  # noqa: BLE001  a fault of ours must not end what runs
            reason = f"{type(error).__name__}: {error}"
        opened = Opened(self.settings, self._input_wh, backend, reason, time.monotonic() - start)
        with self._changing:
            wanted = self._wanted
            if wanted:
                self._opened = opened
        if wanted:
            self._done()
        elif backend is not None:
            backend.close()


def open_warm(
    network: Network, settings: PipelineSettings, input_wh: tuple[int, int], given_up: GivenUp = wanted_all_along
) -> Backend:
    """A backend as these settings want it. All kernels that a picture meets, from the encoder's to those that read boxes
    and follow objects, are loaded then. Raises as ``open_backend``."""
    network = settings.network(network)
    backend = open_backend(
        settings.backend, network, input_wh, settings.arithmetic, settings.backend_options, given_up
    )
    try:
        _warm_up(backend, network, input_wh)
        follow_an_object()
    except BaseException:
        backend.close()
        raise
    return backend


def _warm_up(backend: Backend, network: Network, input_wh: tuple[int, int]) -> None:
    """One grey picture: kernels are compiled or loaded at their first use."""
    width, height = input_wh
    encoder = Encoder(network.input_table, network.encoder_threshold, input_wh)
    events = encoder.step(np.full((height, width, 3), 128, np.uint8), RegionGrid.of_input(input_wh).full(True))
    # One in a process of its own is ready when it is open, and would need a new process afterwards.
    if not backend.latency_steps:
        backend.submit(events, None)
        backend.poll(0.0)
        backend.reset()
