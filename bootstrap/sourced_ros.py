"""Finds out whether a ROS is sourced in this shell, and which Python can use it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass

# It imports compiled parts, because `import rclpy` alone also succeeds with a ROS that was built for another Python.
_PROBE = """
import json, sys
import rclpy.node
from sensor_msgs.msg import Image
import numpy
Image()
try:
    from vision_msgs.msg import Detection2DArray
    Detection2DArray()
    vision_msgs = True
except ImportError:
    vision_msgs = False
print(json.dumps([numpy.__version__, vision_msgs]))
"""

# ROS's own packages are built for it, whatever `python3` on PATH is.
SYSTEM_PYTHON = "/usr/bin/python3"


@dataclass(frozen=True)
class SourcedRos:
    """A ROS that is sourced and works.

    Attributes:
        distro: Its name, as in ROS_DISTRO.
        python: The Python that can use it.
        numpy: The version of the NumPy that its messages use.
        has_vision_msgs: Whether vision_msgs is installed.
    """

    distro: str
    python: str
    numpy: str
    has_vision_msgs: bool


def is_sourced(environ: Mapping[str, str]) -> bool:
    """Checks whether a set-up script of ROS has run in this shell, which says nothing yet about Python."""
    return bool(environ.get("ROS_DISTRO")) and bool(environ.get("AMENT_PREFIX_PATH"))


def find(environ: Mapping[str, str], pythons: tuple[str, ...] = (sys.executable, SYSTEM_PYTHON)) -> SourcedRos | None:
    """Finds the sourced ROS.

    Args:
        environ: The shell's environment.
        pythons: Interpreters to try, the preferred one first.

    Returns:
        The ROS with the first Python that can use it; None if none is sourced or none of them can.
    """
    if not is_sourced(environ):
        return None
    for python in pythons:
        answer = _probe(python, environ)
        if answer is not None:
            return SourcedRos(environ["ROS_DISTRO"], python, *answer)
    return None


def _probe(python: str, environ: Mapping[str, str]) -> tuple[str, bool] | None:
    """NumPy's version and whether vision_msgs is there; None when this Python cannot use the ROS."""
    try:
        done = subprocess.run([python, "-c", _PROBE], env=dict(environ), stdin=subprocess.DEVNULL, timeout=60,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode:
        return None
    numpy, vision_msgs = json.loads(done.stdout)
    return str(numpy), bool(vision_msgs)
