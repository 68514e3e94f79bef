"""Pictures of a source as a camera would publish them: on time, best effort, stamped, raw or compressed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from builtin_interfaces.msg import Time
from rclpy.node import Node
from rclpy.publisher import Publisher
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from ..core.frame import Frame
from ..sources import Source
from .publishers import CAMERA, RESULTS, image_message, jpeg_message, stamp_from_ns
from .session import StopRequest

SIMULATED_START_NS = 1_000_000_000
"""Where simulated time begins for sources whose stamps begin at 0, which ROS takes for no stamp at all.

A bag's stamps are later, and stay as they are.
"""

CLOCK_STEP_S = 0.01

MATCH_POLL_S = 0.05
SETTLE_S = 0.3
"""The subscriber is seen here before it sees us, and until then it hears nothing."""


@dataclass(frozen=True)
class Pace:
    """rate: how much faster than the source's own stamps. simulated: stamps and /clock follow the source's time.

    loop: from the beginning again, until a stop is requested; simulated time then jumps back.
    """

    rate: float
    simulated: bool
    loop: bool = False


@dataclass(frozen=True)
class PlaybackStats:
    """frames: published. seconds: from the first to the last of them."""

    frames: int
    seconds: float


class Player(Node):
    """Publishes on one topic; compressed: as JPEG, on the topic below it that image_transport would choose.

    ``context`` and the like go to the node.
    """

    def __init__(self, topic: str, simulated: bool, compressed: bool = False, **node_arguments: object) -> None:
        super().__init__("player", **node_arguments)
        self._compress = compressed
        kind, name = Image, topic
        if compressed:
            kind, name = CompressedImage, f"{self.resolve_topic_name(topic)}/compressed"
        self._pictures = self.create_publisher(kind, name, CAMERA)
        self._time_of_source: Publisher | None = self.create_publisher(Clock, "/clock", RESULTS) if simulated else None

    @property
    def topic(self) -> str:
        """The topic's full name, after remapping."""
        return self.resolve_topic_name(self._pictures.topic_name)

    def wait_for_subscriber(self, timeout_s: float, stop: StopRequest) -> bool:
        """Until somebody listens, at most so long. False when nobody does."""
        deadline = time.monotonic() + timeout_s
        while not self._pictures.get_subscription_count():
            if time.monotonic() >= deadline or stop.wait(MATCH_POLL_S):
                return False
        stop.wait(SETTLE_S)
        return True

    def play(self, source: Source, pace: Pace, stop: StopRequest) -> Iterator[PlaybackStats]:
        """Publishes all frames and yields after each. Ends early when a stop is requested.

        The moment of a frame is reckoned from the first one, so that lateness does not add up; a frame that is late
        goes out at once. Raises UserError as the source does.
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
                self._pictures.publish(message)
                frames += 1
                yield PlaybackStats(frames, time.monotonic() - start_s)
            if not pace.loop:
                return
            pass_s = max(due_s + 1.0 / source.fps / pace.rate, time.monotonic())

    def _message(self, frame: Frame) -> Image | CompressedImage:
        header = Header(frame_id=frame.frame_id)
        return jpeg_message(frame.bgr(), header) if self._compress else image_message(frame.bgr(), "bgr8", header)

    def _wait_until(self, due_s: float, stamp_ns: int, pace: Pace, stop: StopRequest) -> bool:
        """Sleeps, and keeps simulated time going meanwhile. False when a stop is requested."""
        while (left_s := due_s - time.monotonic()) > 0.0:
            if self._time_of_source:
                self._publish_clock(max(0, stamp_ns - round(left_s * 1e9 * pace.rate)))
            if stop.wait(min(left_s, CLOCK_STEP_S) if self._time_of_source else left_s):
                return False
        if self._time_of_source:
            self._publish_clock(stamp_ns)
        return not stop.is_set()

    def _stamp(self, stamp_ns: int) -> Time:
        return stamp_from_ns(stamp_ns) if self._time_of_source else self.get_clock().now().to_msg()

    def _publish_clock(self, now_ns: int) -> None:
        self._time_of_source.publish(Clock(clock=stamp_from_ns(now_ns)))
