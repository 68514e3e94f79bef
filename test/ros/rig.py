"""A camera and a listener for tests of the node in this process, and the pictures that they send."""

from __future__ import annotations

import time
from collections import defaultdict

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.publisher import Publisher
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray

from regionmask_ros.ros.publishers import CAMERA, RESULTS, image_message, stamp_from_ns

SIZE_WH = (96, 64)
START_NS = 10**18
FRAME_NS = 40_000_000

MATCH_S = 0.15
"""Until a publisher and a subscriber that one side has seen have found each other both ways."""


class Peer(Node):
    """A camera and a listener. ``heard`` collects messages by topic."""

    def __init__(self, **node_arguments: object) -> None:
        super().__init__("peer", **node_arguments)
        self.heard: dict[str, list] = defaultdict(list)
        self.camera = self.open_camera()
        self.listen(Detection2DArray, "detections", RESULTS)
        self.listen(DiagnosticArray, "/diagnostics", RESULTS)

    def open_camera(self) -> Publisher:
        return self.create_publisher(Image, "image", CAMERA)

    def listen(self, kind: type, topic: str, qos):
        return self.create_subscription(kind, topic, lambda message: self.heard[topic].append(message), qos)

    def values(self) -> dict[str, str]:
        """Of the last diagnostics."""
        reports = self.heard["/diagnostics"]
        return {pair.key: pair.value for pair in reports[-1].status[0].values} if reports else {}

    def verdict(self) -> str:
        """The line of the last diagnostics."""
        reports = self.heard["/diagnostics"]
        return reports[-1].status[0].message if reports else ""


def picture(index: int, size_wh: tuple[int, int] = SIZE_WH) -> np.ndarray:
    """uint8 [h, w, 3]: still noise with a square that moves."""
    pixels = np.random.default_rng(4).integers(0, 256, (size_wh[1], size_wh[0], 3)).astype(np.uint8)
    pixels[20:40, 3 * index:3 * index + 20] = 250
    return pixels


def header(index: int, frame_id: str = "left_optical") -> Header:
    return Header(stamp=stamp_from_ns(START_NS + index * FRAME_NS), frame_id=frame_id)


def message(index: int) -> Image:
    return image_message(picture(index), "bgr8", header(index))


def send(peer: Peer, wait_for, messages) -> None:
    """One by one, each after the last one's answer."""
    for built in messages:
        before = len(peer.heard["detections"])
        peer.camera.publish(built)
        wait_for(lambda: len(peer.heard["detections"]) > before)


def watch(peer: Peer, wait_for, node: Node, topics: dict[str, type], qos) -> None:
    """Lets the peer listen to more topics of the node, and waits until each side knows."""
    for topic, kind in topics.items():
        peer.listen(kind, topic, qos)
        wait_for(lambda: node.count_subscribers(topic))
    time.sleep(MATCH_S)
