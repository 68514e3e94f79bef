"""Chooses the environment variables for the programs of the set-up, the tests and the demo."""

from __future__ import annotations

import os
from collections.abc import Mapping

# A sourced or half-sourced ROS, another virtual environment, or the re-start guard of the ROS wheels: each makes the
# wheels find files of another installation.
_OF_ANOTHER_INSTALLATION = (
    "PYTHONPATH", "PYTHONHOME", "PYTHONSAFEPATH", "LD_LIBRARY_PATH", "AMENT_PREFIX_PATH", "CMAKE_PREFIX_PATH",
    "COLCON_PREFIX_PATH", "ROS_DISTRO", "ROS_VERSION", "ROS_PYTHON_VERSION", "RMW_IMPLEMENTATION",
    "_ROS_WHEELS_BOOTSTRAP_COMPLETE", "__PYVENV_LAUNCHER__",
)

# Settings that would send an installation elsewhere than into .venv, and make's own messages to its children.
_NEVER = ("VIRTUAL_ENV", "PIP_TARGET", "PIP_PREFIX", "PIP_USER", "PIP_ROOT", "MAKEFLAGS", "MFLAGS", "MAKELEVEL")


def make_venv_environment(over_ros: bool, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Copies the environment without the variables that would mislead ``.venv/bin/python``.

    Args:
        over_ros: Whether ``.venv`` uses a sourced ROS, whose variables then stay. With ROS from wheels, every variable
            that points to another installation is removed.
        environ: The environment to copy; None for that of this process.

    Returns:
        The variables for ``.venv/bin/python``.
    """
    removed = _NEVER if over_ros else _NEVER + _OF_ANOTHER_INSTALLATION
    source = os.environ if environ is None else environ
    return {name: value for name, value in source.items() if name not in removed}
