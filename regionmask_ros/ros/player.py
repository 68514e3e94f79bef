"""Publishes the images of a source as a camera would: on time, best effort, stamped, raw or compressed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from builtin_interfaces.msg import Time
from rclpy.node import Node
from rclpy.publisher import Publisher
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from ..core.frame import Frame
from ..sources import Source
from ..sources.image_message import NANOSECONDS
from .publishers import CAMERA, RESULTS, image_message, jpeg_message, stamp_from_ns
from .stopping import StopRequest

SIMULATED_START_NS = 1_000_000_000
"""Added to stamps of sources that begin before it, as ROS takes a stamp of 0 for none. A bag's stamps are later."""

CLOCK_STEP_S = 0.01

MATCH_POLL_S = 0.05
SETTLE_S = 0.3
"""A subscriber is visible here before it sees the publisher, and until then it receives nothing."""


@dataclass(frozen=True)
class Pace:
    """How a source is played.

    Attributes:
        rate: Speed factor against the source's own stamps.
        simulated: Whether stamps and /clock follow the source's time.
        loop: Whether it starts again at the end, until a stop is requested; simulated time then jumps back.
    """

    rate: float
    simulated: bool
    loop: bool = False


@dataclass(frozen=True)
class PlaybackStats:
    """What was published.

    Attributes:
        frames: Number of frames.
        seconds: Since the start.
        stamp_ns: Stamp of the last frame in nanoseconds.
    """

    frames: int
    seconds: float
    stamp_ns: int = 0


class Player(Node):
    """Publishes images on one topic.

    Args:
        topic: The topic.
        simulated: Whether /clock is published, too.
        compressed: Whether images are sent as JPEG, on the topic that image_transport would choose.
        node_arguments: For ``rclpy.node.Node``.
    """

    def __init__(self, topic: str, simulated: bool, compressed: bool = False, **node_arguments: Any) -> None:
        super().__init__("player", **node_arguments)
        self._compress = compressed
        kind, name = Image, topic
        if compressed:
            kind, name = CompressedImage, f"{self.resolve_topic_name(topic)}/compressed"
        self._images = self.create_publisher(kind, name, CAMERA)
        self._clock_publisher: Publisher | None = self.create_publisher(Clock, "/clock", RESULTS) if simulated else None

    @property
    def topic(self) -> str:
        """The topic's full name, after remapping."""
        return self.resolve_topic_name(self._images.topic_name)

    def wait_for_subscriber(self, timeout_s: float, stop: StopRequest) -> bool:
        """Waits until there is a subscriber.

        Args:
            timeout_s: How long at most.
            stop: Ends the wait.

        Returns:
            Whether there is one.
        """
        deadline = time.monotonic() + timeout_s
        while not self._images.get_subscription_count():
            if time.monotonic() >= deadline or stop.wait(MATCH_POLL_S):
                return False
        stop.wait(SETTLE_S)
        return True

    def play(self, source: Source, pace: Pace, stop: StopRequest) -> Iterator[PlaybackStats]:
        """Publishes all frames.

        A frame's time counts from the first one, so that delays do not add up; a late frame is published at once.

        Args:
            source: Gives the frames.
            pace: How they are played.
            stop: Ends the playback early.

        Yields:
            What was published so far, after each frame.

        Raises:
            UserError: As the source raises it.
        """
        start_s = pass_s = time.monotonic()
        frames = 0
        while True:
            origin_ns, due_s = None, pass_s
            for frame in source.frames():
                origin_ns = frame.stamp_ns if origin_ns is None else origin_ns
                offset_ns = SIMULATED_START_NS if origin_ns < SIMULATED_START_NS else 0
                due_s = pass_s + (frame.stamp_ns - origin_ns) / 1e9 / pace.rate
                message = self._message(frame)
                if not self._wait_until(due_s, frame.stamp_ns + offset_ns, pace, stop):
                    return
                message.header.stamp = self._stamp(frame.stamp_ns + offset_ns)
                self._images.publish(message)
                frames += 1
                stamp = message.header.stamp
                yield PlaybackStats(frames, time.monotonic() - start_s, stamp.sec * NANOSECONDS + stamp.nanosec)
            if not pace.loop:
                return
            pass_s = max(due_s + 1.0 / source.fps / pace.rate, time.monotonic())

    def _message(self, frame: Frame) -> Image | CompressedImage:
        header = Header(frame_id=frame.frame_id)
        return jpeg_message(frame.bgr(), header) if self._compress else image_message(frame.bgr(), "bgr8", header)

    def _wait_until(self, due_s: float, stamp_ns: int, pace: Pace, stop: StopRequest) -> bool:
        """Sleeps while simulated time goes on. Returns False when a stop is requested."""
        while (left_s := due_s - time.monotonic()) > 0.0:
            self._publish_clock(max(0, stamp_ns - round(left_s * 1e9 * pace.rate)))
            if stop.wait(min(left_s, CLOCK_STEP_S) if self._clock_publisher else left_s):
                return False
        self._publish_clock(stamp_ns)
        return not stop.is_set()

    def _stamp(self, stamp_ns: int) -> Time:
        return stamp_from_ns(stamp_ns) if self._clock_publisher else self.get_clock().now().to_msg()

    def _publish_clock(self, now_ns: int) -> None:
        if self._clock_publisher:
            self._clock_publisher.publish(Clock(clock=stamp_from_ns(now_ns)))
