"""A subscription that also hears of messages that the middleware lost on the way, where the middleware tells."""

from __future__ import annotations

from typing import Any, Callable

from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription

try:
    from rclpy.event_handler import SubscriptionEventCallbacks, UnsupportedEventTypeError
except ImportError:  # Humble keeps them in a module of another name.
    from rclpy.qos_event import SubscriptionEventCallbacks, UnsupportedEventTypeError


def subscribe(
    node: Node, message_class: type, topic: str, take: Callable[[Any], None], qos: QoSProfile,
    lost: Callable[[int], None],
) -> Subscription:
    """Like Node.create_subscription. ``lost`` is told how many messages more were lost."""
    events = SubscriptionEventCallbacks(message_lost=lambda status: lost(status.total_count_change))
    try:
        return node.create_subscription(message_class, topic, take, qos, event_callbacks=events)
    except UnsupportedEventTypeError:
        return node.create_subscription(message_class, topic, take, qos)
