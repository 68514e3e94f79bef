"""Publishers and subscriptions that can be overridden by parameters and say in one line why they hear nothing.

The parameters are ROS's own, ``qos_overrides.<topic>.subscription.reliability`` and so on. Only those that the user has
set are declared, so that they do not bury ours.

Services of type std_srvs/Trigger: each answers with success, and with one line for people.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from rclpy.exceptions import ParameterException
from rclpy.lifecycle import LifecycleNode
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile, qos_policy_name_from_kind
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription
from std_srvs.srv import Trigger

from ..errors import UserError

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks, UnsupportedEventTypeError
except ImportError:  # Humble keeps them in a module of another name.
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks, UnsupportedEventTypeError

EntityT = TypeVar("EntityT")

HINTS = {
    "RELIABILITY": "set the parameter image_reliability to best_effort, or let the publisher be reliable",
    "DURABILITY": "let the publisher be transient local, or take the override of durability away",
}
"""By policy: what lets a subscription to pictures hear a publisher that it does not fit."""


def subscribe(
    node: Node, message_class: type, topic: str, take: Callable[[Any], None], qos: QoSProfile,
    lost: Callable[[int], None],
) -> Subscription:
    """Like Node.create_subscription. ``lost`` is told how many messages more were lost, where the middleware tells.

    Raises UserError for an override that makes no sense.
    """
    def is_incompatible(event: Any) -> None:
        policy = policy_name(event.last_policy_kind)
        cure = HINTS.get(policy, "compare both ends with: ros2 topic info -v")
        node.get_logger().warning(f"a publisher on {name} has another {policy.lower()} than is asked for: {cure}")

    name = node.resolve_topic_name(topic)

    def make(**events: Any) -> Subscription:
        callbacks = SubscriptionEventCallbacks(incompatible_qos=is_incompatible, **events)
        return node.create_subscription(
            message_class, topic, take, copy.copy(qos), event_callbacks=callbacks,
            qos_overriding_options=_overriding(node, name),
        )

    try:
        return _told(lambda: make(message_lost=lambda status: lost(status.total_count_change)), name)
    except UnsupportedEventTypeError:
        return make()


def advertise(node: LifecycleNode, message_class: type, topic: str, qos: QoSProfile) -> Publisher:
    """Like LifecycleNode.create_lifecycle_publisher. Raises UserError for an override that makes no sense."""
    def is_incompatible(event: Any) -> None:
        policy = policy_name(event.last_policy_kind).lower()
        node.get_logger().warning(
            f"a subscriber of {name} asks for another {policy} than is offered and hears nothing: "
            "let it ask for less (best effort, volatile)"
        )

    name = node.resolve_topic_name(topic)
    return _told(lambda: node.create_lifecycle_publisher(
        message_class, topic, copy.copy(qos), event_callbacks=PublisherEventCallbacks(incompatible_qos=is_incompatible),
        qos_overriding_options=_overriding(node, name),
    ), name)


def policy_name(kind: Any) -> str:
    """Such as RELIABILITY."""
    return str(qos_policy_name_from_kind(kind)).removesuffix("_QOS_POLICY")


def _overriding(node: Node, topic: str) -> QoSOverridingOptions | None:
    given = getattr(node, "_parameter_overrides", {})
    wanted = any(name.startswith(f"qos_overrides.{topic}.") for name in given)
    return QoSOverridingOptions.with_default_policies() if wanted else None


def _told(make: Callable[[], EntityT], topic: str) -> EntityT:
    try:
        return make()
    except UnsupportedEventTypeError:
        raise
    except (RuntimeError, ParameterException) as error:
        raise UserError(f"{topic}: {' '.join(str(error).split())}; correct qos_overrides") from error


class TriggerServices:
    """Offers services below the node's own name until it is destroyed.

    actions: by name; each returns the line that tells what it did, or raises UserError.
    """

    def __init__(self, node: Node, actions: Mapping[str, Callable[[], str]]) -> None:
        self._node = node
        self._services = [
            node.create_service(Trigger, f"~/{name}", _answering(action)) for name, action in actions.items()
        ]

    def destroy(self) -> None:
        for service in self._services:
            self._node.destroy_service(service)


def _answering(action: Callable[[], str]) -> Callable[[Trigger.Request, Trigger.Response], Trigger.Response]:
    def answer(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        try:
            response.message, response.success = action(), True
        except UserError as error:
            response.message, response.success = str(error), False
        return response

    return answer
