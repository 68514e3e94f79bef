"""The one thread that works on frames: from the newest image through the pipeline to the outputs."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotInTime
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from rclpy.impl.rcutils_logger import RcutilsLogger

from ..backends import BackendError
from ..core.frame import Frame
from ..core.result import StepResult
from ..errors import UserError, to_one_line
from ..pipeline.pipeline import Pipeline
from ..pipeline.settings import PipelineSettings
from .attention import AttentionRequests
from .callback_guard import ErrorLog
from .camera import ImageMessage
from .frame_stats import DropKind, DropReason, FrameOutcome, FrameStats, plausible_latency_ms
from .parameters import ResponseSettings
from .publishers import Outputs
from .vital import start_vital_thread

T = TypeVar("T")

LOG_PERIOD_S = 5.0

QUIET_S = 1.0
"""Results inside a pipelined backend are drained when no image has come for this long.

It is longer than a running camera's frame time: there, the next images push the results out.
"""

CALL_TIMEOUT_S = 10.0
"""A call waits this long for the frame in progress. Lava's own convolution takes less for a step."""

FORGOTTEN = DropReason("forgotten when the detector was reset", DropKind.FORGOTTEN)
STOPPED = DropReason("the detector was stopped", DropKind.FORGOTTEN)


class NewestSlot(Generic[T]):
    """Room for one item: a new one replaces one that was not taken, as old images are of no use to a robot.

    For any number of threads that put and one that takes.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._items: list[T] = []
        self._is_closed = self._is_woken = False

    def put(self, item: T) -> bool:
        """Puts an item; never blocks.

        Returns:
            Whether it has replaced an item that was not taken.

        Raises:
            RuntimeError: The slot is closed: the item would vanish without being counted.
        """
        with self._changed:
            if self._is_closed:
                raise RuntimeError("the slot is closed")
            is_overwritten = bool(self._items)
            self._items[:] = [item]
            self._changed.notify()
            return is_overwritten

    @property
    def is_empty(self) -> bool:
        """Whether there is no item to take."""
        with self._changed:
            return not self._items

    @property
    def has_ended(self) -> bool:
        """Whether it is closed and empty."""
        with self._changed:
            return self._is_closed and not self._items

    def take(self, timeout_s: float | None = None) -> T | None:
        """Waits for the item.

        Args:
            timeout_s: How long; None for no limit.

        Returns:
            The item; None after the timeout, after ``wake``, and once the slot has ended.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._is_closed or self._is_woken, timeout_s)
            self._is_woken = False
            return self._items.pop() if self._items else None

    def wake(self) -> None:
        """Ends the current or the next ``take``, without an item if there is none."""
        with self._changed:
            self._is_woken = True
            self._changed.notify_all()

    def close(self) -> None:
        """Refuses more items; the one inside can still be taken. Harmless when called twice."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()


@dataclass(frozen=True)
class ReceivedImage:
    """An image message and when it came, monotonic."""

    message: ImageMessage
    time_s: float


class Worker:
    """Owns the thread. Others use the pipeline through ``run_between_frames`` only.

    Each image that is put ends as exactly one answered frame or one counted drop, also when the worker is stopped.

    Args:
        pipeline: Lent to the worker until it has stopped.
        response: What is done with images and results.
        read: Makes the frame of an image message; raises UserError.
        attention: The boxes that planners ask for.
        outputs: Publish results.
        frame_stats: Collects figures of each frame.
        now_ns: The node's time.
        logger: For drops and failures.
        error_log: For exceptions that nobody foresaw.
        on_failure: Called with one line if the thread ends by an error.
        describe: Makes the line of a user's error that may be said over ROS.
    """

    def __init__(self, pipeline: Pipeline, response: ResponseSettings, read: Callable[[ImageMessage], Frame],
                 attention: AttentionRequests, outputs: Outputs, frame_stats: FrameStats, now_ns: Callable[[], int],
                 logger: RcutilsLogger, error_log: ErrorLog, on_failure: Callable[[str], None],
                 describe: Callable[[UserError], str] = str) -> None:
        self._pipeline, self._response, self._read = pipeline, response, read
        self._attention, self._outputs, self._frame_stats = attention, outputs, frame_stats
        self._now_ns, self._logger, self._error_log, self._describe = now_ns, logger, error_log, describe
        self._slot: NewestSlot[ReceivedImage] = NewestSlot()
        self._calls: queue.SimpleQueue[tuple[Future[Any], Callable[[], object]]] = queue.SimpleQueue()
        self._pending: list[tuple[Frame, ReceivedImage]] = []
        self._last_step_s = time.monotonic()
        self._is_abandoned = False
        pipeline.backends.cancelled.clear()
        # A daemon, so that a detector that hangs does not keep the process alive. Its owner calls stop().
        self._thread = start_vital_thread("detector", self._work, on_failure)

    # For other threads.

    def put(self, message: ImageMessage) -> None:
        """Takes an image from the subscription and returns at once."""
        self._frame_stats.count(received=1)
        try:
            is_overwritten = self._slot.put(ReceivedImage(message, time.monotonic()))
        except RuntimeError:
            self._drop(STOPPED)
            return
        if is_overwritten:
            self._frame_stats.count(overwritten=1)

    def run_between_frames(self, action: Callable[[Pipeline], T]) -> T:
        """Waits for the frame in progress, then calls the action with the pipeline.

        Args:
            action: Runs in the worker's thread.

        Returns:
            What the action returns.

        Raises:
            UserError: It takes too long; the action was not and will not be called.
        """
        future: Future[T] = Future()
        self._calls.put((future, lambda: action(self._pipeline)))
        self._slot.wake()
        try:
            return future.result(CALL_TIMEOUT_S)
        except NotInTime:
            if future.cancel():
                raise UserError("the detector is busy: its backend is opening, or hangs; try again") from None
            return future.result()

    def reconfigure(self, settings: PipelineSettings, response: ResponseSettings) -> None:
        """Applies both from the next frame on. The backend stays as it is.

        Raises:
            UserError: As ``Pipeline.reconfigure``; nothing has changed.
        """
        def change(pipeline: Pipeline) -> None:
            pipeline.reconfigure(settings.keep_backend(pipeline.settings))
            self._response = response

        self.run_between_frames(change)

    def set_response(self, response: ResponseSettings) -> None:
        """Applies the settings at once, without waiting for the frame in progress."""
        self._response = response

    def wake(self) -> None:
        """Lets the pipeline take over a backend that is ready."""
        self._slot.wake()

    def stop(self, timeout_s: float) -> bool:
        """Finishes the images that are in, then ends. No image may be put and nothing be called any more.

        Returns:
            False when that takes too long: the thread is then abandoned.
        """
        self._slot.close()
        # Opening may take minutes on a board.
        self._pipeline.backends.cancelled.set()
        self._thread.join(timeout_s)
        self._is_abandoned = self._thread.is_alive()
        return not self._is_abandoned

    # For the worker's thread.

    def _work(self) -> None:
        while not self._slot.has_ended:
            received = self._slot.take(QUIET_S if self._pending else None)
            self._survive(self._run_calls)
            if received is not None:
                self._survive(partial(self._step, received))
                self._last_step_s = time.monotonic()
            elif self._pending and time.monotonic() - self._last_step_s >= QUIET_S:
                self._survive(partial(self._drain, FORGOTTEN))
        self._survive(self._run_calls)
        self._survive(partial(self._drain, STOPPED))

    def _survive(self, action: Callable[[], None]) -> None:
        """Calls the action. What it raises costs the frames inside the pipeline, but not the thread."""
        try:
            action()
        except Exception as error:  # noqa: BLE001  a bug must not end the node
            self._drop_pending(self._report(error))

    def _run_calls(self) -> None:
        while not self._calls.empty():
            future, action = self._calls.get()
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(action())
                except BaseException as error:  # noqa: BLE001  the caller gets it
                    future.set_exception(error)
        if self._pipeline.backends.is_ready:
            self._drain(DropReason("lost inside the former backend", DropKind.IN_BACKEND))
            self._guard(self._pipeline.adopt_opened)

    def _step(self, received: ReceivedImage) -> None:
        backends = self._pipeline.backends
        # Until the frame is pending, each way out counts it once.
        try:
            is_refused = backends.refuses_frames and self._response.fallback is None
            if backends.refuses_frames and not is_refused:
                self._recover(backends.health.reason)
            frame = None if is_refused else self._read(received.message)
        except UserError as error:
            self._drop(DropReason(str(error)))
            return
        except Exception as error:  # noqa: BLE001  an unforeseen image must not end the node
            self._drop(self._report(error))
            return
        if frame is None:
            self._drop(DropReason(backends.health.notice.line, DropKind.NO_BACKEND))
            return
        self._pending.append((frame, received))
        try:
            lifetime_ns = self._response.attention_ns
            self._pipeline.attend(self._attention.active_boxes(frame.frame_id, self._now_ns(), lifetime_ns))
            results = self._pipeline.process(frame, self._outputs.want_events)
        except BackendError as error:
            self._recover(str(error))
            return
        except UserError as error:
            self._pending.pop()
            self._drop(DropReason(self._describe(error), DropKind.REFUSED))
            return
        except Exception as error:  # noqa: BLE001  a bug must not end the node
            self._drop_pending(self._report(error))
            self._pipeline.reset()
            return
        backends.mark_working()
        self._deliver(results)

    def _recover(self, reason: str) -> None:
        """The backend has failed, and with it all frames inside: the manager decides what follows."""
        self._drop_pending(DropReason(reason, DropKind.IN_BACKEND))
        if self._slot.has_ended:
            return
        fallback = self._pipeline.backends.fail(reason, self._response.fallback)
        if fallback:
            self._pipeline.take_over(self._pipeline.settings.keep_backend(fallback))

    def _drain(self, reason: DropReason) -> None:
        """Publishes what is still inside a pipelined backend; frames without a result are dropped for that reason."""
        self._guard(lambda: self._deliver(self._pipeline.drain()))
        self._drop_pending(reason)

    def _guard(self, action: Callable[[], None]) -> None:
        try:
            action()
        except BackendError as error:
            self._recover(str(error))
        except Exception as error:  # noqa: BLE001  a bug must not end the node
            self._error_log.report("worker", error)

    def _deliver(self, results: list[StepResult]) -> None:
        for result in results:
            # Results come in the order of their frames. A frame without one was forgotten by a reset.
            while self._pending[0][0] is not result.frame:
                self._pending.pop(0)
                self._drop(FORGOTTEN)
            _, received = self._pending.pop(0)
            if not self._is_abandoned:
                self._publish(result, received)

    def _publish(self, result: StepResult, received: ReceivedImage) -> None:
        try:
            self._outputs.publish(result, received.message.header, self._response.drop_stale)
        except Exception as error:  # noqa: BLE001  a bug must not end the node
            self._drop(self._report(error))
            return
        now_s, tiles = time.monotonic(), result.tile_counts.totals if result.tile_counts else None
        self._frame_stats.add(FrameOutcome(
            time_s=now_s,
            node_ms=(now_s - received.time_s) * 1e3,
            stamp_ms=plausible_latency_ms(result.frame.stamp_ns, self._now_ns()),
            masked_share=result.mask.masked_share if result.index else None,
            events=result.counts.events if result.counts else None,
            synops=result.counts.total_synops if result.counts else None,
            mac_share=tiles.mac_share if tiles else None,
            tiles=tiles.tiles if tiles else None,
            pipeline_ms=result.ms["total"],
            attended_shares=result.mask.attended_shares,
        ))

    def _report(self, error: Exception) -> DropReason:
        return DropReason(self._error_log.report("worker", error), DropKind.ERROR)

    def _drop_pending(self, reason: DropReason) -> None:
        for _ in self._pending:
            self._drop(reason)
        self._pending.clear()

    def _drop(self, reason: DropReason) -> None:
        self._frame_stats.drop(reason)
        line = f"frame dropped: {to_one_line(reason.text)}"
        with contextlib.suppress(Exception):  # the logger refuses some texts; the frame is counted already
            self._logger.warning(line, throttle_duration_sec=LOG_PERIOD_S)
