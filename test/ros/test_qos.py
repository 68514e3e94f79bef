"""Quality of service: what is requested, overrides, and incompatible ends."""

from __future__ import annotations

import pytest
from rclpy.qos import ReliabilityPolicy
from rig import add_node, are_matched, call, message, send
from vision_msgs.msg import Detection2DArray

from regionmask_ros.errors import UserError
from regionmask_ros.ros import health
from regionmask_ros.ros.publishers import LATCHED


def reliability(node, topic: str) -> ReliabilityPolicy:
    return next(s for s in node.subscriptions if s.topic_name == topic).qos_profile.reliability


def provoke(line, meet, peer, wait_for, capfd) -> str:
    """Meets an incompatible end until that is logged. Returns the log.

    The middleware sometimes reports no event for one; then the next one's is reported.
    """
    log = ""
    for _ in range(6):
        received = len(peer.heard["/diagnostics"])
        meet()
        # Some reports later the event has come, or never will.
        wait_for(lambda: len(peer.heard["/diagnostics"]) > received + 10)
        log += capfd.readouterr().err
        if line in log:
            break
    assert line in log
    return log


def test_reliable_subscription_without_images_logs_what_to_do(rig, wait_for, capfd, monkeypatch):
    monkeypatch.setattr(health, "INPUT_TIMEOUT_S", 0.5)
    node, peer = rig(autostart=False, image_reliability="reliable")
    call(node, node.trigger_configure)
    call(node, node.trigger_activate)
    assert reliability(node, "/image") is ReliabilityPolicy.RELIABLE
    log = [provoke("offers another reliability", peer.open_camera, peer, wait_for, capfd)]
    line = next(text for text in "".join(log).splitlines() if "offers another reliability" in text)
    assert "/image" in line and "set the parameter image_reliability to best_effort" in line
    peer.camera.publish(message(0))
    wait_for(lambda: "publisher present on /image, no frames for" in peer.verdict())
    wait_for(lambda: log.append(capfd.readouterr().err) or "publisher present on /image" in "".join(log))
    assert "".join(log).count("publisher present on /image") == 1, "logged once"
    assert peer.heard["/diagnostics"][-1].status[0].level == b"\x01"


def test_incompatible_subscriber_gives_a_warning(rig, wait_for, capfd):
    _, peer = rig()
    provoke("a subscriber of /detections requests another durability",
            lambda: peer.listen(Detection2DArray, "/detections", LATCHED), peer, wait_for, capfd)


def test_overrides_apply_in_every_life_cycle(rig, wait_for):
    node, peer = rig(**{"qos_overrides./image.subscription.depth": 3, "qos_overrides./detections.publisher.depth": 2})
    for _ in range(2):
        subscription = next(s for s in node.subscriptions if s.topic_name == "/image")
        assert subscription.qos_profile.depth == 3
        assert subscription.qos_profile.reliability is ReliabilityPolicy.BEST_EFFORT
        assert next(p for p in node.publishers if p.topic_name == "/detections").qos_profile.depth == 2
        for step in (node.trigger_deactivate, node.trigger_cleanup, node.trigger_configure, node.trigger_activate):
            call(node, step)
    wait_for(lambda: are_matched(node, peer))
    send(peer, wait_for, [message(0)])
    assert not any(name.startswith("qos_overrides./mask") for name in node._parameters)


@pytest.mark.parametrize("name", ["/image.subscription", "/mask.publisher"])
def test_invalid_override_fails_the_transition(session, tiny_network, name):
    node = add_node(session, lambda file: tiny_network, **{f"qos_overrides.{name}.reliability": "maybe"})
    with pytest.raises(UserError, match="maybe.*qos_overrides"):
        node.start()
    topics = {p.topic_name for p in node.publishers} | {s.topic_name for s in node.subscriptions}
    assert not topics & {"/image", "/attention"}
