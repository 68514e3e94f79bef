"""Is ROS 2 there? Asked before anything imports it, so that the answer is one line and not a traceback."""

from __future__ import annotations

import importlib

from ..errors import UserError

SOURCED = "source your ROS 2 (. /opt/ros/<distro>/setup.sh)"
WHEELS = "without one, run 'make setup' and use .venv/bin/python"

CURES = {
    "rclpy": f"{SOURCED}; {WHEELS}",
    "vision_msgs": f"apt install ros-<distro>-vision-msgs; {WHEELS}",
    "rosbags": "run 'make setup', or: pip install rosbags",
}
"""What brings a module. Messages of the ROS core come with rclpy."""


def require(*modules: str) -> None:
    """Imports them. Raises UserError that names the first one that fails, why it failed and what brings it."""
    for name in modules:
        try:
            importlib.import_module(name)
        except ImportError as error:
            package = name.partition(".")[0]
            cure = CURES.get(package, f"apt install ros-<distro>-{package.replace('_', '-')}; {WHEELS}")
            raise UserError(f"{package} cannot be imported ({error}): {cure}") from error
