"""The node with Lava's backends: every result has the header of its own image, though it comes some frames later."""

from __future__ import annotations

import numpy as np
from rclpy.parameter import Parameter
from rig import call
from std_msgs.msg import Header

from regionmask_ros.core.frame import Frame
from regionmask_ros.pipeline.pipeline import Pipeline
from regionmask_ros.pipeline.settings import PipelineSettings
from regionmask_ros.ros import worker
from regionmask_ros.ros.publishers import image_message, stamp_from_ns

IMAGES = 9


def make_image(index: int) -> Frame:
    pixels = np.random.default_rng(4).integers(0, 256, (64, 96, 3)).astype(np.uint8)
    pixels[20:40, 5 * index:5 * index + 20] = 250
    return Frame(pixels, "bgr", 10**18 + index * 40_000_000, "left_optical")


def test_results_have_the_headers_of_their_own_images(lava_python, rig, wait_for, tiny_network, monkeypatch):
    monkeypatch.setattr(worker, "QUIET_S", 60.0)  # only the end of the node drains the backend
    node, peer = rig(backend="lava_sim", score_threshold=0.2, mask_mode="none", lava_python=lava_python,
                     input_size="96x64")
    stats, heard = node._configured.frame_stats, peer.heard["detections"]
    for index in range(IMAGES):
        frame = make_image(index)
        header = Header(stamp=stamp_from_ns(frame.stamp_ns), frame_id=frame.frame_id)
        peer.camera.publish(image_message(frame.pixels, "bgr8", header))
        wait_for(lambda: stats.counts.received == index + 1 and node._active.worker._slot.is_empty)
    assert len(heard) < IMAGES, "the simulator's results come later"
    call(node, node.trigger_deactivate)
    wait_for(lambda: len(heard) == IMAGES)
    assert stats.counts.overwritten == 0
    reference, taken = Pipeline(tiny_network, PipelineSettings(arithmetic="lava", score_threshold=0.2)), {}
    for index in range(IMAGES):
        (taken[stamp_from_ns(make_image(index).stamp_ns).nanosec],) = reference.process(make_image(index))
    assert [message.header.stamp.nanosec for message in heard] == sorted(taken)
    for message in heard:
        assert len(message.detections) == len(taken[message.header.stamp.nanosec].detections)
    assert len({len(result.detections) for result in taken.values()}) > 1, "all alike: this test would see no mix-up"


def test_diagnostics_report_arithmetic_and_latency(lava_python, rig, wait_for):
    _node, peer = rig(backend="lava_sim", input_size="96x64", lava_python=lava_python)
    peer.camera.publish(image_message(make_image(0).pixels, "bgr8", Header(stamp=stamp_from_ns(10**18))))
    wait_for(lambda: peer.values().get("latency of the backend [steps]") == "5")
    values = peer.values()
    assert values["arithmetic"] == "lava" and values["backend"] == "lava_sim"
    assert values["kernels"].startswith("lava-nc 0.10.0, gemm convolution, Python 3.")


def test_diagnostics_report_what_was_measured_on_the_chip(board, rig, even_network, wait_for):
    """The running node changes over to the stand-in of a board."""
    node, peer = rig(network=even_network, input_size="96x64", loihi2_profile_steps=20, lava_python=board)
    changes = [Parameter("backend", value="loihi2"), Parameter("loihi2_profile", value=True)]
    assert call(node, lambda: node.set_parameters_atomically(changes)).successful
    wait_for(lambda: node._configured.pipeline.settings.backend == "loihi2")
    for index in range(3):
        header = Header(stamp=stamp_from_ns(10**18 + index))
        peer.camera.publish(image_message(make_image(index).pixels, "bgr8", header))
        wait_for(lambda: node._configured.frame_stats.counts.received == index + 1)
    # No more images come: the backend is drained, and the profiled run is filled up.
    wait_for(lambda: len(peer.heard["detections"]) == 3 - node._configured.frame_stats.counts.overwritten)
    wait_for(lambda: peer.values().get("measured step [us]") == "200.00")
    values = peer.values()
    assert values["measured power [W]"] == "1.5000" and values["measured busiest core [synops per step]"] == "300.0"
    assert "not yet run on hardware" in values["kernels"]
