"""Which backend a pipeline runs on: opened, replaced, restarted after a failure, or disabled.

One ``BackendManager`` belongs to one pipeline. A new backend opens in a thread of its own beside the current one, which
keeps working; the pipeline changes over between two frames.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from ..backends import Backend, open_backend
from ..backends.base import IsCancelled
from ..backends.dense import DenseBackend
from ..core.grid import RegionGrid
from ..encoder.encoder import Encoder
from ..errors import UserError
from ..network.chain import Network
from ..network.dense import AnyNetwork, DenseNetwork
from .backend_health import NOTICE_LIFETIME_S, BackendHealth, BackendNotice
from .settings import PipelineSettings
from .warmup import track_an_object

CLOSE_TIMEOUT_S = 10.0
"""``BackendManager.close`` waits this long for each backend that is still closing."""

@dataclass(frozen=True)
class BackendChoice:
    """A backend that runs or is wanted.

    Attributes:
        settings: Their backend, arithmetic, thresholds, options and input size count.
        parameters: The caller's names and values for this choice; see ``BackendManager.parameters``.
    """

    settings: PipelineSettings
    parameters: Mapping[str, object]

    @property
    def name(self) -> str:
        """The name of the backend."""
        return self.settings.backend


@dataclass(frozen=True)
class BackendEvent:
    """Something that happened to a backend, as one line for the log."""

    line: str
    is_warning: bool = False


@dataclass
class _Opening:
    """A backend that opens beside the current one. ``backend`` is None until it is open."""

    choice: BackendChoice
    input_wh: tuple[int, int]
    backend: Backend | None = None
    took_s: float = 0.0
    cancelled: threading.Event = field(default_factory=threading.Event)


class BackendManager:
    """The backend of one pipeline: the current one, and the one that is opening beside it.

    Methods are for one of two threads: the pipeline's (whatever thread uses the pipeline at the moment) or the caller's
    that requests backends. Attributes and properties can be read from any thread.

    Args:
        network: The network with its trained thresholds.
        settings: The backend to start with. It opens with ``ensure_open``.
        open_backend: Opens a backend, called as ``backends.open_backend``.
        clock: Seconds that only increase.

    Attributes:
        current: The open backend of the pipeline, None when there is none.
        health: The failures of the current backend.
        cancelled: While it is set, ``ensure_open`` fails instead of waiting.
        on_change: Called from any thread when ``poll`` or ``is_ready`` has something new.
    """

    def __init__(self, network: AnyNetwork, settings: PipelineSettings,
                 open_backend: Callable[..., Backend] = open_backend,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._network, self._open_backend, self._clock = network, open_backend, clock
        self.current: Backend | None = None
        self.health = BackendHealth()
        self.cancelled = threading.Event()
        self.on_change: Callable[[], None] = lambda: None
        self._input_wh: tuple[int, int] | None = None
        # The lock guards what follows.
        self._lock = threading.Lock()
        self._running = BackendChoice(settings, {})
        self._opening: _Opening | None = None
        self._opening_notice = BackendNotice()
        self._events: list[BackendEvent] = []
        self._threads: list[threading.Thread] = []

    # For any thread.

    @property
    def opening(self) -> str:
        """The name of the backend that is opening, or is open and waits for the pipeline; empty for none."""
        opening = self._opening
        return opening.choice.name if opening else ""

    @property
    def is_ready(self) -> bool:
        """Whether a requested backend is open and waits for ``take_opened``."""
        opening = self._opening
        return opening is not None and opening.backend is not None

    @property
    def parameters(self) -> Mapping[str, object]:
        """The parameters that the current backend was requested with."""
        return self._running.parameters

    @property
    def notice(self) -> BackendNotice:
        """What users should know about backends now."""
        now_s = self._clock()
        return self._opening_notice.at(now_s) or self.health.notice.at(now_s)

    @property
    def last_notice(self) -> BackendNotice:
        """The last notice about the current backend or about an opening that failed, current or not."""
        return self.health.notice or self._opening_notice

    # For the caller's thread.

    def is_new(self, settings: PipelineSettings) -> bool:
        """Whether these settings want a backend other than the one that is opening or, without one, that runs."""
        with self._lock:
            return not _is_same(settings, self._upcoming())

    def request(self, settings: PipelineSettings, input_wh: tuple[int, int], parameters: Mapping[str, object]) -> None:
        """Opens a backend beside the current one, unless it runs or is opening already. Returns at once.

        The last request wins: a backend that is opening for an earlier one is cancelled.

        Args:
            settings: The wanted backend.
            input_wh: Width and height of the network's input that it is opened for.
            parameters: The caller's names and values of this choice; see ``parameters``.
        """
        choice = BackendChoice(settings, dict(parameters))
        with self._lock:
            if _is_same(settings, self._upcoming()):
                if self._opening:
                    self._opening.choice = choice
                else:
                    self._running = choice
                return
            if self._opening:
                self._log(f"backend {self._opening.choice.name}: cancelled before it was in use")
                self._cancel_opening()
            if _is_same(settings, self._running):
                self._running = choice
            else:
                self._opening = _Opening(choice, input_wh)
                self._log(f"backend {choice.name}: opening beside {self._running.name}")
                self._start_thread(self._open_beside, self._opening)
        self.on_change()

    def poll(self) -> list[BackendEvent]:
        """Returns what has happened since the last call, oldest first."""
        with self._lock:
            events, self._events = self._events, []
            return events

    def close(self) -> None:
        """Closes all backends and waits for them, within limits. No other thread may use the pipeline any more."""
        self.discard()
        with self._lock:
            self._cancel_opening()
            threads, self._threads = self._threads, []
        for thread in threads:
            thread.join(CLOSE_TIMEOUT_S)

    # For the pipeline's thread.

    def is_open_for(self, input_wh: tuple[int, int]) -> bool:
        """Whether the current backend is open for that input size (width, height)."""
        return self.current is not None and self._input_wh == input_wh

    def ensure_open(self, input_wh: tuple[int, int], warm_up: bool = False) -> Backend:
        """Opens the current backend for that input size if it is not open.

        Args:
            input_wh: Width and height of the network's input.
            warm_up: Whether one gray image is computed, so that the first frame waits for no kernel.

        Returns:
            The current backend.

        Raises:
            UserError: The settings do not fit the backend.
            BackendError: It cannot be opened.
        """
        if self.current is None or self._input_wh != input_wh:
            self.discard()
            self.current = self._open(self._running.settings, input_wh, self.cancelled.is_set, warm_up)
            self._input_wh = input_wh
        return self.current

    def take_opened(self) -> tuple[PipelineSettings, tuple[int, int], Backend] | None:
        """Hands over the requested backend that is ready: call ``exchange`` with it. Forgets earlier failures.

        Returns:
            Its settings, its input's (width, height), and the backend; None when none is ready.
        """
        with self._lock:
            opened = self._opening
            if opened is None or opened.backend is None:
                return None
            self._opening, self._running, self._opening_notice = None, opened.choice, BackendNotice()
            self._log(f"backend {opened.choice.name}: in use from now on, opened in {opened.took_s:.1f} s")
        self.clear_failures()
        return opened.choice.settings, opened.input_wh, opened.backend

    def exchange(self, settings: PipelineSettings, input_wh: tuple[int, int] | None = None,
                 backend: Backend | None = None) -> None:
        """Replaces the current backend; the former one closes in the background.

        Args:
            settings: The settings of the new backend.
            input_wh: Width and height of the input that ``backend`` is open for.
            backend: The new one; None: it opens with ``ensure_open``.
        """
        with self._lock:
            self._running = replace(self._running, settings=settings)
            if self.current is not None:
                self._start_thread(self.current.close)
        self.current, self._input_wh = backend, input_wh
        self.on_change()

    def discard(self) -> None:
        """Closes the current backend; ``ensure_open`` opens it anew. Harmless without one."""
        if self.current is not None:
            self.current.close()
        self.current = self._input_wh = None

    def fail(self, reason: str, fallback: PipelineSettings | None) -> PipelineSettings | None:
        """Decides what follows a failure of the current backend.

        Args:
            reason: The cause, one line.
            fallback: The settings of the backend to fall back to, None for none.

        Returns:
            The fallback's settings if it shall take over; None if the current backend stays, to be opened anew or not.
        """
        failed = self._running.name
        name = fallback.backend if fallback and fallback.backend != failed else ""
        self.health = self.health.fail(failed, reason, name, self._clock())
        with self._lock:
            self._log(self.health.notice.line, is_warning=True)
        self.on_change()
        return fallback if name and self.health.restarted_s is None else None

    @property
    def refuses_frames(self) -> bool:
        """Whether the backend was disabled too recently to try again."""
        return self.health.refuses_frames(self._clock())

    def mark_working(self) -> None:
        """Notes that the current backend has taken a frame."""
        self.health = self.health.recover(self._clock())

    def clear_failures(self) -> None:
        """Forgets all failures but their number: the next one counts as a first one."""
        self.health = BackendHealth(self.health.restarts)

    def _upcoming(self) -> BackendChoice:
        return self._opening.choice if self._opening else self._running

    def _open(self, settings: PipelineSettings, input_wh: tuple[int, int], is_cancelled: IsCancelled,
              warm_up: bool) -> Backend:
        network = self._network
        if not isinstance(network, DenseNetwork):
            network = settings.network(network)
        backend = self._open_backend(
            settings.backend, network, input_wh, settings.arithmetic, settings.backend_options, is_cancelled)
        if warm_up:
            try:
                if isinstance(network, DenseNetwork):
                    self._prepare_as_current(backend, input_wh)
                else:
                    _warm_up(backend, network, input_wh)
            except BaseException:
                backend.close()
                raise
        return backend

    def _prepare_as_current(self, backend: Backend, input_wh: tuple[int, int]) -> None:
        """Prepares the inputs that the camera uses, so that it waits for none of them after the change."""
        current = self.current
        if isinstance(current, DenseBackend) and isinstance(backend, DenseBackend) and self._input_wh == input_wh:
            backend.prepare(current.shapes)

    def _open_beside(self, opening: _Opening) -> None:
        """Runs in a thread of its own."""
        start_s, backend, reason = self._clock(), None, ""
        settings = opening.choice.settings
        try:
            backend = self._open(settings, opening.input_wh, opening.cancelled.is_set, warm_up=True)
        except UserError as error:
            reason = str(error)
        except Exception as error:  # noqa: BLE001  a bug in a backend must not end the current one
            reason = f"{type(error).__name__}: {error}"
        with self._lock:
            is_wanted = self._opening is opening
            if is_wanted and backend:
                opening.backend, opening.took_s = backend, self._clock() - start_s
            elif is_wanted:
                self._opening = None
                line = f"backend {settings.backend} could not be opened, {self._running.name} stays: {reason}"
                self._opening_notice = BackendNotice(line, expires_s=self._clock() + NOTICE_LIFETIME_S)
                self._log(line, is_warning=True)
        if is_wanted:
            self.on_change()
        elif backend:
            backend.close()

    def _log(self, line: str, is_warning: bool = False) -> None:
        self._events.append(BackendEvent(line, is_warning))

    def _cancel_opening(self) -> None:
        opening, self._opening = self._opening, None
        if opening:
            opening.cancelled.set()
            if opening.backend:
                self._start_thread(opening.backend.close)

    def _start_thread(self, work: Callable[..., None], *arguments: object) -> None:
        """Daemon threads, as opening and closing may take minutes on a board and must not keep the process."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        self._threads.append(threading.Thread(target=work, args=arguments, name="backend", daemon=True))
        self._threads[-1].start()


def _is_same(settings: PipelineSettings, choice: BackendChoice) -> bool:
    return settings == settings.keep_backend(choice.settings)


def _warm_up(backend: Backend, network: Network, input_wh: tuple[int, int]) -> None:
    """Runs all that a frame runs, from the encoder to the tracker: kernels are loaded at their first use."""
    width, height = input_wh
    encoder = Encoder(network.input_table, network.encoder_threshold, input_wh)
    events = encoder.step(np.full((height, width, 3), 128, np.uint8), RegionGrid.of_input(input_wh).full(True))
    # A worker process is ready once it is open, and to reset it would start it again.
    if not backend.latency_steps:
        backend.submit(events, None)
        backend.poll(0.0)
        backend.reset()
    track_an_object()
