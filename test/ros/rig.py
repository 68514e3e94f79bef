"""A peer for tests of the node in this process: a camera and subscriptions, and the images that it publishes."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.publisher import Publisher
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray

from regionmask_ros.importing.opening import open_network
from regionmask_ros.ros.node import DetectorNode
from regionmask_ros.ros.publishers import CAMERA, RESULTS, image_message, stamp_from_ns
from regionmask_ros.ros.session import RosSession

SIZE_WH = (96, 64)
START_NS = 10**18
FRAME_NS = 40_000_000

HANG_S = 180.0
"""Only ends a test that hangs."""


def are_matched(*nodes: Node) -> bool:
    """Whether all publishers and subscriptions of these nodes on a common topic have found each other, in both ways."""
    publishers, subscriptions = defaultdict(list), defaultdict(list)
    for node in nodes:
        for publisher in node.publishers:
            publishers[publisher.topic_name].append(publisher)
        for subscription in node.subscriptions:
            subscriptions[subscription.topic_name].append(subscription)
    return all(
        publisher.get_subscription_count() >= len(subscriptions[topic])
        and subscription.get_publisher_count() >= len(publishers[topic])
        for topic in publishers.keys() & subscriptions.keys()
        for publisher in publishers[topic] for subscription in subscriptions[topic]
    )


def call(node: Node, action: Callable[[], Any]) -> Any:
    """Calls in the thread that runs the node's callbacks, where transitions belong; returns what the action returns."""
    done, results = threading.Event(), []

    def run() -> None:
        results.append(action())
        done.set()

    node.executor.create_task(run)
    assert done.wait(HANG_S)
    return results[0]


class Peer(Node):
    """A camera, and a subscriber that collects messages by topic in ``heard``."""

    def __init__(self, **node_arguments: object) -> None:
        super().__init__("peer", **node_arguments)
        self.heard: dict[str, list] = defaultdict(list)
        self.camera = self.open_camera()
        self.listen(Detection2DArray, "detections", RESULTS)
        self.listen(DiagnosticArray, "/diagnostics", RESULTS)

    def open_camera(self) -> Publisher:
        return self.create_publisher(Image, "image", CAMERA)

    def listen(self, kind: type, topic: str, qos):
        return self.create_subscription(kind, topic, self.heard[topic].append, qos)

    def values(self) -> dict[str, str]:
        """The values of the last diagnostics."""
        reports = self.heard["/diagnostics"]
        return {pair.key: pair.value for pair in reports[-1].status[0].values} if reports else {}

    def verdict(self) -> str:
        """The message of the last diagnostics."""
        reports = self.heard["/diagnostics"]
        return reports[-1].status[0].message if reports else ""


def make_image(index: int, size_wh: tuple[int, int] = SIZE_WH) -> np.ndarray:
    """uint8 [h, w, 3]: still noise with a square that moves."""
    pixels = np.random.default_rng(4).integers(0, 256, (size_wh[1], size_wh[0], 3)).astype(np.uint8)
    pixels[20:40, 3 * index:3 * index + 20] = 250
    return pixels


def header(index: int, frame_id: str = "left_optical") -> Header:
    return Header(stamp=stamp_from_ns(START_NS + index * FRAME_NS), frame_id=frame_id)


def message(index: int) -> Image:
    return image_message(make_image(index), "bgr8", header(index))


def add_node(session: RosSession, load: Callable[[str], Any] = open_network, **parameters: object) -> DetectorNode:
    """A node with these parameters, not started yet, whose network comes from ``load``."""
    overrides = [Parameter(name, value=value) for name, value in parameters.items()]
    return session.add(lambda **given: DetectorNode(load=load, parameter_overrides=overrides, **given))


def change(node: Node, **values: object) -> SetParametersResult:
    """Sets parameters as a whole."""
    return node.set_parameters_atomically([Parameter(name, value=value) for name, value in values.items()])


def call_service(peer: Node, wait_for, kind: Any, name: str, **fields: object) -> Any:
    """Calls a service of the node over ROS; returns its response."""
    client = peer.create_client(kind, f"/detector/{name}")
    assert client.wait_for_service(10.0)
    future = client.call_async(kind.Request(**fields))
    wait_for(future.done)
    return future.result()


def send(peer: Peer, wait_for, messages) -> None:
    """Publishes images one by one, each after the results of the one before."""
    for built in messages:
        before = len(peer.heard["detections"])
        peer.camera.publish(built)
        wait_for(lambda: len(peer.heard["detections"]) > before)


def watch(peer: Peer, wait_for, node: Node, topics: dict[str, type], qos) -> None:
    """Subscribes the peer to more topics of the node and waits until they are matched."""
    for topic, kind in topics.items():
        peer.listen(kind, topic, qos)
    wait_for(lambda: are_matched(node, peer))
