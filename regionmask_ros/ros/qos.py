"""Publishers and subscriptions whose QoS parameters can override, and which log why they receive nothing.

The parameters are ROS's own, such as ``qos_overrides.<topic>.subscription.reliability``. Only those that the user has
set are declared, to keep the list of parameters short.

Services of type std_srvs/Trigger: each answers with success and one line for people.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from rclpy.exceptions import ParameterException
from rclpy.lifecycle import LifecycleNode, LifecyclePublisher
from rclpy.node import Node
from rclpy.qos import QoSProfile, qos_policy_name_from_kind
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription
from std_srvs.srv import Trigger

from ..errors import UserError, to_one_line

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks, UnsupportedEventTypeError
except ImportError:  # Humble keeps them in a module of another name.
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks, UnsupportedEventTypeError

EntityT = TypeVar("EntityT")

FIXES = {
    "RELIABILITY": "set the parameter image_reliability to best_effort, or make the publisher reliable",
    "DURABILITY": "make the publisher transient local, or remove the override of durability",
}
"""By policy: what makes a subscription to images compatible with a publisher."""


def subscribe(node: Node, message_class: type, topic: str, receive: Callable[[Any], None], qos: QoSProfile,
              count_lost: Callable[[int], None]) -> Subscription:
    """Like Node.create_subscription, with overridable QoS.

    Args:
        node: Gets the subscription.
        message_class: Type of the messages.
        topic: Its name may be relative.
        receive: Called with each message.
        qos: QoS without overrides.
        count_lost: Called with the number of messages that were lost; with 0 at once if the middleware reports any.

    Returns:
        The subscription.

    Raises:
        UserError: An override is invalid.
    """
    def warn_incompatible(event: Any) -> None:
        policy = policy_name(event.last_policy_kind)
        fix = FIXES.get(policy, "compare both ends with: ros2 topic info -v")
        node.get_logger().warning(f"a publisher on {name} offers another {policy.lower()} than is requested: {fix}")

    name = node.resolve_topic_name(topic)

    def make(**events: Any) -> Subscription:
        callbacks = SubscriptionEventCallbacks(incompatible_qos=warn_incompatible, **events)
        return node.create_subscription(message_class, topic, receive, copy.copy(qos), event_callbacks=callbacks,
                                        qos_overriding_options=_overriding_options(node, name))

    try:
        made = _name_topic(lambda: make(message_lost=lambda status: count_lost(status.total_count_change)), name)
        count_lost(0)
        return made
    except UnsupportedEventTypeError:
        return make()


def advertise(node: LifecycleNode, message_class: type, topic: str, qos: QoSProfile) -> LifecyclePublisher:
    """Like LifecycleNode.create_lifecycle_publisher, with overridable QoS.

    Args:
        node: Gets the publisher.
        message_class: Type of the messages.
        topic: Its name may be relative.
        qos: QoS without overrides.

    Returns:
        The publisher.

    Raises:
        UserError: An override is invalid.
    """
    def warn_incompatible(event: Any) -> None:
        policy = policy_name(event.last_policy_kind).lower()
        node.get_logger().warning(
            f"a subscriber of {name} requests another {policy} than is offered and receives nothing: "
            "let it request less (best effort, volatile)")

    name = node.resolve_topic_name(topic)
    callbacks = PublisherEventCallbacks(incompatible_qos=warn_incompatible)
    return _name_topic(lambda: node.create_lifecycle_publisher(
        message_class, topic, copy.copy(qos), event_callbacks=callbacks,
        qos_overriding_options=_overriding_options(node, name)), name)


def policy_name(kind: Any) -> str:
    """Returns the name of a QoS policy, such as RELIABILITY."""
    return str(qos_policy_name_from_kind(kind)).removesuffix("_QOS_POLICY")


def _overriding_options(node: Node, topic: str) -> QoSOverridingOptions | None:
    overrides = getattr(node, "_parameter_overrides", {})
    is_wanted = any(name.startswith(f"qos_overrides.{topic}.") for name in overrides)
    return QoSOverridingOptions.with_default_policies() if is_wanted else None


def _name_topic(make: Callable[[], EntityT], topic: str) -> EntityT:
    try:
        return make()
    except UnsupportedEventTypeError:
        raise
    except (RuntimeError, ParameterException) as error:
        raise UserError(f"{topic}: {' '.join(str(error).split())}; correct qos_overrides") from error


class TriggerServices:
    """Offers services below the node's own name until it is destroyed.

    Args:
        node: Gets the services.
        actions: By name; each returns a line that says what it did, or raises UserError.
    """

    def __init__(self, node: Node, actions: Mapping[str, Callable[[], str]]) -> None:
        self._node = node
        self._services = [
            node.create_service(Trigger, f"~/{name}", _make_handler(action)) for name, action in actions.items()]

    def destroy(self) -> None:
        """Ends the services."""
        for service in self._services:
            self._node.destroy_service(service)


def _make_handler(action: Callable[[], str]) -> Callable[[Trigger.Request, Trigger.Response], Trigger.Response]:
    def handle(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        try:
            response.message, response.success = action(), True
        except UserError as error:
            response.message, response.success = to_one_line(str(error)), False
        return response

    return handle
