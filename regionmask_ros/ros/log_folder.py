"""The folder of ROS's log files. Where the usual one cannot be written, ROS would refuse to start: another is found.

Imports nothing of ROS.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import tempfile
from collections.abc import Iterator, MutableMapping
from pathlib import Path

KEY, HOME_KEY = "ROS_LOG_DIR", "ROS_HOME"


def prepare_log_folder(environment: MutableMapping[str, str], venv: Path | None = None) -> str:
    """Sets ``ROS_LOG_DIR`` if ROS could not write into the folder that it would use.

    Args:
        environment: That of this process, which is changed.
        venv: The virtual environment; None for the running one, if there is one.

    Returns:
        A line for the user; empty if nothing had to be changed.
    """
    usual = _usual_folder(environment)
    if usual is not None and _can_write(usual):
        return ""
    shown = usual if usual is not None else "a folder in the home of a user without one"
    for folder in _other_folders(environment, venv):
        if _can_write(folder):
            environment[KEY] = str(folder)
            return f"ROS cannot write its log files into {shown}: they are in {folder} ({KEY})"
    return f"ROS cannot write its log files into {shown}, nor can any other folder be used: set {KEY}"


def _usual_folder(environment: MutableMapping[str, str]) -> Path | None:
    """The folder as ROS chooses it."""
    if environment.get(KEY):
        return _absolute(environment[KEY])
    if environment.get(HOME_KEY):
        return _absolute(os.path.join(environment[HOME_KEY], "log"))
    home = environment.get("HOME", "")
    return _absolute(os.path.join(home, ".ros", "log")) if home else None


def _absolute(text: str) -> Path:
    return Path(os.path.abspath(os.path.expanduser(text)))


def _other_folders(environment: MutableMapping[str, str], venv: Path | None) -> Iterator[Path]:
    """Folders of ours: in the user's cache, in this Python environment, in the folder for temporary files."""
    cache, home = environment.get("XDG_CACHE_HOME", ""), environment.get("HOME", "")
    if os.path.isabs(cache):
        yield Path(cache) / "regionmask_ros" / "log"
    elif os.path.isabs(home):
        yield Path(home) / ".cache" / "regionmask_ros" / "log"
    if venv or sys.prefix != sys.base_prefix:
        yield Path(venv or sys.prefix) / "cache" / "regionmask_ros" / "log"
    shared = Path(tempfile.gettempdir()) / f"regionmask_ros-{os.geteuid()}"
    if _is_private(shared):
        yield shared / "log"


def _is_private(folder: Path) -> bool:
    """Makes a folder; whether it is a folder of this user that nobody else can write to."""
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700)
    try:
        status = os.lstat(folder)
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o022


def _can_write(folder: Path) -> bool:
    """Makes the folder, and tries."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except (OSError, ValueError):
        return False
