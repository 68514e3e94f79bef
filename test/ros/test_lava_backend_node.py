"""The node with Lava's simulator: every answer has the header of its own picture, though it comes some later."""

from __future__ import annotations

import time

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray

from regionmask_ros.core.frame import Frame
from regionmask_ros.pipeline.pipeline import Pipeline
from regionmask_ros.pipeline.settings import PipelineSettings
from regionmask_ros.ros import worker
from regionmask_ros.ros.node import DetectorNode
from regionmask_ros.ros.publishers import CAMERA, RESULTS, image_message, stamp_from_ns

IMAGES = 9


def picture(index: int) -> Frame:
    pixels = np.random.default_rng(4).integers(0, 256, (64, 96, 3)).astype(np.uint8)
    pixels[20:40, 5 * index:5 * index + 20] = 250
    return Frame(pixels, "bgr", 10**18 + index * 40_000_000, "left_optical")


def built(session, network, chosen: dict) -> DetectorNode:
    """A node with that network and those parameters."""
    overrides = [Parameter(name, value=value) for name, value in chosen.items()]
    return session.add(lambda **given: DetectorNode(load=lambda file: network, parameter_overrides=overrides, **given))


def test_answers_have_their_own_pictures_headers_and_detections(
    lava_python, session, tiny_network, wait_for, monkeypatch
):
    monkeypatch.setattr(worker, "QUIET_S", 60.0)  # only the node's end pushes results out
    chosen = {"backend": "lava_sim", "score_threshold": 0.2, "mask_mode": "none", "lava_python": lava_python,
              "input_size": "96x64"}
    node = built(session, tiny_network, chosen)
    peer, heard = session.add(lambda **given: Node("peer", **given)), []
    camera = peer.create_publisher(Image, "image", CAMERA)
    peer.create_subscription(Detection2DArray, "detections", heard.append, RESULTS)
    session.spin()
    node.start()
    wait_for(lambda: camera.get_subscription_count() and node.count_subscribers("/detections"))
    time.sleep(0.2)
    counts = node._configured.frame_stats
    for index in range(IMAGES):
        frame = picture(index)
        header = Header(stamp=stamp_from_ns(frame.stamp_ns), frame_id=frame.frame_id)
        camera.publish(image_message(frame.pixels, "bgr8", header))
        wait_for(lambda: counts.counts.received == index + 1)
        time.sleep(0.1)
    assert len(heard) < IMAGES, "the simulator answers later"
    node.trigger_deactivate()
    wait_for(lambda: len(heard) == IMAGES - counts.counts.overwritten)
    reference, taken = Pipeline(tiny_network, PipelineSettings(arithmetic="lava", score_threshold=0.2)), {}
    answered = {message.header.stamp.nanosec for message in heard}
    for index in range(IMAGES):
        stamp = stamp_from_ns(picture(index).stamp_ns).nanosec
        if stamp in answered:
            (taken[stamp],) = reference.process(picture(index))
    assert [message.header.stamp.nanosec for message in heard] == sorted(taken)
    for message in heard:
        assert len(message.detections) == len(taken[message.header.stamp.nanosec].detections)
    assert len({len(result.detections) for result in taken.values()}) > 1, "all alike: this test would see no mix-up"


def test_diagnostics_state_arithmetic_and_latency(lava_python, session, tiny_network, wait_for):
    chosen = {"backend": "lava_sim", "input_size": "96x64", "lava_python": lava_python}
    node = built(session, tiny_network, chosen)
    peer, reports = session.add(lambda **given: Node("peer", **given)), []
    camera = peer.create_publisher(Image, "image", CAMERA)
    peer.create_subscription(DiagnosticArray, "/diagnostics", reports.append, RESULTS)
    session.spin()
    node.start()
    wait_for(camera.get_subscription_count)
    time.sleep(0.2)
    camera.publish(image_message(picture(0).pixels, "bgr8", Header(stamp=stamp_from_ns(10**18))))

    def values() -> dict[str, str]:
        return {pair.key: pair.value for pair in reports[-1].status[0].values} if reports else {}

    wait_for(lambda: values().get("latency of the backend [steps]") == "5", 60.0)
    assert values()["arithmetic"] == "lava" and values()["backend"] == "lava_sim"
    assert values()["kernels"].startswith("lava-nc 0.10.0, gemm convolution, Python 3.")


def test_what_is_measured_on_the_chip_is_in_the_diagnostics(board, session, even_network, wait_for):
    """On the stand-in of a board, which the running node moves to."""
    node = built(session, even_network, {"input_size": "96x64", "loihi2_profile_steps": 20, "lava_python": board})
    peer, reports, heard = session.add(lambda **given: Node("peer", **given)), [], []
    camera = peer.create_publisher(Image, "image", CAMERA)
    peer.create_subscription(DiagnosticArray, "/diagnostics", reports.append, RESULTS)
    peer.create_subscription(Detection2DArray, "detections", heard.append, RESULTS)
    session.spin()
    node.start()
    wait_for(lambda: camera.get_subscription_count() and node.count_subscribers("/detections"))
    time.sleep(0.2)
    chosen = {"backend": "loihi2", "loihi2_profile": True}
    assert node.set_parameters_atomically([Parameter(name, value=value) for name, value in chosen.items()]).successful
    wait_for(lambda: node._configured.pipeline.settings.backend == "loihi2", 60.0)
    for index in range(3):
        camera.publish(image_message(picture(index).pixels, "bgr8", Header(stamp=stamp_from_ns(10**18 + index))))
        wait_for(lambda: node._configured.frame_stats.counts.received == index + 1)
    # No more pictures come: results are pushed out, and the run that is measured is filled up.
    wait_for(lambda: len(heard) == 3 - node._configured.frame_stats.counts.overwritten)

    def values() -> dict[str, str]:
        return {pair.key: pair.value for pair in reports[-1].status[0].values} if reports else {}

    wait_for(lambda: values().get("measured step [us]") == "200.00", 10.0)
    assert values()["measured power [W]"] == "1.5000" and values()["measured busiest core [synops per step]"] == "300.0"
    assert "not yet run on hardware" in values()["kernels"]
