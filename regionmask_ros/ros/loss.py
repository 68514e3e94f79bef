"""Pictures that the middleware lost on the way: it tells, where it can."""

from __future__ import annotations

from typing import Callable

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # Humble keeps them in a module of another name.
    from rclpy.qos_event import SubscriptionEventCallbacks


def watch_losses(tell: Callable[[int], None]) -> SubscriptionEventCallbacks:
    """Callbacks for a subscription that tell how many messages more were lost. Other events stay with rclpy's defaults."""
    return SubscriptionEventCallbacks(message_lost=lambda info: tell(info.total_count_change))
