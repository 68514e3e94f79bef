"""How fast pictures get through the node: a camera here, the node in a process of its own, real topics between them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray, LabelInfo

from ..errors import UserError
from ..sources import open_source
from ..sources.image_message import stamp_ns
from .demo.children import Child
from .frame_stats import WINDOW_S
from .publishers import CAMERA, LATCHED, RESULTS, image_message
from .session import RosSession

IMAGE_WH, RATE_HZ = (640, 480), 60.0
CLIP_FRAMES = 150
"""Played forth and back, so that motion goes on. All of them are held in memory, a megabyte each."""

START_TIMEOUT_S, SETTLE_S = 180.0, 0.5
ANSWER_S = 3.0
"""Until the last answer and a report after it have come; the node reports once a second."""


@dataclass(frozen=True)
class Throughput:
    """What was measured. Counts are of the whole run, warm-up included; times are in milliseconds.

    lost: published and never received by the node. dropped: received, and overwritten by a newer picture.
    answer_ms: from publishing to the detections' arrival, (p50, p95). node_ms: from a picture's arrival in the node to
    its answer's publishing, pipeline_ms: what of that the pipeline took; (p50, p95) both, the median and the worst of
    the node's own reports that cover five seconds of the run. (Of a shorter run: of the last one.)
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
        """What the node adds to the pipeline, between medians."""
        return self.node_ms[0] - self.pipeline_ms[0]

    def lines(self) -> list[str]:
        """For people."""
        return [
            f"{self.published} pictures of {IMAGE_WH[0]}x{IMAGE_WH[1]} in {self.seconds:.1f} s, mask {self.mask}: "
            f"{self.lost} lost on the way, {self.dropped} overwritten, {self.answered} answered",
            f"publish to detections: p50 {self.answer_ms[0]:.1f} ms, p95 {self.answer_ms[1]:.1f} ms",
            f"in the node: p50 {self.node_ms[0]:.1f} ms, p95 of the worst five seconds {self.node_ms[1]:.1f} ms",
            f"the pipeline in it: p50 {self.pipeline_ms[0]:.1f} ms; the node adds {self.overhead_ms:.1f} ms",
        ]


@dataclass(frozen=True)
class Report:
    """What the node said about itself. time_s: monotonic, when it came."""

    time_s: float
    values: Mapping[str, str]


class Camera(Node):
    """Publishes on time, and notes when answers come."""

    def __init__(self, **node_arguments: object) -> None:
        super().__init__("camera", **node_arguments)
        self.pictures = self.create_publisher(Image, "image", CAMERA)
        self.is_active = False
        self.answer_ms: list[float] = []
        self.reports: list[Report] = []
        self.create_subscription(LabelInfo, "label_info", self._on_labels, LATCHED)
        self.create_subscription(Detection2DArray, "detections", self._on_detections, RESULTS)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_report, RESULTS)

    def play(self, messages: Sequence[Image], seconds: float, check: Callable[[], None]) -> int:
        """Publishes the pictures forth and back at RATE_HZ. Returns their number; ``check`` may raise between them."""
        order = [*range(len(messages)), *range(len(messages) - 2, 0, -1)]
        start_s, count = time.monotonic(), round(seconds * RATE_HZ)
        for index in range(count):
            message = messages[order[index % len(order)]]
            time.sleep(max(0.0, start_s + index / RATE_HZ - time.monotonic()))
            message.header.stamp = self.get_clock().now().to_msg()
            self.pictures.publish(message)
            if not index % round(RATE_HZ):
                check()
        return count

    def _on_labels(self, message: LabelInfo) -> None:
        self.is_active = True

    def _on_detections(self, message: Detection2DArray) -> None:
        self.answer_ms.append((self.get_clock().now().nanoseconds - stamp_ns(message.header.stamp)) / 1e6)

    def _on_report(self, message: DiagnosticArray) -> None:
        self.reports.append(Report(time.monotonic(), {pair.key: pair.value for pair in message.status[0].values}))


def measure_throughput(
    path: str, mask: str, seconds: float, environment: Mapping[str, str], log: Path
) -> Throughput:
    """Runs the node on a clip for that long. environment: as this process's own, so that both meet.

    log: file for what the node says. Raises UserError when the node fails.
    """
    messages = clip_messages(path)
    with Child("node", ["detector", "--ros-args", "-p", f"mask_mode:={mask}"], environment, log) as node, \
            RosSession() as session:
        camera = session.add(Camera)
        session.spin()
        _wait(lambda: camera.is_active and camera.pictures.get_subscription_count(), node, START_TIMEOUT_S)
        time.sleep(SETTLE_S)
        if camera.count_publishers("/detections") != 1 or camera.count_publishers("/image") != 1:
            raise UserError("other programs use the ROS domain that was picked by chance: start it again")
        start_s = time.monotonic()
        published = camera.play(messages, seconds, node.check_running)
        elapsed_s, told = time.monotonic() - start_s, len(camera.reports)
        time.sleep(ANSWER_S)
        _wait(lambda: len(camera.reports) > told + ANSWER_S - 1.0, node, START_TIMEOUT_S)
        last, running = camera.reports[-1].values, reports_in_window(camera.reports[:told], start_s)
    received = int(last["frames received"])
    return Throughput(
        mask, published, elapsed_s, published - received, int(last["frames dropped (overwritten)"]),
        int(last["frames answered"]), _percentiles(camera.answer_ms), _reported(running, "latency in node"),
        _reported(running, "pipeline"),
    )


def reports_in_window(reports: Sequence[Report], start_s: float) -> list[Mapping[str, str]]:
    """Those that look back upon WINDOW_S of the run, or the last one: the 95th percentile of the first few frames would
    be the time of the first.
    """
    whole = [report.values for report in reports if report.time_s >= start_s + WINDOW_S]
    return whole or [report.values for report in reports[-1:]]


def clip_messages(path: str) -> list[Image]:
    """The first frames of a sequence as pictures of PICTURE_WH."""
    with open_source(path) as source:
        images = [cv2.resize(frame.bgr(), IMAGE_WH) for frame in islice(source.frames(), CLIP_FRAMES)]
    return [image_message(pixels, "bgr8", Header(frame_id="camera")) for pixels in images]


def _reported(reports: Sequence[Mapping[str, str]], what: str) -> tuple[float, float]:
    """The median of p50 and the worst p95 of those reports that have values."""
    p50, p95 = ([float(r[key]) for r in reports if r[key]] for key in (f"{what} p50 [ms]", f"{what} p95 [ms]"))
    if not p50:
        raise UserError("the node reported no times: let it run for longer, on a machine that is not busy")
    return float(np.median(p50)), max(p95)


def _percentiles(values: Sequence[float]) -> tuple[float, float]:
    if not values:
        raise UserError("the node answered nothing")
    p50, p95 = np.percentile(values, (50, 95))
    return float(p50), float(p95)


def _wait(condition: Callable[[], object], node: Child, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        node.check_running()
        if time.monotonic() > deadline:
            raise UserError(f"the node was not ready within {timeout_s:.0f} s")
        time.sleep(0.05)
