"""The detector's program in a process of its own: how it is driven over ROS, and how much it holds."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray

from regionmask_ros.ros.publishers import CAMERA, RESULTS, image_message, stamp_from_ns

ROOT = Path(__file__).resolve().parents[1]
LONGEST_WAIT_S = 120.0
RESEND_S = 1.0
"""A new best-effort subscription may miss an image."""
FRAME_NS = 40_000_000

CONFIGURE, ACTIVATE = Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE
DEACTIVATE, CLEANUP = Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP


@dataclass(frozen=True)
class Usage:
    """What a process holds at one moment.

    Attributes:
        resident: Bytes of memory.
        proportional: The same, with shared pages divided by the number of processes that share them.
        threads: Number of threads.
        descriptors: Number of open files and sockets.
        mappings: Number of areas of memory.
    """

    resident: int
    proportional: int
    threads: int
    descriptors: int
    mappings: int


def measure(pid: int) -> Usage:
    """Reads from /proc what a process holds."""
    folder = Path("/proc", str(pid))
    rows = [line.split() for line in (folder / "smaps_rollup").read_text().splitlines()[1:]]
    sizes = {row[0]: int(row[1]) * 1024 for row in rows}
    return Usage(sizes["Rss:"], sizes["Pss:"], len(os.listdir(folder / "task")), len(os.listdir(folder / "fd")),
                 len((folder / "maps").read_text().splitlines()))


def start_detector(arguments: Sequence[str], parameters: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Starts the program, not configured.

    Args:
        arguments: Of the command detector.
        parameters: Of the node, as on a command line.
        log: Gets what it prints.

    Returns:
        The process.
    """
    given = {"autostart": "false", **parameters}
    words = [word for name, value in given.items() for word in ("-p", f"{name}:={value}")]
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    with log.open("wb") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "regionmask_ros", "detector", *arguments, "--ros-args", *words], stdout=file,
            stderr=file, stdin=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": path})


class Driver(Node):
    """A camera, and the manager of the detector that belongs to it.

    Args:
        camera: Its namespace; empty for none.
        size_wh: Width and height of its images.
        node_arguments: For ``rclpy.node.Node``.
    """

    def __init__(self, camera: str = "", size_wh: tuple[int, int] = (640, 480), **node_arguments: Any) -> None:
        super().__init__("driver", namespace=camera, **node_arguments)
        self._still = np.random.default_rng(1).integers(0, 120, (size_wh[1], size_wh[0], 3)).astype(np.uint8)
        self._sent, self._answered, self._changed = 0, 0, threading.Condition()
        self._publisher = self.create_publisher(Image, "image", CAMERA)
        self._detections = self.create_subscription(Detection2DArray, "detections", self._note, RESULTS)
        self._openings: list[str] = []
        self.create_subscription(DiagnosticArray, "/diagnostics", self._note_opening, RESULTS)
        self._change: Any = self.create_client(ChangeState, "detector/change_state")
        self._set: Any = self.create_client(SetParametersAtomically, "detector/set_parameters_atomically")

    def _note(self, message: Detection2DArray) -> None:
        stamp = message.header.stamp
        with self._changed:
            self._answered = max(self._answered, stamp.sec * 10**9 + stamp.nanosec)
            self._changed.notify_all()

    def _note_opening(self, message: DiagnosticArray) -> None:
        values = {pair.key: pair.value for pair in message.status[0].values}
        with self._changed:
            self._openings.append(values["backend that is being opened"])
            self._changed.notify_all()

    def wait_until_backend_is_open(self) -> None:
        """Waits for two reports in which no backend is being opened: the former one is closed by then, too."""
        with self._changed:
            self._openings.clear()
            if not self._changed.wait_for(lambda: self._openings[-2:] == ["", ""], LONGEST_WAIT_S):
                raise TimeoutError("a backend does not open")

    def wait_until_ready(self) -> None:
        """Waits for the detector's services."""
        for client in (self._change, self._set):
            if not client.wait_for_service(LONGEST_WAIT_S):
                raise TimeoutError(f"{client.srv_name}: no such service")

    def change_state(self, *transitions: int) -> None:
        """Makes transitions. Raises RuntimeError if the detector refuses one."""
        for transition in transitions:
            request = ChangeState.Request(transition=Transition(id=transition))
            if not self._call(self._change, request).success:
                raise RuntimeError(f"transition {transition} has failed")

    def set_parameters_of_detector(self, values: dict[str, Any]) -> None:
        """Sets parameters. Raises RuntimeError if the detector refuses them."""
        wanted = [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
        answer = self._call(self._set, SetParametersAtomically.Request(parameters=wanted)).result
        if not answer.successful:
            raise RuntimeError(f"{values}: {answer.reason}")

    def send(self, count: int) -> None:
        """Publishes images of a bright block that moves, each after the results of the one before."""
        self._wait(lambda: self._publisher.get_subscription_count() and self._detections.get_publisher_count())
        height, width = self._still.shape[:2]
        for _ in range(count):
            self._sent += 1
            pixels = self._still.copy()
            left = 8 * self._sent % (width // 2)
            pixels[height // 4:height // 2, left:left + width // 4] = 250
            stamp_ns = 10**18 + self._sent * FRAME_NS
            image = image_message(pixels, "bgr8", Header(stamp=stamp_from_ns(stamp_ns), frame_id="camera"))
            self._publish(image, stamp_ns)

    def _publish(self, image: Image, stamp_ns: int) -> None:
        deadline = time.monotonic() + LONGEST_WAIT_S
        with self._changed:
            while self._answered < stamp_ns:
                self._publisher.publish(image)
                self._changed.wait_for(lambda: self._answered >= stamp_ns, RESEND_S)
                if time.monotonic() > deadline:
                    raise TimeoutError("an image got no answer")

    @staticmethod
    def _call(client: Any, request: Any) -> Any:
        done = threading.Event()
        future = client.call_async(request)
        future.add_done_callback(lambda _: done.set())
        if not done.wait(LONGEST_WAIT_S):
            raise TimeoutError(f"{client.srv_name}: no answer")
        return future.result()

    @staticmethod
    def _wait(condition: Callable[[], Any]) -> None:
        deadline = time.monotonic() + LONGEST_WAIT_S
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError("the detector's topics were not found")
            time.sleep(0.005)
