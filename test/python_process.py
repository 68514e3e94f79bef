"""Runs Python in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]


def run_python(*arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """Runs Python with this repository in its path, and with changes of the environment; returns what it printed."""
    path = os.pathsep.join([str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path, **changes}
    return subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True)
