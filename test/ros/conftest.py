"""A ROS domain of our own, so that tests hear neither other programs nor each other's processes on another run."""

from __future__ import annotations

import os
import time

import pytest

rclpy = pytest.importorskip("rclpy", reason="rclpy is missing: `make setup` brings it")
pytest.importorskip("vision_msgs", reason="vision_msgs is missing: `make setup` brings it")

from rclpy.parameter import Parameter  # noqa: E402

from regionmask_ros.ros import diagnostics  # noqa: E402
from regionmask_ros.ros.node import DetectorNode  # noqa: E402
from regionmask_ros.ros.session import RosSession  # noqa: E402
from regionmask_ros.ros.setup import find_profile, image_environment  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def ros_environment():
    """For this process and those that tests start. Other systems than Linux allow domains up to 101."""
    alone = {"ROS_DOMAIN_ID": str(1 + os.getpid() % 100), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    os.environ.update({**alone, **image_environment(find_profile(), os.environ)})


@pytest.fixture
def session(ros_environment):
    with RosSession() as opened:
        yield opened


def wait_for(condition, timeout_s: float = 10.0):
    """Returns the first true value of ``condition()``; fails when there is none in time."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.01)
    return value


@pytest.fixture(name="wait_for")
def wait_for_fixture():
    return wait_for


@pytest.fixture
def rig(session, tiny_network, wait_for, monkeypatch):
    """A function that makes a node with a small random network and its peer, matched in both ways when it is active.

    The node reports five times a second instead of once, so that tests need not wait.
    """
    from rig import MATCH_S, Peer

    monkeypatch.setattr(diagnostics, "REPORT_PERIOD_S", 0.2)

    def make(kind: type = Peer, **parameters: object) -> tuple[DetectorNode, Peer]:
        overrides = [Parameter(name, value=value) for name, value in {"score_threshold": 0.0, **parameters}.items()]
        node = session.add(lambda **given: DetectorNode(
            load=lambda file: tiny_network, parameter_overrides=overrides, **given
        ))
        peer = session.add(kind)
        session.spin()
        node.start()
        if node.get_parameter("autostart").value:
            wait_for(lambda: peer.camera.get_subscription_count() and node.count_subscribers("/diagnostics"))
            time.sleep(MATCH_S)
        return node, peer

    return make
