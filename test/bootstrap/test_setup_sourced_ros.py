"""A sourced ROS is one that a Python can really use; its variables stay then, and go otherwise."""

from __future__ import annotations

import os
import sys

import numpy as np
import pytest

from bootstrap import sourced_ros
from bootstrap.environment import make_venv_environment

SOURCED = {"ROS_DISTRO": "kilted", "AMENT_PREFIX_PATH": "/opt/ros/kilted"}


@pytest.mark.parametrize("environ", [{}, {"ROS_DISTRO": "kilted"}, {"AMENT_PREFIX_PATH": "/opt/ros/kilted"}])
def test_without_both_variables_no_python_is_asked(environ):
    assert sourced_ros.find(environ, ("/no/such/python",)) is None


def test_variables_alone_are_no_ros(tmp_path):
    broken = tmp_path / "python3"
    broken.write_text("#!/bin/sh\necho '[\"1.26.4\", true]'\nexit 1\n")
    broken.chmod(0o755)
    assert sourced_ros.find({**os.environ, **SOURCED}, ("/no/such/python", str(broken))) is None


def test_the_first_python_that_can_use_it_is_taken():
    pytest.importorskip("rclpy", reason="rclpy is not installed")
    found = sourced_ros.find({**os.environ, **SOURCED}, ("/no/such/python", sys.executable))
    assert found == sourced_ros.SourcedRos("kilted", sys.executable, np.__version__, has_vision_msgs=True)


def test_over_ros_its_variables_stay():
    environ = dict(SOURCED, PYTHONPATH="/opt/ros/kilted/lib", LD_LIBRARY_PATH="/opt/ros/kilted/lib", HOME="/nowhere")
    assert make_venv_environment(True, environ) == environ


def test_with_wheels_nothing_of_another_installation_stays():
    environ = dict(SOURCED, PYTHONPATH="/opt/x", LD_LIBRARY_PATH="/opt/x", RMW_IMPLEMENTATION="rmw_x", PIP_TARGET="/x",
                   ROS_DOMAIN_ID="7", PIP_CONFIG_FILE="/etc/pip.conf")
    assert make_venv_environment(False, environ) == {"ROS_DOMAIN_ID": "7", "PIP_CONFIG_FILE": "/etc/pip.conf"}
