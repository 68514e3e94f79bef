"""Where workers put what they need for one unit."""

from __future__ import annotations

import tempfile
from contextlib import AbstractContextManager
from pathlib import Path

from ..files.temporary import temporary_folder


def scratch_folder() -> AbstractContextManager[Path]:
    """A temporary folder for the block; those of workers that have died are removed before."""
    return temporary_folder(Path(tempfile.gettempdir(), "regionmask_ros_fleet"))
