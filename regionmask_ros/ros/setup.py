"""Checks before ROS is imported: whether its packages are there, and the environment that images need.

Imports nothing of ROS, so that what is missing gives one line and no traceback. The environment makes images go
through shared memory; see config/fastdds_images.xml.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from ..errors import UserError

SOURCED = "source your ROS 2 (. /opt/ros/<distro>/setup.sh)"
WHEELS = "without one, run 'make setup' and use .venv/bin/python"

HINTS = {
    "rclpy": f"{SOURCED}; {WHEELS}",
    "vision_msgs": f"apt install ros-<distro>-vision-msgs; {WHEELS}",
    "rosbags": "run 'make setup', or: pip install rosbags",
}
"""How to get a package. Messages of the ROS core come with rclpy."""


def require(*modules: str) -> None:
    """Imports modules.

    Args:
        modules: Their names.

    Raises:
        UserError: One cannot be imported: which, why, and how to get it.
    """
    for name in modules:
        try:
            importlib.import_module(name)
        except ImportError as error:
            package = name.partition(".")[0]
            hint = HINTS.get(package, f"apt install ros-<distro>-{package.replace('_', '-')}; {WHEELS}")
            raise UserError(f"{package} cannot be imported ({error}): {hint}") from error


PROFILE = "fastdds_images.xml"

PROFILE_KEYS = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
"""Kilted and later read the first; Humble to Jazzy know only the second, about which later ones warn."""

OLDER_DISTRIBUTIONS = ("humble", "iron", "jazzy")

TRANSPORTS_KEY = "FASTDDS_BUILTIN_TRANSPORTS"


def image_environment(profile: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Returns the variables to add to an environment; none when the user has chosen a profile or transports."""
    if any(environment.get(key) for key in (*PROFILE_KEYS, TRANSPORTS_KEY)):
        return {}
    newer, older = PROFILE_KEYS
    return {older if environment.get("ROS_DISTRO") in OLDER_DISTRIBUTIONS else newer: str(profile)}


def use_profile() -> None:
    """Sets the profile for this process unless the user has chosen one. Call it before ROS is initialized."""
    profile = find_profile()
    if profile is not None:
        os.environ.update(image_environment(profile, os.environ))


def find_profile() -> Path | None:
    """Returns the profile beside this package's source, below this Python's prefix or where colcon has installed it."""
    prefixes = [Path(sys.prefix), *map(Path, filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)))]
    places = [prefix / "share" / "regionmask_ros" / "config" / PROFILE for prefix in prefixes]
    beside = Path(__file__).resolve().parents[2] / "config" / PROFILE
    return next((place for place in (beside, *places) if place.is_file()), None)
