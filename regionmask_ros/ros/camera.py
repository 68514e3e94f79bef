"""The subscription to the camera: raw or compressed pictures, and what can be noticed about their way here."""

from __future__ import annotations

from typing import Callable, Union

from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image

from ..sources.image_message import stamp_ns
from .qos_events import subscribe
from .stamps import StampWatch
from .traffic import Traffic

Picture = Union[Image, CompressedImage]

LOG_EVERY_S = 5.0

DEPTH = 5
"""Only the newest picture is of use, but the slot behind the callback sees to that, and counts what it replaces. A
queue of one would lose pictures uncounted whenever this process gets no processor for the time of a frame.
"""

MESSAGES = {"raw": Image, "compressed": CompressedImage}
"""By image_transport."""


def picture_topic(node: Node, transport: str) -> str:
    """Full name of the topic that pictures come on, as image_transport would choose it."""
    image = node.resolve_topic_name("image")
    return image if transport == "raw" else node.resolve_topic_name(f"{image}/{transport}")


class CameraInput:
    """Takes pictures from now on until it is destroyed.

    put: called with each picture, in the executor's thread, and returns at once. traffic: is told of losses.
    """

    def __init__(
        self, node: Node, transport: str, reliability: str, put: Callable[[Picture], None], traffic: Traffic
    ) -> None:
        self._node, self._put, self._traffic = node, put, traffic
        self._watch = StampWatch()
        qos = QoSProfile(
            history=HistoryPolicy.KEEP_LAST, depth=DEPTH, reliability=ReliabilityPolicy[reliability.upper()]
        )
        topic = picture_topic(node, transport)
        self._subscription = subscribe(node, MESSAGES[transport], topic, self._take, qos, self._lost)

    @property
    def topic(self) -> str:
        return self._subscription.topic_name

    def destroy(self) -> None:
        self._node.destroy_subscription(self._subscription)

    def _take(self, message: Picture) -> None:
        news = self._watch.look(stamp_ns(message.header.stamp))
        if news.repeated:
            self._traffic.count(repeated=1)
        if news.warning:
            self._node.get_logger().warning(news.warning, throttle_duration_sec=LOG_EVERY_S)
        self._put(message)

    def _lost(self, more: int) -> None:
        self._traffic.count(lost=more)
        self._node.get_logger().warning(
            "pictures are lost on the way here: give the camera's process the DDS profile for pictures (see README)",
            once=True,
        )
