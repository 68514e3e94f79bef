"""A life cycle node whose services, transitions and other callbacks may fail without ending it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.service import Service

from .callback_guard import ErrorLog, answer_failures, find_error_log

Transition = Callable[[Any, LifecycleState], TransitionCallbackReturn]


class GuardedNode(LifecycleNode):
    """Counts and logs what its callbacks raise. ``GuardedExecutor`` catches what is not caught here.

    Args:
        name: Of the node.
        node_arguments: For ``rclpy.node.Node``.
    """

    def __init__(self, name: str, **node_arguments: Any) -> None:
        super().__init__(name, **node_arguments)
        self.error_log: ErrorLog = find_error_log(self)

    def create_service(self, srv_type: Any, srv_name: str, callback: Callable[[Any, Any], Any],
                       **arguments: Any) -> Service:
        """As rclpy's, also for its own parameter services: a service that fails says so to its client."""
        guarded = answer_failures(callback, self, srv_name)
        return super().create_service(srv_type, srv_name, guarded, **arguments)

    def destroy_node(self) -> None:
        """As rclpy's. The node leaves the ROS graph at once; its state machine would keep it there."""
        super().destroy_node()
        self._state_machine = None  # type: ignore[assignment]


def guard_transition(transition: Transition) -> Transition:
    """Makes a transition that raises return an error, and count and log it: rclpy hides it."""
    @wraps(transition)
    def run(node: GuardedNode, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            return transition(node, state)
        except Exception as error:  # noqa: BLE001
            node.error_log.report(f"transition {transition.__name__}", error)
            return TransitionCallbackReturn.ERROR

    return run
