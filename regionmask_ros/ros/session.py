"""Start and end of a process that uses ROS: a context with its executor.

rclpy's own signal handlers are not installed: they would end the context while a worker is still publishing.
"""

from __future__ import annotations

import contextlib
import gc
import os
import re
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

import rclpy
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from ..errors import UserError
from ..sources.base import close_stderr
from .callback_guard import GuardedExecutor, describe_error, find_error_log
from .log_folder import prepare_log_folder
from .vital import start_vital_thread

NodeT = TypeVar("NodeT", bound=Node)
T = TypeVar("T")

JOIN_TIMEOUT_S = 10.0

MAX_DOMAIN = 232


def _print_line(line: str) -> None:
    print(line, file=sys.stderr)


def _print_error(where: str, error: Exception) -> None:
    _print_line(f"caught: {where}: {describe_error(error)}")


class RosSession:
    """Context manager: initializes ROS; leaving it stops the executor, destroys the nodes and shuts ROS down.

    Args:
        ros_arguments: As on a command line, ``--ros-args`` included.
        domain_id: None for the environment's.

    Raises:
        UserError: ROS refuses the arguments.
    """

    def __init__(self, ros_arguments: Sequence[str] = (), domain_id: int | None = None) -> None:
        self._context = Context()
        _check_domain()
        note = prepare_log_folder(os.environ)
        if note:
            _print_line(f"regionmask_ros: {note}")
        # rcl prints an error about arguments before it raises the same: one line is enough.
        with close_stderr():
            _shorten_errors(lambda: rclpy.init(args=list(ros_arguments), context=self._context, domain_id=domain_id,
                                               signal_handler_options=SignalHandlerOptions.NO))
        self._nodes: list[Node] = []
        self._executor = GuardedExecutor(_print_error, context=self._context)
        self._is_closing = False
        self._thread: threading.Thread | None = None

    def add(self, make: Callable[..., NodeT]) -> NodeT:
        """Makes a node in this session.

        Args:
            make: The class or a function; gets the context as a keyword.

        Returns:
            The node.

        Raises:
            UserError: As the class raises it, or ROS refuses a name or a parameter file.
        """
        node = _shorten_errors(lambda: make(context=self._context))
        self._nodes.append(node)
        self._executor.add_node(node)
        return node

    def spin(self, on_failure: Callable[[str], None] = _print_line) -> None:
        """Starts the thread that runs callbacks. Exceptions of callbacks are logged and counted; they do not end it.

        Args:
            on_failure: Called in that thread with one line if it ends before the session.
        """
        self._thread = start_vital_thread("executor", self._spin, on_failure)

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            while self._context.ok() and not self._is_closing:
                self._executor.spin_once()
        if not self._is_closing:
            raise RuntimeError("ROS was shut down")

    def __enter__(self) -> RosSession:
        return self

    def __exit__(self, *exception: object) -> None:
        self._is_closing = True
        if self._thread is not None:
            # Before the shutdown, which takes away what a callback that runs now still needs. A task ends the wait.
            self._executor.create_task(lambda: None)
            self._thread.join(JOIN_TIMEOUT_S)
        self._executor.shutdown()
        while self._nodes:
            self._destroy(self._nodes.pop())
        # Nodes are parts of reference cycles. Until they are collected, their names stay in the ROS graph. The executor
        # still has its last tasks.
        del self._executor
        gc.collect()
        self._context.try_shutdown()

    @staticmethod
    def _destroy(node: Node) -> None:
        try:
            node.destroy_node()
        except Exception as error:  # noqa: BLE001  the others must be freed, too
            find_error_log(node).report("end of the node", error)


def _check_domain() -> None:
    """Raises UserError for a domain that the middleware cannot use."""
    text = os.environ.get("ROS_DOMAIN_ID", "")
    if text and not (text.isascii() and text.isdecimal() and int(text) <= MAX_DOMAIN):
        raise UserError(f"ROS_DOMAIN_ID is {text!r}: must be a number from 0 to {MAX_DOMAIN}")


def _shorten_errors(call: Callable[[], T]) -> T:
    """Turns ROS's errors about arguments, parameter files and names into a UserError of one line."""
    try:
        return call()
    except UserError:
        raise
    except Exception as error:
        # rclpy has a class for each, some of them without a public name; what they have in common is their text.
        if type(error).__module__.partition(".")[0] in ("rclpy", "_rclpy_pybind11"):
            # Without the place in the C sources.
            text = re.sub(r",? at /\S+:\d+", "", str(error))
            raise UserError(f"ROS: {' '.join(text.split())}") from error
        raise
