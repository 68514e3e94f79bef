"""The detector command as a process of its own, with the trained network: start, refusal, work, end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.srv import SetParameters
from rclpy.node import Node
from rclpy.parameter import Parameter
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
    """A camera, and a listener for what a process says. modes: mask mode by name of the diagnostics."""

    def __init__(self, camera: str = "", **node_arguments: object) -> None:
        super().__init__("peer", namespace=camera, **node_arguments)
        self.labels, self.answers, self.modes = [], [], {}
        topic = "image_raw" if camera else "/cam/image"
        self.camera = self.create_publisher(Image, topic, CAMERA)
        self.create_subscription(LabelInfo, "label_info", self.labels.append, LATCHED)
        self.create_subscription(Detection2DArray, "detections", self.answers.append, RESULTS)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._note, RESULTS)

    def _note(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self.modes[status.name] = next(pair.value for pair in status.values if pair.key == "mask mode")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_answers_real_pictures_and_ends_well_at_a_signal(session, trained_file, real_video, wait_for, number):
    process = start("--ros-args", "--params-file", str(PARAMETERS), "-r", "image:=/cam/image", "-p", "mask_mode:=none")
    try:
        peer = session.add(Peer)
        session.spin()
        wait_for(lambda: peer.labels and peer.camera.get_subscription_count(), 60.0)
        with open_source(real_video("bikes.mp4")) as source:
            images = [frame.pixels for frame in islice(source.frames(), 110, 113)]
        for index, pixels in enumerate(images):
            header = Header(stamp=stamp_from_ns((index + 1) * 10**9), frame_id="street")
            wait_for(lambda: _ask(peer, image_message(pixels, "bgr8", header)), 20.0)
        assert [(a.header.stamp.sec, a.header.frame_id) for a in peer.answers] == [(i, "street") for i in (1, 2, 3)]
        names = {d.results[0].hypothesis.class_id for a in peer.answers for d in a.detections}
        assert "person" in names and names <= {c.class_name for c in peer.labels[0].class_map}
        assert _set(peer, wait_for, score_threshold=2.0) == [False]
        assert _set(peer, wait_for, score_threshold=0.9, classes=["car"]) == [True, True]
        client = peer.create_client(Trigger, "/detector/refresh")
        assert client.wait_for_service(10.0)
        future = client.call_async(Trigger.Request())
        wait_for(future.done)
        assert future.result().success
        process.send_signal(number)
        _, said = process.communicate(timeout=20.0)
    finally:
        process.kill()
    assert process.returncode == 0
    assert "Traceback" not in said and "terminate" not in said


def _set(peer: Peer, wait_for, **values: object) -> list[bool]:
    """Sets parameters of the node over ROS, one by one; which of them it took."""
    client = peer.create_client(SetParameters, "/detector/set_parameters")
    assert client.wait_for_service(10.0)
    wanted = [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
    future = client.call_async(SetParameters.Request(parameters=wanted))
    wait_for(future.done)
    return [result.successful for result in future.result().results]


def _ask(peer: Peer, image: Image) -> bool:
    """Sends the picture, again when best effort has lost it. True when it is answered."""
    def answered() -> bool:
        return any(answer.header == image.header for answer in peer.answers)

    peer.camera.publish(image)
    patience = time.monotonic() + 2.0
    while not answered() and time.monotonic() < patience:
        time.sleep(0.02)
    return answered()


@pytest.mark.parametrize(("arguments", "words"), [
    (["-p", "score_threshold:=0"], "score_threshold: must be a number with a point"),
    (["-p", "nms_iou:=1.5"], "nms_iou: must be 0 to 1"),
    (["-p", "mask_mode:=all"], "mask_mode 'all': unknown"),
    (["-p", "network_file:=/no/such.pt"], "/no/such.pt"),
    (["--params-file", "/no/such.yaml"], "/no/such.yaml"),
    (["-p", "classes:=person"], "classes: must be a list of texts"),
])
def test_a_bad_start_is_one_line_and_status_2(arguments, words):
    process = start("--ros-args", *arguments)
    _, said = process.communicate(timeout=60.0)
    assert process.returncode == 2
    ours = [line for line in said.splitlines() if line.startswith("regionmask_ros: error: ")]
    assert len(ours) == 1 and words in ours[0]
    assert "Traceback" not in said


def test_many_signals_end_it_as_one_does(trained_file):
    process = start()
    try:
        assert process.stderr.readline()  # says that it is active
        deadline = time.monotonic() + 20.0
        while process.poll() is None and time.monotonic() < deadline:
            process.send_signal(signal.SIGINT)
            time.sleep(0.002)
        _, said = process.communicate(timeout=20.0)
    finally:
        process.kill()
    assert process.returncode == 0 and "Traceback" not in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_well_while_a_manager_has_not_configured_it(session, wait_for, number):
    space = f"unmanaged{number}"  # a name that no earlier process has left behind
    process = start("--ros-args", "-p", "autostart:=false", "-r", f"__ns:=/{space}")
    try:
        peer = session.add(Peer)
        session.spin()
        wait_for(lambda: ("detector", f"/{space}") in peer.get_node_names_and_namespaces(), 30.0)
        process.send_signal(number)
        _, said = process.communicate(timeout=20.0)
    finally:
        process.kill()
    assert process.returncode == 0 and "Traceback" not in said


def test_two_cameras_in_one_process_answer_each_for_itself(session, trained_file, real_video, wait_for, tmp_path):
    """Each in its namespace, with its own static mask, and both from one set of signals."""
    attends_nothing = tmp_path / "left.png"
    cv2.imwrite(str(attends_nothing), np.zeros((10, 20), np.uint8))
    process = start(
        "--camera", "front", "--camera", f"left={attends_nothing}", "--ros-args", "-r", "image:=image_raw",
        "-p", "input_size:=320x160", "-p", "mask_mode:=none",
    )
    try:
        front, left = (session.add(lambda **given: Peer(camera=camera, **given)) for camera in ("front", "left"))
        session.spin()
        for peer in (front, left):
            wait_for(lambda: (peer.labels and peer.camera.get_subscription_count()) or process.poll(), 60.0)
        with open_source(real_video("bikes.mp4")) as source:
            (frame,) = islice(source.frames(), 110, 111)
        for index in range(3):
            for peer, name in ((front, "front"), (left, "left")):
                header = Header(stamp=stamp_from_ns((index + 1) * 10**9), frame_id=name)
                wait_for(lambda: _ask(peer, image_message(frame.pixels, "bgr8", header)), 20.0)
        assert [a.header.frame_id for a in front.answers] == ["front"] * 3
        assert [a.header.frame_id for a in left.answers] == ["left"] * 3
        wait_for(lambda: {"front/detector: pictures", "left/detector: pictures"} <= front.modes.keys(), 5.0)
        assert front.modes["front/detector: pictures"] == "none"
        assert front.modes["left/detector: pictures"] == "static+dynamic"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20.0)
    finally:
        process.kill()
    assert process.returncode == 0 and "Traceback" not in said
