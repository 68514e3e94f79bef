"""Overload: a camera sends images to the node at three times the rate at which this machine can answer them.

The node runs in a process of its own, as ``detector`` starts it. This process is the camera, and hears the answers.
First the images are sent one by one, each after the answer to the one before: the mean time from an image's stamp to
its answer is the frame time of what the machine can do. Then they are sent at three times that rate, whatever comes
back. A robot is served if what it gets is new, and if every image is accounted for.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray

from regionmask_ros.lab.bench.scaling import ping_pong_index
from regionmask_ros.ros.demo.children import Child
from regionmask_ros.ros.diagnostics import DROPS, UNKNOWN
from regionmask_ros.ros.session import RosSession
from regionmask_ros.ros.throughput import Camera, clip_messages
from regionmask_ros.sources.image_message import stamp_ns

from .table import Line, judge_memory

TIMES = 3
"""Times as many images as the machine can answer."""

REACHED = 0.9
"""The share of that rate that the camera must have reached; on a busy machine it is late itself."""

ONE_BY_ONE = 400
ANSWER_S = 2.0
FRAME_TIMES = 4.0
MEMORY_PERCENT = 5.0
WARM_SHARE = 0.1
"""Memory is first taken after this share of the time."""

SAY_S = 30.0


class OverloadCamera(Camera):
    """Notes the stamps of the answers, too.

    Args:
        node_arguments: For ``rclpy.node.Node``.
    """

    def __init__(self, **node_arguments: Any) -> None:
        self.stamps: list[int] = []
        self.has_answer = threading.Event()
        super().__init__(**node_arguments)

    def measure_frame_s(self, messages: Sequence[Image], count: int, node: Child) -> float:
        """Sends images one by one.

        Args:
            messages: The images. As many are left out as are later dropped, so that motion is the same.
            count: How many are sent; the first quarter is the warm-up.
            node: The node's process.

        Returns:
            The mean time from stamp to answer, in seconds.
        """
        for number in range(count):
            self.has_answer.clear()
            self.publish(messages[ping_pong_index(TIMES * number, len(messages))])
            self.has_answer.wait(ANSWER_S)
            node.check_running()
        return float(np.mean(self.answer_ms[len(self.answer_ms) // 4:])) / 1e3

    def _on_detections(self, message: Detection2DArray) -> None:
        super()._on_detections(message)
        self.stamps.append(stamp_ns(message.header.stamp))
        self.has_answer.set()


@dataclass(frozen=True)
class Account:
    """What has become of the published images.

    Attributes:
        published: By the camera.
        heard: Answers that have come back to the camera.
        report: The values of the node's diagnostics at the end.
    """

    published: int
    heard: int
    report: Mapping[str, str]

    def lines(self) -> list[Line]:
        """The lines of the table: the numbers of the camera, then those of the node, and whether they add up."""
        received, answered = self._count("frames received"), self._count("frames answered")
        overwritten, broken = self._count("frames dropped (overwritten)"), self._count("frames dropped (broken)")
        lost = self.published - received
        reported = self._before_node("reported")
        return [
            Line("images published", f"{self.published:,}"),
            Line("lost before the node, in DDS", f"{lost:,} ({_percent(lost, self.published)})", "not negative",
                 lost >= 0),
            Line("    reported by DDS", reported),
            Line("    estimated by the node from the camera's rate", self._before_node("estimated")),
            Line("received by the node", f"{received:,}", "answered + dropped + 0 in flight",
                 received == answered + overwritten + broken and self.report["frames in flight"] == "0"),
            Line("    answered", f"{answered:,}"),
            Line("    dropped: a newer image came", f"{overwritten:,}"),
            Line("    dropped: broken", f"{broken:,}", "0", not broken),
            *(Line(f"        {name}", self.report[f"frames dropped (broken): {name}"]) for name in DROPS.values()
              if broken),
            Line("answers lost after the node, in DDS", f"{answered - self.heard:,}", "not negative",
                 answered >= self.heard),
        ]

    def _count(self, key: str) -> int:
        return int(self.report[key])

    def _before_node(self, kind: str) -> str:
        value = self.report[f"frames lost before the node ({kind})"]
        return value if value == UNKNOWN else f"{int(value):,}"


def run_overload(video: str, seconds: float, say: Callable[[str], object], one_by_one: int = ONE_BY_ONE
                 ) -> list[Line]:
    """Overloads the node.

    Args:
        video: The clip that the camera shows, forth and back.
        seconds: How long.
        say: Called with a line about the progress now and then.
        one_by_one: Number of images that are sent one by one before.

    Returns:
        The lines of the table.

    Raises:
        UserError: The node ends, or other programs use the ROS domain.
    """
    messages = clip_messages(video)
    with tempfile.TemporaryDirectory(prefix="regionmask_ros_soak_") as folder:
        environment = {**os.environ, "ROS_LOG_DIR": folder}
        with Child("node", ["detector"], environment, Path(folder, "node.log")) as node, RosSession() as session:
            camera = session.add(OverloadCamera)
            session.spin()
            camera.wait_until_ready(node)
            return _run(camera, messages, node, seconds, say, one_by_one)


def _run(camera: OverloadCamera, messages: Sequence[Image], node: Child, seconds: float,
         say: Callable[[str], object], one_by_one: int) -> list[Line]:
    frame_s = camera.measure_frame_s(messages, one_by_one, node)
    rate_hz = TIMES / frame_s
    say(f"one by one, an image takes {1e3 * frame_s:.1f} ms from stamp to answer; now {rate_hz:.0f} images a second")
    first, begin_s, memory, said_s = len(camera.stamps), time.monotonic(), list[int](), 0.0

    def check() -> None:
        nonlocal said_s
        node.check_running()
        now_s = time.monotonic() - begin_s
        if not memory and now_s >= WARM_SHARE * seconds:
            memory.append(process_bytes(node.pid))
        if now_s - said_s >= SAY_S:
            said_s = now_s
            say(f"{now_s:.0f} s: {len(camera.stamps) - first:,} answers, {process_bytes(node.pid) / 1e6:.0f} MB")

    published = camera.play(messages, seconds, check, rate_hz)
    spent_s = time.monotonic() - begin_s
    memory.append(process_bytes(node.pid))
    report = camera.wait_for_answers(node)
    account = Account(one_by_one + published, len(camera.stamps), report)
    late_ms = float(np.percentile(camera.answer_ms[first:], 99))
    rate, in_order = published / spent_s * frame_s, bool(np.all(np.diff(camera.stamps) > 0))
    return [
        Line("frame time, one by one", f"{1e3 * frame_s:.1f} ms"),
        Line("images a second", f"{published / spent_s:.0f} for {spent_s:.0f} s, {rate:.2f} times what can be answered",
             f"{REACHED * TIMES:g} times at least", rate >= REACHED * TIMES),
        *account.lines(),
        Line("newest first", f"{len(camera.stamps):,} answers", "each newer than the one before", in_order),
        Line("latency, stamp to answer, p50", f"{np.percentile(camera.answer_ms[first:], 50):.1f} ms"),
        Line("latency, stamp to answer, p99", f"{late_ms:.1f} ms, {late_ms / 1e3 / frame_s:.2f} frame times",
             f"below {FRAME_TIMES:g} frame times", late_ms / 1e3 < FRAME_TIMES * frame_s),
        judge_memory(memory[0], memory[-1], MEMORY_PERCENT),
    ]


def process_bytes(pid: int) -> int:
    """The resident memory of a process; 0 where the system does not report it."""
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _percent(part: int, whole: int) -> str:
    return f"{100.0 * part / max(whole, 1):.1f} %"
