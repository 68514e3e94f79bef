"""A detector's topics for Foxglove, by its own WebSocket protocol: no bridge is needed."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from ..errors import UserError
from ..web.server import ADDRESS
from .client import NodeTopic
from .recorder import make_typestore

if TYPE_CHECKING:
    import foxglove

DEFAULT_PORT = 8765
"""The one that Foxglove proposes."""

DEPTH = 5
BACKLOG = 16
"""Messages that wait for a slow viewer; then the oldest ones are dropped. An image may have megabytes."""

LOOK_S = 0.1
"""How often is looked whether somebody has subscribed."""

ROS2 = 2
"""Version of ROS in whose form rosbags writes a definition."""


@dataclass
class _Served:
    """A topic with its channel, and its subscription while a viewer has one."""

    topic: NodeTopic
    message_class: type
    channel: foxglove.Channel
    subscription: Any = None


class FoxgloveServer:
    """Serves topics until it is closed. It gives, and takes nothing: no parameters, services or messages.

    A topic is subscribed to while a viewer shows it: the node makes some images only for that.

    Args:
        node: Gets subscriptions; its session spins.
        topics: The topics. Those with types that are not installed are left out.
        port: The port on 127.0.0.1.

    Raises:
        UserError: The library is missing, or the port cannot be used.
    """

    def __init__(self, node: Node, topics: tuple[NodeTopic, ...], port: int) -> None:
        library = _library()
        # The library forgets all channels with the context, so that it is kept.
        self._node, self._context = node, library.Context()
        self._served = [served for topic in topics if (served := _make_channel(library, self._context, topic))]
        try:
            self._server = library.start_server(name="regionmask_ros", host=ADDRESS, port=port, context=self._context,
                                                message_backlog_size=BACKLOG)
        except RuntimeError as error:
            raise UserError(f"port {port} on {ADDRESS}: {error}; choose another one with --port") from None
        # Subscriptions are made and destroyed in the thread of the callbacks.
        self._timer = node.create_timer(LOOK_S, self._follow, clock=Clock(clock_type=ClockType.STEADY_TIME))

    @property
    def address(self) -> str:
        """What Foxglove connects to."""
        return f"ws://{ADDRESS}:{self._server.port}"

    def close(self) -> None:
        """Ends the server. The node keeps the subscriptions until it is destroyed."""
        self._timer.cancel()
        self._server.stop()

    def _follow(self) -> None:
        for served in self._served:
            is_wanted = served.channel.has_sinks()
            if is_wanted and served.subscription is None:
                served.subscription = self._node.create_subscription(
                    served.message_class, served.topic.topic, served.channel.log, _qos(served.topic), raw=True)
            elif not is_wanted and served.subscription is not None:
                self._node.destroy_subscription(served.subscription)
                served.subscription = None


def _library() -> Any:
    try:
        import foxglove
    except ImportError as error:
        fix = "run 'make foxglove-setup', or: pip install 'foxglove-sdk>=0.30'"
        raise UserError(f"--foxglove needs foxglove-sdk, which cannot be imported ({error}): {fix}") from None
    return foxglove


def _make_channel(library: Any, context: foxglove.Context, topic: NodeTopic) -> _Served | None:
    package, _, name = topic.kind.partition("/msg/")
    try:
        message_class = getattr(importlib.import_module(f"{package}.msg"), name)
    except (ImportError, AttributeError):
        return None
    definition, _ = make_typestore(message_class).generate_msgdef(topic.kind, ros_version=ROS2)
    schema = library.Schema(name=topic.kind, encoding="ros2msg", data=definition.encode())
    channel = library.Channel(topic.topic, schema=schema, message_encoding="cdr", context=context)
    return _Served(topic, message_class, channel)


def _qos(topic: NodeTopic) -> QoSProfile:
    """What is offered; best effort for an input, whose publisher is not known."""
    is_reliable = topic.is_output and topic.reliability == "reliable"
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST, depth=DEPTH,
        reliability=ReliabilityPolicy.RELIABLE if is_reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if topic.is_output and topic.is_latched else
        DurabilityPolicy.VOLATILE)
