"""Quality of service: what is asked for, overrides, and ends that do not fit."""

from __future__ import annotations

import time

import pytest
from rclpy.parameter import Parameter
from rclpy.qos import ReliabilityPolicy
from rig import message, send
from vision_msgs.msg import Detection2DArray

from regionmask_ros.errors import UserError
from regionmask_ros.ros import diagnostics
from regionmask_ros.ros.node import DetectorNode
from regionmask_ros.ros.publishers import LATCHED


def reliability(node, topic: str) -> ReliabilityPolicy:
    return next(s for s in node.subscriptions if s.topic_name == topic).qos_profile.reliability


def test_a_reliable_subscription_that_hears_nothing_says_what_to_do(rig, wait_for, capfd, monkeypatch):
    monkeypatch.setattr(diagnostics, "INPUT_TIMEOUT_S", 0.5)
    node, peer = rig(autostart=False, image_reliability="reliable")
    node.trigger_configure()
    node.trigger_activate()
    assert reliability(node, "/image") is ReliabilityPolicy.RELIABLE
    said = []
    wait_for(lambda: said.append(capfd.readouterr().err) or "has another reliability" in "".join(said))
    line = next(text for text in "".join(said).splitlines() if "has another reliability" in text)
    assert "/image" in line and "set the parameter image_reliability to best_effort" in line
    peer.camera.publish(message(0))
    wait_for(lambda: "publisher present on /image, no frames for" in peer.verdict(), 8.0)
    wait_for(lambda: said.append(capfd.readouterr().err) or "publisher present on /image" in "".join(said))
    assert "".join(said).count("publisher present on /image") == 1, "the log tells it once"
    assert peer.heard["/diagnostics"][-1].status[0].level == b"\x01"


def test_a_subscriber_that_asks_for_too_much_is_told(rig, capfd):
    """The middleware now and then keeps the event of one subscriber to itself; that of the next one then tells."""
    node, peer = rig()
    said = ""
    for _ in range(6):
        peer.listen(Detection2DArray, "/detections", LATCHED)
        patience = time.monotonic() + 2.0
        while "asks for another durability" not in said and time.monotonic() < patience:
            time.sleep(0.05)
            said += capfd.readouterr().err
        if "asks for another durability" in said:
            break
    assert "a subscriber of /detections asks for another durability" in said


def test_overrides_are_obeyed_in_every_round(rig, wait_for):
    node, peer = rig(**{
        "qos_overrides./image.subscription.depth": 3, "qos_overrides./detections.publisher.depth": 2,
    })
    for _ in range(2):
        subscription = next(s for s in node.subscriptions if s.topic_name == "/image")
        assert subscription.qos_profile.depth == 3
        assert subscription.qos_profile.reliability is ReliabilityPolicy.BEST_EFFORT
        assert next(p for p in node.publishers if p.topic_name == "/detections").qos_profile.depth == 2
        for step in (node.trigger_deactivate, node.trigger_cleanup, node.trigger_configure, node.trigger_activate):
            step()
    wait_for(lambda: peer.camera.get_subscription_count())
    send(peer, wait_for, [message(0)])
    assert not any(name.startswith("qos_overrides./mask") for name in node._parameters)


@pytest.mark.parametrize("name", ["/image.subscription", "/mask.publisher"])
def test_an_override_that_makes_no_sense_fails_the_transition(session, tiny_network, name):
    node = session.add(lambda **given: DetectorNode(load=lambda file: tiny_network, parameter_overrides=[
        Parameter(f"qos_overrides.{name}.reliability", value="maybe"),
    ], **given))
    with pytest.raises(UserError, match="maybe.*qos_overrides"):
        node.start()
    topics = {p.topic_name for p in node.publishers} | {s.topic_name for s in node.subscriptions}
    assert not topics & {"/image", "/attention"}
