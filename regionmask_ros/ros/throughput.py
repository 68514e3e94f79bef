"""Measures the node's throughput: a camera in this process, the node in another one, real topics between them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray, LabelInfo

from ..errors import UserError
from ..sources import Reading, open_source
from ..sources.image_message import stamp_ns
from .demo.children import Child
from .frame_stats import WINDOW_S
from .publishers import CAMERA, LATCHED, RESULTS, image_message
from .session import RosSession

IMAGE_WH, RATE_HZ = (640, 480), 60.0
CLIP_FRAMES = 150
"""The clip is played forth and back, so that motion continues. All frames are held in memory, a megabyte each."""

START_TIMEOUT_S, SETTLE_S = 180.0, 0.5
ANSWER_S = 3.0
"""Time until the last results and a report after them have come; the node reports once a second."""


@dataclass(frozen=True)
class Throughput:
    """What was measured. Counts are of the whole run, warm-up included. Times are p50 and p95 in milliseconds.

    The node's own times are the median p50 and the highest p95 of its reports that cover five seconds of the run; of a
    shorter run, those of its last report.

    Attributes:
        mask: The parameter ``mask_mode``.
        published: Images.
        seconds: The time of publishing.
        lost: Images that the node never received.
        dropped: Images that a newer one has overwritten.
        answered: Frames with results.
        answer_ms: From publishing an image to the arrival of its detections.
        node_ms: In the node, from the image's arrival to publishing its results.
        pipeline_ms: The pipeline's part of that.
    """

    mask: str
    published: int
    seconds: float
    lost: int
    dropped: int
    answered: int
    answer_ms: tuple[float, float]
    node_ms: tuple[float, float]
    pipeline_ms: tuple[float, float]

    @property
    def overhead_ms(self) -> float:
        """What the node adds to the pipeline, the difference of medians."""
        return self.node_ms[0] - self.pipeline_ms[0]

    def lines(self) -> list[str]:
        """Returns the result as text."""
        return [
            (f"{self.published} images of {IMAGE_WH[0]}x{IMAGE_WH[1]} in {self.seconds:.1f} s, mask {self.mask}: "
             f"{self.lost} lost on the way, {self.dropped} overwritten, {self.answered} answered"),
            f"publish to detections: p50 {self.answer_ms[0]:.1f} ms, p95 {self.answer_ms[1]:.1f} ms",
            f"in the node: p50 {self.node_ms[0]:.1f} ms, p95 of the worst five seconds {self.node_ms[1]:.1f} ms",
            f"the pipeline in it: p50 {self.pipeline_ms[0]:.1f} ms; the node adds {self.overhead_ms:.1f} ms",
        ]


@dataclass(frozen=True)
class Report:
    """The values of a node's diagnostics, and when they came, monotonic."""

    time_s: float
    values: Mapping[str, str]


class Camera(Node):
    """Publishes images on time and records when results come.

    Args:
        node_arguments: For ``rclpy.node.Node``.
    """

    def __init__(self, **node_arguments: Any) -> None:
        super().__init__("camera", **node_arguments)
        self.images = self.create_publisher(Image, "image", CAMERA)
        self.is_active = False
        self.answer_ms: list[float] = []
        self.reports: list[Report] = []
        self.create_subscription(LabelInfo, "label_info", self._on_labels, LATCHED)
        self.create_subscription(Detection2DArray, "detections", self._on_detections, RESULTS)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_report, RESULTS)

    def play(self, messages: Sequence[Image], seconds: float, check: Callable[[], None], rate_hz: float = RATE_HZ
             ) -> int:
        """Publishes the images forth and back.

        Args:
            messages: The images.
            seconds: How long.
            check: Called about once a second; may raise.
            rate_hz: Images per second.

        Returns:
            The number of published images.
        """
        order = [*range(len(messages)), *range(len(messages) - 2, 0, -1)]
        start_s, count = time.monotonic(), round(seconds * rate_hz)
        for index in range(count):
            time.sleep(max(0.0, start_s + index / rate_hz - time.monotonic()))
            self.publish(messages[order[index % len(order)]])
            if not index % max(1, round(rate_hz)):
                check()
        return count

    def publish(self, message: Image) -> None:
        """Publishes the image with the stamp of now."""
        message.header.stamp = self.get_clock().now().to_msg()
        self.images.publish(message)

    def wait_until_ready(self, node: Child) -> None:
        """Waits until the node is active and receives images.

        Args:
            node: Its process.

        Raises:
            UserError: The node has ended, or other programs use the ROS domain.
        """
        _wait(lambda: self.is_active and self.images.get_subscription_count(), node, START_TIMEOUT_S)
        time.sleep(SETTLE_S)
        if self.count_publishers("/detections") != 1 or self.count_publishers("/image") != 1:
            raise UserError("other programs use the ROS domain that was picked by chance: start it again")

    def wait_for_answers(self, node: Child) -> Mapping[str, str]:
        """Waits until the results of all images have come, and returns the values of a report after them."""
        reports = len(self.reports)
        time.sleep(ANSWER_S)
        _wait(lambda: len(self.reports) > reports + ANSWER_S - 1.0, node, START_TIMEOUT_S)
        return self.reports[-1].values

    def _on_labels(self, message: LabelInfo) -> None:
        self.is_active = True

    def _on_detections(self, message: Detection2DArray) -> None:
        self.answer_ms.append((self.get_clock().now().nanoseconds - stamp_ns(message.header.stamp)) / 1e6)

    def _on_report(self, message: DiagnosticArray) -> None:
        self.reports.append(Report(time.monotonic(), {pair.key: pair.value for pair in message.status[0].values}))


def measure_throughput(path: str, mask: str, seconds: float, environment: Mapping[str, str], log: Path,
                       reading: Reading | None = None) -> Throughput:
    """Runs the node on a clip.

    Args:
        path: The clip, as for ``open_source``.
        mask: The parameter ``mask_mode``.
        seconds: How long images are published.
        environment: The same ROS settings as this process's.
        log: File for the node's output.
        reading: How images of the clip are read; None: as by default.

    Returns:
        The measured counts and times.

    Raises:
        UserError: The node fails, or other programs use the ROS domain.
    """
    messages = clip_messages(path, reading)
    with Child("node", ["detector", "--ros-args", "-p", f"mask_mode:={mask}"], environment, log) as node, \
            RosSession() as session:
        camera = session.add(Camera)
        session.spin()
        camera.wait_until_ready(node)
        start_s = time.monotonic()
        published = camera.play(messages, seconds, node.check_running)
        elapsed_s, reports = time.monotonic() - start_s, len(camera.reports)
        last = camera.wait_for_answers(node)
        running = reports_in_window(camera.reports[:reports], start_s)
    received = int(last["frames received"])
    return Throughput(
        mask, published, elapsed_s, published - received, int(last["frames dropped (overwritten)"]),
        int(last["frames answered"]), _percentiles(camera.answer_ms), _read_times(running, "latency in node"),
        _read_times(running, "pipeline"))


def reports_in_window(reports: Sequence[Report], start_s: float) -> list[Mapping[str, str]]:
    """Selects the reports that cover WINDOW_S of the run: the 95th percentile of a few frames is the first one's time.

    Args:
        reports: In order.
        start_s: When the run began, monotonic.

    Returns:
        The values of these reports; of the last one if there is none.
    """
    whole = [report.values for report in reports if report.time_s >= start_s + WINDOW_S]
    return whole or [report.values for report in reports[-1:]]


def clip_messages(path: str, reading: Reading | None = None) -> list[Image]:
    """Returns the first frames of a sequence as messages of size IMAGE_WH."""
    with open_source(path, reading=reading) as source:
        images = [cv2.resize(frame.bgr(), IMAGE_WH) for frame in islice(source.frames(), CLIP_FRAMES)]
    return [image_message(pixels, "bgr8", Header(frame_id="camera")) for pixels in images]


def _read_times(reports: Sequence[Mapping[str, str]], what: str) -> tuple[float, float]:
    """Returns the median p50 and the highest p95 of the reports that have values."""
    p50, p95 = ([float(r[key]) for r in reports if r[key]] for key in (f"{what} p50 [ms]", f"{what} p95 [ms]"))
    if not p50:
        raise UserError("the node reported no times: let it run for longer, on a machine that is not busy")
    return float(np.median(p50)), max(p95)


def _percentiles(values: Sequence[float]) -> tuple[float, float]:
    if not values:
        raise UserError("the node has published no results")
    p50, p95 = np.percentile(values, (50, 95))
    return float(p50), float(p95)


def _wait(condition: Callable[[], object], node: Child, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        node.check_running()
        if time.monotonic() > deadline:
            raise UserError(f"the node was not ready within {timeout_s:.0f} s")
        time.sleep(0.05)
