"""The newest-wins slot between a callback that must return at once and a worker that takes its time.

The one thread that works on frames: from the slot through the pipeline to the outputs.
"""

from __future__ import annotations

import queue
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotInTime
from dataclasses import dataclass
from typing import Generic, TypeVar

from rclpy.impl.rcutils_logger import RcutilsLogger

from ..backends import BackendError
from ..core.frame import Frame
from ..core.result import StepResult
from ..errors import UserError
from ..pipeline.pipeline import Pipeline
from ..pipeline.settings import PipelineSettings
from .attention import AttentionRequests
from .camera import Picture
from .diagnostics import Answer, FrameStats, plausible_latency_ms
from .parameters import ResponseSettings
from .publishers import Outputs

T = TypeVar("T")


class NewestSlot(Generic[T]):
    """Room for one item. A new one replaces one that nobody has taken yet: old pictures are of no use to a robot.

    For any number of threads that put and one that takes.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._items: list[T] = []
        self._closed = self._woken = False

    def put(self, item: T) -> bool:
        """Never blocks. Returns True when an item that was not taken had to go.

        Raises RuntimeError when the slot is closed: the item would vanish without being counted.
        """
        with self._changed:
            if self._closed:
                raise RuntimeError("the slot is closed")
            overwritten = bool(self._items)
            self._items[:] = [item]
            self._changed.notify()
            return overwritten

    @property
    def ended(self) -> bool:
        """It is closed and empty."""
        with self._changed:
            return self._closed and not self._items

    def take(self, timeout_s: float | None = None) -> T | None:
        """The item, as soon as there is one. None when there is none within the time, after ``wake``, and once the slot
        has ended.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed or self._woken, timeout_s)
            self._woken = False
            return self._items.pop() if self._items else None

    def wake(self) -> None:
        """Whoever waits in ``take``, or comes next, goes on without an item if there is none."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def close(self) -> None:
        """No more items. The one inside, if any, can still be taken. Harmless when called twice."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


LOG_PERIOD_S = 5.0

QUIET_S = 1.0
"""When no picture has come for so long, results that are still inside a pipelined backend are pushed out.

Longer than between two pictures of a camera that runs: its own next pictures push them.
"""

CALL_TIMEOUT_S = 10.0
"""So long a call may wait for the frame that is worked on. Longer than a step of Lava's own convolution."""


@dataclass(frozen=True)
class ReceivedImage:
    """A picture as it came. time_s: monotonic."""

    message: Picture
    time_s: float


@dataclass(frozen=True)
class DropReason:
    """Why a frame was dropped. ours: the picture was fine, the detector was not."""

    reason: str = ""
    ours: bool = False


class Worker:
    """Owns the thread; the pipeline is lent to it: others call it through ``run_between_frames`` and ``run_after_drain`` only.

    read: from a message to its picture. attention: what planners ask for. supervisor: what has become of the backend.
    on_fallback: called, in the thread, when another backend has taken the place of one that failed. now_ns: the node's
    time. Each picture that is put ends as exactly one answer or one counted drop, also when the worker is stopped.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        answers: ResponseSettings,
        read: Callable[[Picture], Frame],
        attention: AttentionRequests,
        outputs: Outputs,
        frame_stats: FrameStats,
        now_ns: Callable[[], int],
        logger: RcutilsLogger,
    ) -> None:
        self._pipeline, self._answers, self._read = pipeline, answers, read
        self._attention, self._outputs, self._frame_stats = attention, outputs, frame_stats
        pipeline.backends.cancelled.clear()
        self._now_ns, self._logger = now_ns, logger
        self._slot: NewestSlot[ReceivedImage] = NewestSlot()
        self._calls: queue.SimpleQueue[tuple[Future, Callable[[], object]]] = queue.SimpleQueue()
        self._inside: list[tuple[Frame, ReceivedImage]] = []
        self._busy_s = time.monotonic()
        self._abandoned = False
        self.last_failure = DropReason()
        # A daemon, so that a detector that hangs cannot keep the process alive. Whoever starts it calls stop().
        self._thread = threading.Thread(target=self._work, name="detector", daemon=True)
        self._thread.start()

    def put(self, message: Picture) -> None:
        """Takes a picture; called from the subscription, returns at once."""
        self._frame_stats.count(received=1)
        if self._slot.put(ReceivedImage(message, time.monotonic())):
            self._frame_stats.count(overwritten=1)

    def run_between_frames(self, action: Callable[[Pipeline], T]) -> T:
        """Calls with the pipeline between two frames; waits for the one that is being worked on.

        Raises UserError, without having called, when that takes too long.
        """
        future = self._call(lambda: action(self._pipeline))
        try:
            return future.result(CALL_TIMEOUT_S)
        except NotInTime:
            if future.cancel():
                raise UserError("the detector is busy: its backend is being opened, or hangs; try again") from None
            return future.result()

    def wake(self) -> None:
        """Lets the pipeline change over soon to a backend that is ready."""
        self._slot.wake()

    def reconfigure(self, settings: PipelineSettings, answers: ResponseSettings) -> None:
        """Both are in force from the next frame on, but for the backend, which stays as it is.

        Raises UserError, and changes nothing, as the pipeline does.
        """
        def change(pipeline: Pipeline) -> None:
            pipeline.reconfigure(settings.keep_backend(pipeline.settings))
            self._answers = answers

        self.run_between_frames(change)

    def set_response(self, answers: ResponseSettings) -> None:
        """In force at once; does not wait for the frame that is being worked on."""
        self._answers = answers

    def stop(self, timeout_s: float) -> bool:
        """Finishes the pictures that are in, then ends. False when that takes too long: the thread is then given up.

        No picture may be put any more, and nothing be called.
        """
        self._slot.close()
        # An opening may take minutes on a board.
        self._pipeline.backends.cancelled.set()
        self._thread.join(timeout_s)
        self._abandoned = self._thread.is_alive()
        return not self._abandoned

    def _call(self, action: Callable[[], T]) -> Future[T]:
        future: Future[T] = Future()
        self._calls.put((future, action))
        self._slot.wake()
        return future

    def _work(self) -> None:
        while not self._slot.ended:
            arrival = self._slot.take(QUIET_S if self._inside else None)
            self._answer_calls()
            if arrival is not None:
                self._step(arrival)
                self._busy_s = time.monotonic()
            elif self._inside and time.monotonic() - self._busy_s >= QUIET_S:
                self._drain("forgotten when the detector started afresh")
        self._answer_calls()
        self._drain("the detector was stopped")

    def _answer_calls(self) -> None:
        while not self._calls.empty():
            future, action = self._calls.get()
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(action())
                except BaseException as error:  # noqa: BLE001  whoever has called is told
                    future.set_exception(error)
        if self._pipeline.backends.is_ready:
            self._drain("lost inside the backend that was left")
            self._adopt_opened()

    def _adopt_opened(self) -> None:
        try:
            self._pipeline.adopt_opened()
        except BackendError as error:
            self._fail(str(error))
        except Exception as error:  # noqa: BLE001  as in _step
            self._told(error)

    def _step(self, arrival: ReceivedImage) -> None:
        backends = self._pipeline.backends
        if backends.refuses_frames:
            if self._answers.fallback is None:
                self._drop(DropReason(backends.health.notice.line, ours=True))
                return
            self._fail(backends.health.reason)
        try:
            frame = self._read(arrival.message)
        except UserError as error:
            self._drop(DropReason(str(error)))
            return
        except Exception as error:  # noqa: BLE001  a picture that nobody thought of must not end the node
            self._drop(DropReason(self._told(error), ours=True))
            return
        self._inside.append((frame, arrival))
        try:
            lifetime_ns = self._answers.attention_ns
            self._pipeline.attend(self._attention.active_boxes(frame.frame_id, self._now_ns(), lifetime_ns))
            results = self._pipeline.process(frame, self._outputs.want_events)
        except BackendError as error:
            self._fail(str(error))
            return
        except UserError as error:
            self._inside.pop()
            self._drop(DropReason(str(error), ours=True))
            return
        except Exception as error:  # noqa: BLE001  a fault of ours must not end the node
            self._count_lost(self._told(error))
            self._pipeline.reset()
            return
        backends.mark_working()
        self._deliver(results)

    def _fail(self, reason: str) -> None:
        """The backend has failed, and with it all frames inside. What comes next is the supervisor's to say."""
        self._count_lost(reason)
        if self._slot.ended:
            return
        fallback = self._pipeline.backends.fail(reason, self._answers.fallback)
        if fallback:
            self._pipeline.take_over(self._pipeline.settings.keep_backend(fallback))

    def _drain(self, reason: str) -> None:
        """What is still inside a pipelined backend comes out; what does not is counted."""
        try:
            self._deliver(self._pipeline.drain())
        except BackendError as error:
            self._fail(str(error))
        except Exception as error:  # noqa: BLE001  as in _step
            self._told(error)
        self._count_lost(reason)

    def _deliver(self, results: list[StepResult]) -> None:
        for result in results:
            # Results come in the order of their frames. A frame without one was forgotten by a reset.
            while self._inside[0][0] is not result.frame:
                self._inside.pop(0)
                self._drop(DropReason("forgotten when the detector started afresh", ours=True))
            _, arrival = self._inside.pop(0)
            if not self._abandoned:
                self._answer(result, arrival)

    def _answer(self, result: StepResult, arrival: ReceivedImage) -> None:
        try:
            self._outputs.publish(result, arrival.message.header, self._answers.drop_stale)
        except Exception as error:  # noqa: BLE001  as in _step
            self._drop(DropReason(self._told(error), ours=True))
            return
        now_s = time.monotonic()
        self._frame_stats.answer(Answer(
            time_s=now_s,
            node_ms=(now_s - arrival.time_s) * 1e3,
            stamp_ms=plausible_latency_ms(result.frame.stamp_ns, self._now_ns()),
            masked_share=result.mask.masked_share if result.index else None,
            events=result.counts.events,
            synops=result.counts.total_synops,
            pipeline_ms=result.ms["total"],
            attended_shares=result.mask.attended_shares,
        ))

    def _told(self, error: Exception) -> str:
        """An unforeseen error as a reason; where it came from goes to the log."""
        self._logger.error(traceback.format_exc(), throttle_duration_sec=LOG_PERIOD_S)
        return f"{type(error).__name__}: {error}"

    def _count_lost(self, reason: str) -> None:
        for _ in self._inside:
            self._drop(DropReason(reason, ours=True))
        self._inside.clear()

    def _drop(self, failure: DropReason) -> None:
        self.last_failure = failure
        self._frame_stats.count(broken=1)
        self._logger.warning(f"frame dropped: {failure.reason}", throttle_duration_sec=LOG_PERIOD_S)
