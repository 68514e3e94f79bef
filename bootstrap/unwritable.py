"""Finds folders of the user that cannot be written, and says what is used instead, before the long steps."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from regionmask_ros.user_folders import can_be_written

from . import user_cache


def describe_fallbacks(environ: Mapping[str, str], venv: Path, has_ros: bool) -> list[str]:
    """Describes what is kept in ``.venv`` because the usual folder cannot be written.

    Args:
        environ: The environment.
        venv: The virtual environment, which exists.
        has_ros: Whether it has a ROS.

    Returns:
        A line for the cache and one for ROS's log files, as far as they are not where they should be.
    """
    # Here: prerequisites are checked before anything of the package is needed.
    from regionmask_ros.ros.log_folder import prepare_log_folder

    lines, usual = [], user_cache.find_folder(environ)
    if usual is None or not can_be_written(usual):
        lines.append(f"{usual or 'a cache in the home of a user without one'} cannot be written: compiled kernels and "
                     f"networks are kept in {venv / 'cache' / 'regionmask_ros'}")
    log = prepare_log_folder(dict(environ), venv) if has_ros else ""
    return [*lines, log] if log else lines
