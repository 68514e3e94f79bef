"""The command detector as a process, with the trained network: start, refused arguments, frames, end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.srv import GetState
from rcl_interfaces.srv import SetParameters
from rclpy.client import Client
from rclpy.node import Node
from rclpy.parameter import Parameter
from rig import call_service
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from std_srvs.srv import Trigger
from vision_msgs.msg import Detection2DArray, LabelInfo

from regionmask_ros.ros.publishers import CAMERA, LATCHED, RESULTS, image_message, stamp_from_ns
from regionmask_ros.sources import open_source

REPOSITORY = Path(__file__).resolve().parents[2]
PARAMETERS = REPOSITORY / "config" / "detector.yaml"


def start(*arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "regionmask_ros", "detector", *arguments], cwd=REPOSITORY, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ),
    )


class Peer(Node):
    """A camera and subscriptions for a process. modes: mask mode by name of the status; sent: number of images."""

    def __init__(self, camera: str = "", **node_arguments: object) -> None:
        super().__init__("peer", namespace=camera, **node_arguments)
        self.labels, self.answers, self.modes, self.sent = [], [], {}, 0
        topic = "image_raw" if camera else "/cam/image"
        self.camera = self.create_publisher(Image, topic, CAMERA)
        self.create_subscription(LabelInfo, "label_info", self.labels.append, LATCHED)
        self.create_subscription(Detection2DArray, "detections", self.answers.append, RESULTS)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._note, RESULTS)

    def _note(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self.modes[status.name] = next(pair.value for pair in status.values if pair.key == "mask mode")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_detector_processes_real_images_and_ends_at_a_signal(session, trained_file, real_video, wait_for, number):
    process = start("--ros-args", "--params-file", str(PARAMETERS), "-r", "image:=/cam/image", "-p", "mask_mode:=none")
    try:
        peer = session.add(Peer)
        session.spin()
        wait_for(lambda: peer.labels and peer.camera.get_subscription_count())
        with open_source(real_video("bikes.mp4")) as source:
            images = [frame.pixels for frame in islice(source.frames(), 110, 113)]
        for index, pixels in enumerate(images):
            header = Header(stamp=stamp_from_ns((index + 1) * 10**9), frame_id="street")
            _send(peer, wait_for, image_message(pixels, "bgr8", header))
        assert answered(peer) == [(i, "street") for i in (1, 2, 3)]
        names = {d.results[0].hypothesis.class_id for a in peer.answers for d in a.detections}
        assert "person" in names and names <= {c.class_name for c in peer.labels[0].class_map}
        assert _set(peer, wait_for, score_threshold=2.0) == [False]
        assert _set(peer, wait_for, score_threshold=0.9, classes=["car"]) == [True, True]
        assert call_service(peer, wait_for, Trigger, "refresh").success
        process.send_signal(number)
        _, log = process.communicate(timeout=120.0)
    finally:
        process.kill()
    assert process.returncode == 0
    assert "Traceback" not in log and "terminate" not in log


def answered(peer: Peer) -> list[tuple[int, str]]:
    """Second and frame of the images that have results. One that was sent again has them again, and no other has."""
    assert len(peer.answers) <= peer.sent
    return list(dict.fromkeys((answer.header.stamp.sec, answer.header.frame_id) for answer in peer.answers))


def _set(peer: Peer, wait_for, **values: object) -> list[bool]:
    """Sets parameters of the node over ROS, one by one; returns which of them were accepted."""
    wanted = [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
    answer = call_service(peer, wait_for, SetParameters, "set_parameters", parameters=wanted)
    return [result.successful for result in answer.results]


def _send(peer: Peer, wait_for, image: Image) -> None:
    """Publishes the image until it has results: a new best-effort subscription may miss it."""
    def is_answered() -> bool:
        return any(answer.header == image.header for answer in peer.answers)

    while not is_answered():
        peer.camera.publish(image)
        peer.sent += 1
        with contextlib.suppress(AssertionError):
            wait_for(is_answered, 2.0)


@pytest.mark.parametrize(("arguments", "words"), [
    (["-p", "score_threshold:=0"], "score_threshold: must be a number with a point"),
    (["-p", "nms_iou:=1.5"], "nms_iou: must be 0 to 1"),
    (["-p", "mask_mode:=all"], "mask_mode 'all': unknown"),
    (["-p", "network_file:=/no/such.pt"], "/no/such.pt"),
    (["--params-file", "/no/such.yaml"], "/no/such.yaml"),
    (["-p", "classes:=person"], "classes: must be a list of texts"),
])
def test_bad_argument_gives_one_line_and_status_2(arguments, words):
    process = start("--ros-args", *arguments)
    _, log = process.communicate(timeout=120.0)
    assert process.returncode == 2
    errors = [line for line in log.splitlines() if line.startswith("regionmask_ros: error: ")]
    assert len(errors) == 1 and words in errors[0]
    assert "Traceback" not in log


def test_many_signals_end_the_process_as_one_does(trained_file, wait_for):
    process = start()
    try:
        assert process.stderr.readline()  # the log line that it is active
        wait_for(lambda: process.send_signal(signal.SIGINT) or process.poll() is not None)
        _, log = process.communicate(timeout=120.0)
    finally:
        process.kill()
    assert process.returncode == 0 and "Traceback" not in log


def wait_for_state(client: Client, wait_for: Callable) -> None:
    """Asks until there is an answer: one that a node gives before it knows who asked is lost."""
    for _ in range(30):
        state = client.call_async(GetState.Request())
        with contextlib.suppress(AssertionError):
            wait_for(state.done, 5.0)
            return
    raise AssertionError("no answer")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_unconfigured_detector_ends_at_a_signal(session, wait_for, number):
    space = f"unmanaged{number}"  # a name that no earlier process has left behind
    process = start("--ros-args", "-p", "autostart:=false", "-r", f"__ns:=/{space}")
    try:
        peer = session.add(Peer)
        session.spin()
        # A node that answers is running; one that only has a name may still be in the making.
        client = peer.create_client(GetState, f"/{space}/detector/get_state")
        wait_for(client.service_is_ready)
        wait_for_state(client, wait_for)
        process.send_signal(number)
        _, log = process.communicate(timeout=120.0)
    finally:
        process.kill()
    assert process.returncode == 0 and "Traceback" not in log


def test_two_cameras_in_one_process_get_their_own_results(session, trained_file, real_video, wait_for, tmp_path):
    """Each in its namespace, with its own static mask, and both from one set of signals."""
    keeps_nothing = tmp_path / "left.png"
    cv2.imwrite(str(keeps_nothing), np.zeros((10, 20), np.uint8))
    process = start(
        "--camera", "front", "--camera", f"left={keeps_nothing}", "--ros-args", "-r", "image:=image_raw",
        "-p", "input_size:=320x160", "-p", "mask_mode:=none",
    )
    try:
        front, left = (session.add(lambda **given: Peer(camera=camera, **given)) for camera in ("front", "left"))
        session.spin()
        for peer in (front, left):
            wait_for(lambda: (peer.labels and peer.camera.get_subscription_count()) or process.poll())
        with open_source(real_video("bikes.mp4")) as source:
            (frame,) = islice(source.frames(), 110, 111)
        for index in range(3):
            for peer, name in ((front, "front"), (left, "left")):
                header = Header(stamp=stamp_from_ns((index + 1) * 10**9), frame_id=name)
                _send(peer, wait_for, image_message(frame.pixels, "bgr8", header))
        assert answered(front) == [(i, "front") for i in (1, 2, 3)]
        assert answered(left) == [(i, "left") for i in (1, 2, 3)]
        wait_for(lambda: {"front/detector: pictures", "left/detector: pictures"} <= front.modes.keys())
        assert front.modes["front/detector: pictures"] == "none"
        assert front.modes["left/detector: pictures"] == "static+dynamic"
        process.send_signal(signal.SIGINT)
        _, log = process.communicate(timeout=120.0)
    finally:
        process.kill()
    assert process.returncode == 0 and "Traceback" not in log
