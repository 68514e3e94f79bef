"""This Python: what the detector needs in any case, and what it can use."""

from __future__ import annotations

import importlib
import importlib.util
import platform
import sys
from collections.abc import Iterator

from ...errors import UserError
from ...network.files import find_network, load_network
from .finding import ABSENT, BROKEN, OK, Finding

SETUP = "run 'make setup' and use .venv/bin/python"
PYTHONS = ((3, 10), (3, 13))
REQUIRED = (("NumPy", "numpy"), ("OpenCV", "cv2"), ("Numba", "numba"))

USEFUL = (
    ("ROS 2", "rclpy", "source your ROS 2 (. /opt/ros/<distro>/setup.sh), or run 'make setup'; only the node needs it"),
    ("vision_msgs", "vision_msgs", "apt install ros-<distro>-vision-msgs, or run 'make setup'; only the node needs it"),
    ("h5py", "h5py", "run 'make setup', or: pip install h5py; only networks in .net files need it"),
)


def findings() -> Iterator[Finding]:
    """Imports what it looks at."""
    lowest, highest = PYTHONS
    fits = lowest <= sys.version_info[:2] <= highest
    yield Finding("Python", OK if fits else BROKEN, f"{platform.python_version()} at {sys.executable}",
                  "" if fits else "use a Python from 3.10 to 3.13")
    missing = False
    for name, module in REQUIRED:
        found = _try_import(name, module, BROKEN, SETUP)
        missing |= found.state == BROKEN
        yield found
    if not missing:
        yield _engine()
    yield _network()
    for name, module, cure in USEFUL:
        yield _try_import(name, module, ABSENT, cure)


def _try_import(name: str, module: str, without: str, cure: str) -> Finding:
    try:
        there = importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        there = False
    if not there:
        return Finding(name, without, "not installed", cure)
    try:
        version = getattr(importlib.import_module(module), "__version__", "")
    except Exception as error:  # noqa: BLE001  whatever is wrong with it, it is told
        return Finding(name, BROKEN, f"installed, but cannot be imported: {error}", cure)
    return Finding(name, OK, version or "installed")


def _engine() -> Finding:
    from ...engine.engine import PORTABLE, available_kernel_sets

    path = available_kernel_sets()[0]
    slow = " (this processor has neither AVX-512 nor AVX2: two to three times slower)" if path == PORTABLE else ""
    return Finding("event engine", OK, f"kernels for {path}{slow}")


def _network() -> Finding:
    try:
        network = load_network(find_network())
    except UserError as error:
        return Finding("trained network", BROKEN, str(error), "run 'make setup' or 'model import'")
    return Finding("trained network", OK, f"{network.name}, {network.source_file}")
