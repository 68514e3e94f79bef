"""What is set up wrongly around the node is said in the log and in the diagnostics, and how to mend it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rclpy.node import Node
from rig import Peer, are_matched, call, change, header, message, send
from sensor_msgs.msg import Image

from regionmask_ros.ros import health
from regionmask_ros.ros.health import InputState, InputWatch
from regionmask_ros.ros.publishers import CAMERA

WARN, OK = b"\x01", b"\x00"


@pytest.fixture
def log(capfd):
    """A function that returns all of the log so far."""
    lines = []

    def read() -> str:
        lines.append(capfd.readouterr().err)
        return "".join(lines)

    return read


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    """Silence is reported after a moment instead of seconds."""
    monkeypatch.setattr(health, "INPUT_TIMEOUT_S", 0.3)


def level(peer) -> bytes:
    return peer.heard["/diagnostics"][-1].status[0].level


class Deaf(Peer):
    """A peer without a camera."""

    def open_camera(self):
        return None


def test_no_publisher_is_said(rig, wait_for, log):
    node, peer = rig(Deaf)
    wait_for(lambda: "no images on /image: it has no publisher; no other topic has images: is the camera" in log())
    assert "it has no publisher" in peer.verdict() and level(peer) == WARN
    # A publisher that comes is given its own time, and only then missed.
    peer.camera = peer.create_publisher(Image, "image", CAMERA)
    wait_for(lambda: are_matched(node, peer))
    wait_for(lambda: "publisher present on /image, no frames for 0 s" in log())
    send(peer, wait_for, [message(i) for i in range(3)])
    wait_for(lambda: level(peer) == OK)
    call(peer, lambda: peer.destroy_publisher(peer.camera))
    wait_for(lambda: "it has no publisher; has the camera ended?" in peer.verdict())
    wait_for(lambda: "it has no publisher; has the camera ended?" in log())


def test_camera_that_pauses_is_no_matter_of_the_dds_profile(rig, wait_for, log):
    _node, peer = rig()
    send(peer, wait_for, [message(i) for i in range(3)])
    wait_for(lambda: "the camera pauses: no images on /image" in log())
    wait_for(lambda: peer.verdict().startswith("the camera pauses") and level(peer) == WARN)
    assert "DDS" not in log() and "DDS" not in peer.verdict()
    assert log().count("the camera pauses") == 1
    send(peer, wait_for, [message(3)])
    wait_for(lambda: "the camera pauses" not in peer.verdict())


def test_quiet_time_begins_when_a_publisher_is_seen():
    watch = InputWatch(0.0)
    assert watch.look("active", 0, 0, 1.0) == InputState(0, 0.0)
    assert watch.look("active", 0, 0, 100.0) == InputState(0, 99.0)
    assert watch.look("active", 0, 1, 101.0) == InputState(1, 0.0)
    assert watch.look("active", 0, 1, 103.0) == InputState(1, 2.0)
    assert watch.look("active", 5, 1, 104.0) == InputState(1, 0.0, has_come=True)
    assert watch.look("active", 5, 1, 110.0) == InputState(1, 6.0, has_come=True)
    assert watch.look("inactive", 5, 1, 120.0) == InputState(1, 0.0)
    assert watch.look("active", 5, 0, 121.0) == InputState(0, 0.0)


def test_cameras_with_different_frame_ids_on_one_topic_are_said(rig, wait_for, log):
    """Through one publisher, such as a relay: the number of publishers does not show it."""
    _node, peer = rig()
    images = [message(i) for i in range(6)]
    for index, built in enumerate(images):
        built.header = header(index, ("left_optical", "right\noptical" + "x" * 500)[index % 2])
    send(peer, wait_for, images)
    wait_for(lambda: "images of several cameras mix on /image (frame ids 'left_optical', 'right" in peer.verdict())
    assert level(peer) == WARN and len(peer.verdict()) < 600 and peer.verdict().isprintable()
    assert peer.values()["publishers of pictures"] == "1"
    assert log().count("images of several cameras mix on /image") == 1


def test_two_nodes_of_one_name_are_said(rig, session, wait_for, log):
    node, peer = rig()
    twin = session.add(lambda **given: Node("detector", **given))
    wait_for(lambda: "2 nodes are called /detector" in log())
    wait_for(lambda: "2 nodes are called /detector" in peer.verdict() and level(peer) == WARN)
    assert peer.values()["other nodes of this name"] == "1"
    call(node, lambda: (node.executor.remove_node(twin), twin.destroy_node()))
    wait_for(lambda: peer.values().get("other nodes of this name") == "0")


@pytest.mark.parametrize("damage", [lambda file: file.unlink(), lambda file: file.write_bytes(file.read_bytes()[:60])])
def test_static_mask_in_use_stays_when_its_file_goes_away(rig, wait_for, half_mask, log, damage):
    node, peer = rig(refresh_period=0, mask_mode="static", static_mask=half_mask)
    send(peer, wait_for, [message(0)])
    content = Path(half_mask).read_bytes()
    damage(Path(half_mask))
    wait_for(lambda: "the static mask in use stays, but its file cannot be read" in log())
    wait_for(lambda: half_mask in peer.verdict() and level(peer) == WARN)
    # Another parameter, in the next frame, and after a change of the image's size, which makes masks anew.
    assert change(node, score_threshold=0.5).successful and change(node, refresh_period=4).successful
    send(peer, wait_for, [message(1)])
    kept = node._configured.pipeline._camera.composer.sources[0].keep
    np.testing.assert_array_equal(kept, [[True] * 3 + [False] * 3] * 4)
    assert change(node, mask_mode="static+dynamic").successful
    refused = change(node, static_mask=half_mask + ".other")
    assert not refused.successful and "this file cannot be used" in refused.reason
    Path(half_mask).write_bytes(content)
    send(peer, wait_for, [message(2)])
    wait_for(lambda: half_mask not in peer.verdict())
    assert log().count("the static mask in use stays") == 1


def test_mask_file_that_vanishes_before_the_first_image_is_remembered(rig, wait_for, half_mask):
    _node, peer = rig(refresh_period=0, mask_mode="static", static_mask=half_mask)
    Path(half_mask).unlink()
    send(peer, wait_for, [message(0), message(1)])


def test_losses_before_the_node_are_unknown_until_the_rate_is_known_and_then_estimated(rig, wait_for):
    _node, peer = rig()
    key = "frames lost before the node (estimated)"
    send(peer, wait_for, [message(i) for i in range(3)])
    wait_for(lambda: peer.values().get("frames answered") == "3")
    assert peer.values()[key] == "unknown" and peer.values()["rate of the camera (estimated) [fps]"] == ""
    send(peer, wait_for, [message(i) for i in (3, 4, 5, 6, 7, 8, 9, 10, 14, 15, 18, 19)])
    wait_for(lambda: peer.values().get("frames answered") == "15")
    assert peer.values()[key] == "5" and peer.values()["rate of the camera (estimated) [fps]"] == "25.00"
    assert "about 5 images seem to be missing, estimated from the camera's rate" in peer.verdict()
    assert peer.values()["frames lost before the node (reported)"] in ("0", "unknown")
