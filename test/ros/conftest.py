"""A ROS domain of our own, so that tests hear neither other programs nor each other's processes on another run."""

from __future__ import annotations

import os
import time

import pytest

rclpy = pytest.importorskip("rclpy", reason="rclpy is missing: `make setup` brings it")
pytest.importorskip("vision_msgs", reason="vision_msgs is missing: `make setup` brings it")

from regionmask_ros.ros.dds_profile import find_profile, picture_environment  # noqa: E402
from regionmask_ros.ros.session import RosSession  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def ros_environment():
    """For this process and those that tests start. Other systems than Linux allow domains up to 101."""
    alone = {"ROS_DOMAIN_ID": str(1 + os.getpid() % 100), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    os.environ.update({**alone, **picture_environment(find_profile(), os.environ)})


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
