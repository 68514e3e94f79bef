"""The one place where exceptions of callbacks end: each is logged in one line and counted, and the node goes on.

An executor of rclpy ends with the first exception of any callback, and its process stays, deaf. Here it continues: the
executor catches what parameters, services, timers, subscriptions, QoS events, guard conditions and life cycle
transitions raise, and what the middleware raises when it hands over a message.
"""

from __future__ import annotations

import contextlib
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rcl_interfaces.msg import SetParametersResult
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.impl.rcutils_logger import RcutilsLogger
from rclpy.node import Node

from ..errors import MAX_OUTSIDE_LENGTH, to_one_line

PACKAGE = Path(__file__).resolve().parents[1]

PAUSE_S = 0.01
"""After an exception: a message that can never be taken must not take the whole processor."""

REPEAT_S = 5.0
"""The same error is logged again after this time; it is counted each time."""


def shorten(text: str) -> str:
    """Returns text from outside as one printable line of at most ``MAX_OUTSIDE_LENGTH`` characters."""
    return to_one_line(" ".join(text[:4 * MAX_OUTSIDE_LENGTH].split()), MAX_OUTSIDE_LENGTH)


def describe_error(error: BaseException) -> str:
    """Returns type, text and place of an error in one line: the innermost place in this package, if there is one."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if PACKAGE in Path(frame.filename).parents and frame.filename != __file__]
    place = "".join(f" ({Path(frame.filename).name}:{frame.lineno})" for frame in (ours or frames)[-1:])
    return f"{shorten(f'{type(error).__name__}: {error}'.rstrip(': '))}{place}"


@dataclass(frozen=True)
class CallbackErrors:
    """How many exceptions callbacks have raised so far, and the last one; empty for none."""

    count: int = 0
    last: str = ""


class ErrorLog:
    """Logs and counts exceptions that nobody foresaw. For any number of threads.

    Args:
        logger: Of the node.
    """

    def __init__(self, logger: RcutilsLogger) -> None:
        self._logger, self._lock = logger, threading.Lock()
        self._errors, self._logged_s = CallbackErrors(), 0.0

    @property
    def errors(self) -> CallbackErrors:
        """What has come so far."""
        return self._errors

    def report(self, where: str, error: BaseException) -> str:
        """Counts an exception and logs it in one line, a repeated one every ``REPEAT_S`` seconds.

        Args:
            where: The callback, such as ``subscription /image``.
            error: The exception.

        Returns:
            The error in one line.
        """
        text = describe_error(error)
        line, now_s = f"{where}: {text}", time.monotonic()
        with self._lock:
            is_new = line != self._errors.last or now_s - self._logged_s >= REPEAT_S
            self._errors = CallbackErrors(self._errors.count + 1, line)
            if is_new:
                self._logged_s = now_s
        if is_new:
            # The logger refuses some texts; that must not end the thread that reports.
            with contextlib.suppress(Exception):
                self._logger.error(f"caught: {line}; the node goes on")  # noqa: G004  this logger formats nothing
        return text


def find_error_log(node: Node) -> ErrorLog:
    """Returns a node's ``error_log``; a node without one gets it here."""
    log = getattr(node, "error_log", None)
    if log is None:
        log = ErrorLog(node.get_logger())
        node.error_log = log  # type: ignore[attr-defined]
    return log


class GuardedExecutor(SingleThreadedExecutor):
    """An executor that exceptions of callbacks do not end.

    What fails outside of callbacks, such as waiting itself, is raised: it would fail again at once.

    Args:
        report: Called with the place and the exception where no node is known, such as a task.
        arguments: For ``SingleThreadedExecutor``.
    """

    def __init__(self, report: Callable[[str, Exception], None], **arguments: Any) -> None:
        super().__init__(**arguments)
        self._report = report
        self._work: tuple[Any, Any, Any] | None = None

    def wait_for_ready_callbacks(self, *args: Any, **kwargs: Any) -> tuple[Any, Any, Any]:
        """As rclpy's; remembers what it returns."""
        self._work = None
        self._work = super().wait_for_ready_callbacks(*args, **kwargs)
        return self._work

    def spin_once(self, timeout_sec: float | None = None) -> None:
        """Runs a callback; its exception is reported to its node."""
        try:
            super().spin_once(timeout_sec)
        except ExternalShutdownException:
            raise
        except Exception as error:
            if self._work is None:
                raise
            _, entity, node = self._work
            _release(entity)
            report = self._report if node is None else find_error_log(node).report
            report(_name_entity(entity), error)
            time.sleep(PAUSE_S)


def _release(entity: Any) -> None:
    """Lets an entity and its group run again. rclpy leaves them locked for ever when taking a message has failed."""
    if entity is None:
        return
    entity._executor_event = False
    if entity.callback_group is not None:
        with contextlib.suppress(AssertionError):  # it is released already
            entity.callback_group.ending_execution(entity)


def _name_entity(entity: Any) -> str:
    kind = "task" if entity is None else type(entity).__name__.lower()
    with contextlib.suppress(Exception):
        for attribute in ("topic_name", "srv_name", "service_name", "event_type"):
            if name := getattr(entity, attribute, None):
                return f"{kind} {name}"
    return kind


def answer_failures(handle: Callable[[Any, Any], Any], node: Node, name: str) -> Callable[[Any, Any], Any]:
    """Makes a service answer that it has failed, instead of never.

    Args:
        handle: Takes a request and a response, returns the response.
        node: Its log gets the exception.
        name: Of the service.

    Returns:
        A handler that raises nothing.
    """
    def answer(request: Any, response: Any) -> Any:
        try:
            return handle(request, response)
        except Exception as error:  # noqa: BLE001  a client must not wait for ever
            reason = find_error_log(node).report(f"service {name}", error)
        refusal = SetParametersResult(successful=False, reason=reason)
        if hasattr(response, "results"):
            # Some may have been set before the failure.
            missing = len(request.parameters) - len(response.results)
            response.results = [*response.results, *[refusal] * missing]
        elif isinstance(getattr(response, "result", None), SetParametersResult):
            response.result = refusal
        elif hasattr(response, "success"):
            response.success = False
            if hasattr(response, "message"):
                response.message = reason
        return response

    return answer
