"""Fixtures for tests with ROS: a private domain, a session, and a node with its peer."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import pytest

rclpy = pytest.importorskip("rclpy", reason="rclpy is missing: `make setup` brings it")
pytest.importorskip("vision_msgs", reason="vision_msgs is missing: `make setup` brings it")

from regionmask_ros.ros import diagnostics  # noqa: E402
from regionmask_ros.ros.node import DetectorNode  # noqa: E402
from regionmask_ros.ros.session import RosSession  # noqa: E402
from regionmask_ros.ros.setup import find_profile, image_environment  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def ros_environment():
    """A ROS domain for this process and those that tests start, free of other programs. All systems allow 1 to 101.

    Processes of one test run have a common parent, and each has its number there.
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    number = os.getppid() + int(worker.removeprefix("gw")) if worker else os.getpid()
    alone = {"ROS_DOMAIN_ID": str(1 + number % 100), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    os.environ.update({**alone, **image_environment(find_profile(), os.environ)})


@pytest.fixture
def session(ros_environment):
    with RosSession() as opened:
        yield opened


def wait_for(condition: Callable[[], Any], timeout_s: float = 180.0) -> Any:
    """Returns the first true value of ``condition()``. The timeout only ends a test that hangs."""
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
    """A function that starts a node, with a small random network by default, and its peer, matched when it is active.

    The node reports five times a second instead of once, so that tests wait less.
    """
    from rig import Peer, add_node, are_matched

    monkeypatch.setattr(diagnostics, "REPORT_PERIOD_S", 0.2)

    def make(kind: type[Peer] = Peer, network=tiny_network, **parameters: object) -> tuple[DetectorNode, Peer]:
        node = add_node(session, lambda file: network, **{"score_threshold": 0.0, **parameters})
        peer = session.add(kind)
        session.spin()
        node.start()
        if node.get_parameter("autostart").value:
            wait_for(lambda: are_matched(node, peer))
        return node, peer

    return make
