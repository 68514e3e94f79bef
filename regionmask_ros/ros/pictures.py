"""The newest image of one topic at a time, as a JPEG or PNG file, while somebody looks at it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image

from ..errors import UserError
from ..sources.image_message import decode_image
from .publishers import CAMERA, jpeg_message

IDLE_S = 3.0
"""After so long without a question, nothing is subscribed to any more: the node makes some images only for that."""

KINDS = {"sensor_msgs/msg/Image": Image, "sensor_msgs/msg/CompressedImage": CompressedImage}


@dataclass(frozen=True)
class Picture:
    """An image file.

    Attributes:
        number: Counts the images that have come, of all topics.
        content: The file.
        kind: Its media type.
    """

    number: int
    content: bytes
    kind: str


class PictureFeed:
    """Subscribes to the topic that was asked for last. For one thread that runs callbacks, and any number that ask.

    Args:
        node: Gets the subscription.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._changed = threading.Condition()
        self._subscription: Any = None
        self._wanted, self._subscribed = ("", ""), ("", "")
        self._asked_s, self._number = 0.0, 0
        self._message: Any = None
        # Subscriptions are made and destroyed in the thread of the callbacks.
        self._timer = node.create_timer(0.05, self._follow, clock=Clock(clock_type=ClockType.STEADY_TIME))

    @property
    def topic(self) -> str:
        """Full name of the topic that is subscribed to; empty for none."""
        return self._subscribed[0]

    def wait(self, topic: str, kind: str, after: int, timeout_s: float) -> Picture | None:
        """Waits for an image that is newer than another one.

        Args:
            topic: Full name of the topic.
            kind: Full name of its type.
            after: Number of the other one.
            timeout_s: How long at most.

        Returns:
            The image; None if none has come.

        Raises:
            UserError: It is no image that can be read.
        """
        deadline_s = time.monotonic() + timeout_s
        with self._changed:
            if self._wanted != (topic, kind):
                self._wanted, self._message = (topic, kind), None
            while True:
                self._asked_s = time.monotonic()
                is_new = self._message is not None and self._number > after and self._subscribed == (topic, kind)
                if is_new or self._asked_s >= deadline_s or self._wanted != (topic, kind):
                    break
                self._changed.wait(min(deadline_s - self._asked_s, IDLE_S / 3))
            message, number = (self._message, self._number) if is_new else (None, 0)
        return None if message is None else Picture(number, *_make_file(message))

    def _follow(self) -> None:
        with self._changed:
            wanted = self._wanted if time.monotonic() - self._asked_s < IDLE_S else ("", "")
            if wanted == self._subscribed:
                return
            if self._subscription is not None:
                self._node.destroy_subscription(self._subscription)
                self._subscription = None
            topic, kind = self._subscribed = wanted
            if topic:
                take = self._make_taker(wanted)
                self._subscription = self._node.create_subscription(KINDS[kind], topic, take, CAMERA)

    def _make_taker(self, subscribed: tuple[str, str]) -> Callable[[Any], None]:
        def take(message: Any) -> None:
            with self._changed:
                # One that was on its way when the topic changed is not shown as the other's.
                if subscribed == self._wanted:
                    self._message, self._number = message, self._number + 1
                    self._changed.notify_all()

        return take


def _make_file(message: Any) -> tuple[bytes, str]:
    if isinstance(message, Image):
        return bytes(jpeg_message(decode_image(message).bgr(), message.header).data), "image/jpeg"
    content = bytes(message.data)
    for start, kind in ((b"\xff\xd8", "image/jpeg"), (b"\x89PNG", "image/png")):
        if content.startswith(start):
            return content, kind
    raise UserError("the image is neither JPEG nor PNG")
