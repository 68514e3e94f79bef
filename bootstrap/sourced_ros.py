"""Is a real ROS sourced here, and for which Python?"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Mapping

# Importing the compiled parts tells a ROS of another Python apart, which `import rclpy` alone does not.
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

# What ROS's own packages are built for, whatever `python3` on PATH is.
SYSTEM_PYTHON = "/usr/bin/python3"


@dataclass(frozen=True)
class SourcedRos:
    """``distro`` as in ROS_DISTRO, the version of the NumPy that its messages use, whether vision_msgs is there."""

    distro: str
    python: str
    numpy: str
    has_vision_msgs: bool


def is_sourced(environ: Mapping[str, str]) -> bool:
    """A set-up script of ROS has run in this shell. That says nothing yet about Python."""
    return bool(environ.get("ROS_DISTRO")) and bool(environ.get("AMENT_PREFIX_PATH"))


def find(environ: Mapping[str, str], pythons: tuple[str, ...] = (sys.executable, SYSTEM_PYTHON)) -> SourcedRos | None:
    """The sourced ROS with the first of ``pythons`` that can use it; None without one."""
    if not is_sourced(environ):
        return None
    for python in pythons:
        answer = _ask(python, environ)
        if answer is not None:
            return SourcedRos(environ["ROS_DISTRO"], python, *answer)
    return None


def _ask(python: str, environ: Mapping[str, str]) -> tuple[str, bool] | None:
    try:
        done = subprocess.run([python, "-c", _PROBE], env=dict(environ), stdin=subprocess.DEVNULL, timeout=60,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode:
        return None
    numpy, vision_msgs = json.loads(done.stdout)
    return str(numpy), bool(vision_msgs)
