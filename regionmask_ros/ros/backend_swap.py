"""Another backend for a running node: opened beside the one that runs, and moved over to when it is ready.

A request is answered before the opening begins, so parameters run ahead. When the opening fails, and when a backend
that has failed was replaced, they are set back: what a parameter says is what runs, or is being opened.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future

from rclpy.node import Node
from rclpy.parameter import Parameter

from ..backends import Backend, check_backend
from ..errors import UserError
from ..pipeline.backend_manager import CLOSE_TIMEOUT_S, NOTICE_LIFETIME_S, BackendNotice, Opening, OpenResult
from ..pipeline.pipeline import Pipeline
from ..pipeline.settings import PipelineSettings
from .parameters import BACKEND_PARAMETERS, Value

DEFAULT_CAMERA_WH = (640, 480)
"""The commonest, while none has sent a picture."""

SwitchBackend = Callable[[OpenResult], "Future[Backend | None]"]


class BackendSwap:
    """For the thread that runs the node's callbacks, but for ``look``.

    move_over: lets the pipeline go on with what was opened, between two frames and drained; the future is the backend
    before. trouble: what has gone wrong last, to be told for a while.
    """

    def __init__(self, node: Node, pipeline: Pipeline, switch_backend: SwitchBackend) -> None:
        self._node, self._pipeline, self._switch_backend = node, pipeline, switch_backend
        self._opening: Opening | None = None
        self._moving: tuple[OpenResult, Future[Backend | None]] | None = None
        self._next: tuple[PipelineSettings, Mapping[str, Value]] | None = None
        self._before: dict[str, Value] = {}
        self._closings: list[threading.Thread] = []
        self.notice = BackendNotice()
        self._guard = node.create_guard_condition(self._go_on)

    @property
    def opening(self) -> str:
        """The name of the backend that is being opened; "" for none."""
        coming = self._upcoming()
        return coming.backend if coming else ""

    def check(self, settings: PipelineSettings) -> None:
        """Raises UserError, soon, for a backend that is neither running nor being opened and cannot be opened."""
        if settings != settings.keep_backend(self._upcoming() or self._pipeline.settings):
            check_backend(settings.backend, settings.backend_options)
            self._pipeline.input_for(settings)

    def request_backend(self, settings: PipelineSettings, before: Mapping[str, Value]) -> None:
        """From now on this backend is wanted, with its arithmetic and options; returns at once.

        The last one who asks wins: what is being opened for an earlier request is given up. before: what the changed
        parameters were, in case it cannot be opened.
        """
        if settings == settings.keep_backend(self._upcoming() or self._pipeline.settings):
            return
        if self._moving is not None:
            self._next = settings, {**before, **(self._next[1] if self._next else {})}
            return
        if self._opening is not None:
            self._tell(f"backend {self._opening.settings.backend}: given up before it was open")
            self._abandon()
        running = self._pipeline.settings
        if settings == settings.keep_backend(running):
            self._before.clear()
            return
        was = {name: value for name, value in before.items() if name in BACKEND_PARAMETERS}
        self._before = {**was, **self._before}
        self._tell(f"backend {settings.backend}: opening beside {running.backend}")
        try:
            input_wh = self._pipeline.input_for(settings) or settings.input_wh(DEFAULT_CAMERA_WH)
            self._opening = Opening(self._pipeline.network, settings, input_wh, self.look)
        except UserError as error:
            self._failed(settings.backend, str(error))

    def look(self) -> None:
        """Something may have happened: to be called from any thread."""
        self._guard.trigger()

    def destroy(self) -> None:
        """Gives up what is being opened, and waits for what is being closed. No frame may be worked on any more."""
        self._abandon()
        if self._moving is not None:
            (opened, future), self._moving = self._moving, None
            if future.cancel() or (future.done() and future.exception()):
                self._close_retiring(opened.backend)
            elif future.done():
                self._close_retiring(future.result())
        for closing in self._closings:
            closing.join(CLOSE_TIMEOUT_S)
        self._node.destroy_guard_condition(self._guard)

    def _upcoming(self) -> PipelineSettings | None:
        """What will run if all goes well; None: what runs now."""
        if self._next is not None:
            return self._next[0]
        if self._moving is not None:
            return self._moving[0].settings
        return self._opening.settings if self._opening is not None else None

    def _go_on(self) -> None:
        if self._moving is not None and self._moving[1].done():
            self._moved()
        if self._opening is not None and (opened := self._opening.take()) is not None:
            self._opening = None
            if opened.backend is None:
                self._failed(opened.settings.backend, opened.reason)
            else:
                future = self._switch_backend(opened)
                self._moving = opened, future
                future.add_done_callback(lambda _: self.look())
        if self._upcoming() is None:
            self._restore_parameters({})

    def _moved(self) -> None:
        (opened, future), self._moving = self._moving, None
        if (error := future.exception()) is not None:
            self._close_retiring(opened.backend)
            self._failed(opened.settings.backend, f"{type(error).__name__}: {error}")
        else:
            self._before.clear()
            self._close_retiring(future.result())
            self._tell(f"backend {opened.settings.backend}: in use from now on, opened in {opened.took_s:.1f} s")
            self.notice = BackendNotice()
        following, self._next = self._next, None
        if following is not None:
            self.request_backend(*following)

    def _failed(self, wanted: str, reason: str) -> None:
        line = f"backend {wanted} could not be opened, {self._pipeline.settings.backend} stays: {reason}"
        self.notice = BackendNotice(line, False, time.monotonic() + NOTICE_LIFETIME_S)
        self._node.get_logger().warning(line)
        values, self._before = self._before, {}
        self._restore_parameters(values)

    def _restore_parameters(self, values: Mapping[str, Value]) -> None:
        """Parameters say again what runs."""
        values = {**values, "backend": self._pipeline.settings.backend}
        wrong = {name: value for name, value in values.items() if self._node.get_parameter(name).value != value}
        if not wrong:
            return
        result = self._node.set_parameters_atomically([Parameter(name, value=value) for name, value in wrong.items()])
        if not result.successful:
            self._node.get_logger().error(f"parameters {', '.join(wrong)} could not be set back: {result.reason}")

    def _abandon(self) -> None:
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.abandon()
            self._retiring(opening.join)

    def _close_retiring(self, backend: Backend | None) -> None:
        """A board takes its time to be given back."""
        if backend is not None:
            self._retiring(backend.close)

    def _retiring(self, work: Callable[[], None]) -> None:
        self._closings = [closing for closing in self._closings if closing.is_alive()]
        self._closings.append(threading.Thread(target=work, name="closing", daemon=True))
        self._closings[-1].start()

    def _tell(self, line: str) -> None:
        self._node.get_logger().info(line)
