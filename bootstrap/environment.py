"""Which environment variables the programs of the set-up, the tests and the demo get."""

from __future__ import annotations

import os
from typing import Mapping

# A sourced or half-sourced ROS, another virtual environment, or the re-start guard of the ROS wheels: each makes the
# wheels find files of another installation.
_OF_ANOTHER_INSTALLATION = (
    "PYTHONPATH", "PYTHONHOME", "PYTHONSAFEPATH", "LD_LIBRARY_PATH", "AMENT_PREFIX_PATH", "CMAKE_PREFIX_PATH",
    "COLCON_PREFIX_PATH", "ROS_DISTRO", "ROS_VERSION", "ROS_PYTHON_VERSION", "RMW_IMPLEMENTATION",
    "_ROS_WHEELS_BOOTSTRAP_COMPLETE", "__PYVENV_LAUNCHER__",
)

# Settings that would send an installation elsewhere than into .venv, and make's own messages to its children.
_NEVER = ("VIRTUAL_ENV", "PIP_TARGET", "PIP_PREFIX", "PIP_USER", "PIP_ROOT", "MAKEFLAGS", "MFLAGS", "MAKELEVEL")


def venv_environment(over_ros: bool, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """A copy of the environment that suits ``.venv/bin/python``.

    Over a sourced ROS its variables stay. With wheels, everything that points to another installation goes.
    """
    removed = _NEVER if over_ros else _NEVER + _OF_ANOTHER_INSTALLATION
    source = os.environ if environ is None else environ
    return {name: value for name, value in source.items() if name not in removed}
