"""Detections that a node publishes, as lines of text or JSON."""

from __future__ import annotations

import json
from queue import Empty, Full, Queue
from typing import Any

from rclpy.node import Node
from vision_msgs.msg import Detection2D, Detection2DArray

from ..errors import to_one_line
from ..sources.image_message import stamp_ns
from .publishers import RESULTS

DETECTIONS = "vision_msgs/msg/Detection2DArray"

MAX_WAITING = 1000
"""Messages that wait while nobody reads the lines; more are dropped and counted."""


class DetectionQueue:
    """Receives detections in the session's thread, for another thread.

    Args:
        node: Gets the subscription.
        topic: Full name of the topic.

    Attributes:
        dropped: Number of messages for which there was no room.
    """

    def __init__(self, node: Node, topic: str) -> None:
        self._waiting: Queue[Detection2DArray] = Queue(MAX_WAITING)
        self.dropped = 0
        node.create_subscription(Detection2DArray, topic, self._take, RESULTS)

    def get(self, timeout_s: float) -> Detection2DArray | None:
        """The next message; None if none comes in time."""
        try:
            return self._waiting.get(timeout=timeout_s)
        except Empty:
            return None

    def _take(self, message: Detection2DArray) -> None:
        try:
            self._waiting.put_nowait(message)
        except Full:
            self.dropped += 1


def describe(message: Detection2DArray) -> dict[str, Any]:
    """The content of a message, with the names that ``detections.csv`` has.

    Args:
        message: The message.

    Returns:
        Values for JSON. x and y are the upper left corner, w and h the size, in pixels. ``track`` is null where objects
        are not tracked.
    """
    return {"stamp_ns": stamp_ns(message.header.stamp), "frame_id": message.header.frame_id,
            "detections": [_describe_one(found) for found in message.detections]}


def _describe_one(found: Detection2D) -> dict[str, Any]:
    best = max((result.hypothesis for result in found.results), key=lambda one: one.score, default=None)
    box, center = found.bbox, found.bbox.center.position
    return {"class": best.class_id if best else "", "score": round(best.score, 4) if best else 0.0,
            "x": round(center.x - box.size_x / 2, 2), "y": round(center.y - box.size_y / 2, 2),
            "w": round(box.size_x, 2), "h": round(box.size_y, 2), "track": found.id or None}


def format_json(message: Detection2DArray) -> str:
    """Writes a message as one line of JSON."""
    return json.dumps(describe(message))


def format_line(message: Detection2DArray) -> str:
    """Writes a message as one line for people: its stamp, and each object with class, track, score and box.

    Args:
        message: The message.

    Returns:
        Such as ``12.040000000  2: person 7 0.91 (10 20 32x64), car 0.45 (200 40 90x50)``.
    """
    content = describe(message)
    objects = [
        f"{to_one_line(one['class'], 100)}{' ' * bool(one['track'])}{to_one_line(one['track'] or '', 20)} "
        f"{one['score']:.2f} ({one['x']:.0f} {one['y']:.0f} {one['w']:.0f}x{one['h']:.0f})"
        for one in content["detections"]]
    seconds, nanoseconds = divmod(content["stamp_ns"], 10**9)
    return f"{seconds}.{nanoseconds:09d}  {len(objects)}{': ' * bool(objects)}{', '.join(objects)}"
