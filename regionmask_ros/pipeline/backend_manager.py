"""A backend that opens beside the one that runs, in a thread of its own.

What becomes of a backend that fails while it runs: it is started once more, and then given up.

Given up means that another backend takes its place, or, where none is wanted, that pictures are refused for a while.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from ..backends import Backend, open_backend
from ..backends.base import IsCancelled, never_cancelled
from ..core.grid import RegionGrid
from ..encoder.encoder import Encoder
from ..errors import UserError
from ..network.graph import Network
from .settings import PipelineSettings
from .warmup import follow_an_object

CLOSE_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class OpenResult:
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
        self._changing, self._wanted, self._open_network = threading.Lock(), True, None
        self._thread = threading.Thread(target=self._work, name="opening", daemon=True)
        self._thread.start()

    def take(self) -> OpenResult | None:
        """How it ended; the backend is then the caller's. None before, and when it was taken already."""
        with self._changing:
            opened, self._open_network = self._open_network, None
            return opened

    def abandon(self) -> None:
        """It is wanted no more: closed, or ended as soon as it can be."""
        with self._changing:
            self._wanted = False
        opened = self.take()
        if opened and opened.backend:
            opened.backend.close()

    def join(self) -> None:
        """After ``abandon``: waits until nothing of it is left, within reason."""
        self._thread.join(CLOSE_TIMEOUT_S)

    def _work(self) -> None:
        start, backend, reason = time.monotonic(), None, ""
        try:
            backend = open_warm(self._network, self.settings, self._input_wh, lambda: not self._wanted)
        except UserError as error:
            reason = str(error)
        except Exception as error:  # noqa: BLE001  a fault of ours must not end what runs
            reason = f"{type(error).__name__}: {error}"
        opened = OpenResult(self.settings, self._input_wh, backend, reason, time.monotonic() - start)
        with self._changing:
            wanted = self._wanted
            if wanted:
                self._open_network = opened
        if wanted:
            self._done()
        elif backend is not None:
            backend.close()


def open_warm(
    network: Network, settings: PipelineSettings, input_wh: tuple[int, int], is_cancelled: IsCancelled = never_cancelled
) -> Backend:
    """A backend as these settings want it. All kernels that a picture meets, from the encoder's to those that read boxes
    and follow objects, are loaded then. Raises as ``open_backend``.
    """
    network = settings.network(network)
    backend = open_backend(
        settings.backend, network, input_wh, settings.arithmetic, settings.backend_options, is_cancelled
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


STABLE_AFTER_S = 600.0
"""So long after a restart the next failure counts as a first one.

A cause that stays, such as a network that does not fit into memory, brings the failure back within seconds. One in
ten minutes is an accident, and costs little: with the default limits for a step and for opening, at most 15 % of the
time.
"""

NOTICE_LIFETIME_S = 5.0
"""What is over and done with stays a warning for so long, so that somebody who looks now and then sees it."""


class FailureAction(Enum):
    RESTART = "open it again"
    FALL_BACK = "another one takes its place"
    GIVE_UP = "nothing takes its place"


@dataclass(frozen=True)
class BackendNotice:
    """What people are told. line: "" for nothing. error: nothing is detected meanwhile. until_s: monotonic."""

    line: str = ""
    error: bool = False
    expires_s: float = -math.inf

    def at(self, now_s: float) -> BackendNotice:
        """Itself while it lasts, then nothing."""
        return self if now_s < self.expires_s else BackendNotice()


@dataclass(frozen=True)
class Supervision:
    """restarts: so far. restarted_s: when last (monotonic), None: not in a while. given_up_s: since when pictures are
    refused, None: they are not. reason: of the last failure. trouble: the last one, see ``BackendNotice.at``.
    """

    restarts: int = 0
    restarted_s: float | None = None
    given_up_s: float | None = None
    reason: str = ""
    notice: BackendNotice = BackendNotice()

    def rests(self, now_s: float) -> bool:
        """Given up, and too lately to try again."""
        return self.given_up_s is not None and now_s - self.given_up_s < STABLE_AFTER_S


class Supervisor:
    """The state of one pipeline's backend. It changes in whatever thread has the pipeline; any may look at it."""

    def __init__(self) -> None:
        self.state = Supervision()

    def failed(self, backend: str, reason: str, fallback: str, now_s: float) -> FailureAction:
        """What is to be done: see ``decide_recovery``."""
        self.state, verdict = decide_recovery(self.state, backend, reason, fallback, now_s)
        return verdict

    def works(self, now_s: float) -> None:
        """It has taken a frame: it is up again, if it was not."""
        if self.state.given_up_s is not None:
            self.clear_failures()
        elif self.state.restarted_s is not None and self.state.notice.expires_s == math.inf:
            self.state = replace(self.state, notice=replace(self.state.notice, expires_s=now_s + NOTICE_LIFETIME_S))

    def clear_failures(self) -> None:
        """What has failed is no longer in use, or works again: it starts without a past."""
        self.state = Supervision(self.state.restarts)


def decide_recovery(
    before: Supervision, backend: str, reason: str, fallback: str, now_s: float
) -> tuple[Supervision, FailureAction]:
    """backend: its name. reason: one line. fallback: the name of the one to go on with, "" for none."""
    if before.restarted_s is None or now_s - before.restarted_s >= STABLE_AFTER_S:
        notice = BackendNotice(f"backend {backend} failed and is started again: {reason}", False, math.inf)
        return Supervision(before.restarts + 1, now_s, None, reason, notice), FailureAction.RESTART
    if fallback:
        notice = BackendNotice(f"backend {backend} failed twice, {fallback} goes on: {reason}", False, math.inf)
        return Supervision(before.restarts, None, None, reason, notice), FailureAction.FALL_BACK
    notice = BackendNotice(f"backend {backend} failed twice and is given up, fallback is none: {reason}", True, math.inf)
    return Supervision(before.restarts, before.restarted_s, now_s, reason, notice), FailureAction.GIVE_UP
