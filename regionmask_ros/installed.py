"""The files that the set-up installs for the Python environment that runs this program: a network, and videos."""

from __future__ import annotations

import sys
from pathlib import Path


def installed_file(name: str) -> Path:
    """Where the set-up installs a file; it may be missing."""
    return Path(sys.prefix) / "share" / "regionmask_ros" / name
