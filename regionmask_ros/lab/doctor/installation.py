"""Checks of this Python: what the detector always needs, and what it can use. `Finding` is the result of one check."""

from __future__ import annotations

import importlib
import importlib.util
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from ...errors import UserError
from ...importing.opening import open_network
from ...network.names import DEFAULT, INSTALLED

OK, ABSENT, BROKEN = "ok", "absent", "broken"
"""It works; it is not installed, and need not be; it should work but does not."""

SETUP = "run 'make setup' and use .venv/bin/python"
LOWEST_PYTHON, HIGHEST_PYTHON = (3, 10), (3, 13)
NETWORK_SUBJECT = "trained network"
REQUIRED = (("NumPy", "numpy"), ("OpenCV", "cv2"), ("Numba", "numba"))

USEFUL = (
    ("ROS 2", "rclpy", "source your ROS 2 (. /opt/ros/<distro>/setup.sh), or run 'make setup'; only the node needs it"),
    ("vision_msgs", "vision_msgs", "apt install ros-<distro>-vision-msgs, or run 'make setup'; only the node needs it"),
    ("h5py", "h5py", "run 'make setup', or: pip install h5py; only networks in .net files need it"),
    ("simplejpeg", "simplejpeg", "run 'make setup', or: pip install simplejpeg; it notices damage inside JPEG images"),
)


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        subject: What was checked.
        state: OK, ABSENT or BROKEN.
        fact: What was found.
        cure: What to do; empty for nothing.
    """

    subject: str
    state: str
    fact: str
    cure: str = ""


def check_installation() -> Iterator[Finding]:
    """Checks Python, required and useful packages, the engine and the network. Imports all of them."""
    fits = LOWEST_PYTHON <= sys.version_info[:2] <= HIGHEST_PYTHON
    yield Finding("Python", OK if fits else BROKEN, f"{platform.python_version()} at {sys.executable}",
                  "" if fits else "use a Python from 3.10 to 3.13")
    is_complete = True
    for name, module in REQUIRED:
        found = _check_import(name, module, BROKEN, SETUP)
        is_complete &= found.state == OK
        yield found
    if is_complete:
        yield _check_engine()
        yield _check_tiles()
    yield _check_network()
    for name, module, cure in USEFUL:
        yield _check_import(name, module, ABSENT, cure)


def _check_import(name: str, module: str, state_if_missing: str, cure: str) -> Finding:
    try:
        exists = importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        exists = False
    if not exists:
        return Finding(name, state_if_missing, "not installed", cure)
    try:
        version = getattr(importlib.import_module(module), "__version__", "")
    except Exception as error:  # noqa: BLE001  an import can raise anything, and all of it is reported
        return Finding(name, BROKEN, f"installed, but cannot be imported: {error}", cure)
    return Finding(name, OK, version or "installed")


def _check_engine() -> Finding:
    from ...engine.engine import PORTABLE, available_kernel_sets

    fastest = available_kernel_sets()[0]
    slow = " (this processor has neither AVX-512 nor AVX2: two to three times slower)" if fastest == PORTABLE else ""
    return Finding("event engine", OK, f"kernels for {fastest}{slow}")


def _check_tiles() -> Finding:
    from ...metrics.machine import find_flags
    from ...tiles.compiled import list_kernel_sets, open_library
    from ...tiles.engine import KERNELS_KEY, choose_kernel_set

    found = list_kernel_sets()
    if not found:
        return Finding("tile engine", ABSENT, f"{INSTALLED} runs where no network is named, and not {DEFAULT}",
                       open_library().absence)
    try:
        chosen = choose_kernel_set()
    except UserError as error:
        return Finding("tile engine", BROKEN, str(error), f"change or unset {KERNELS_KEY}")
    is_refused = "amx_int8" in find_flags() and "amx_int8" not in found
    refused = "; AMX is there, but the system does not permit it, or it multiplied wrongly" if is_refused else ""
    return Finding("tile engine", OK, f"kernels for {chosen} (of {', '.join(found)}){refused}")


def _check_network() -> Finding:
    try:
        network = open_network()
    except UserError as error:
        return Finding(NETWORK_SUBJECT, BROKEN, str(error), "run 'make setup' or 'model import'")
    return Finding(NETWORK_SUBJECT, OK, f"{network.name}, {network.source_file}")
