"""Adds packages to ``.venv`` that not everybody needs (``make runtimes``, ``rerun-setup``, ``check-setup``, ...)."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from .environment import make_venv_environment
from .installer import PIP, Installer, name_of
from .packages import LOCK, install_needs, read_hashes, read_pins
from .plan import OVER_ROS, SetupPaths
from .progress import Progress
from .state import State, compute_digest, lock_exclusively

OPTIONAL = {name: LOCK.with_name(f"lock_{name}.txt") for name in ("check", "fleet", "foxglove", "rerun", "runtimes")}
"""Of each name that can be added: its lock file."""


def add_packages(root: Path, environ: Mapping[str, str], name: str) -> None:
    """Installs what a lock file pins, unless that was done. What ``.venv`` has stays as it is.

    Args:
        root: The repository. Its ``.venv`` must exist.
        environ: The environment.
        name: A key of `OPTIONAL`.
    """
    place, lock = SetupPaths(root), OPTIONAL[name]
    with lock_exclusively(lock, lambda: print(f"waiting for another set-up of {name}", flush=True)) as handle:
        key, state = compute_digest(lock, LOCK), State(place.state)
        if state.has(name, key):
            return
        installer = _make_installer(place, environ, state, Progress(place.venv / "log", hold=handle))
        pins = read_hashes(lock)
        installer.progress.print_line(f"installing {len(pins)} pinned packages: {name}")
        installer.install(pins, name)
        # Over a sourced ROS, .venv lacks packages of the main lock that these may need. Elsewhere nothing is unmet.
        install_needs(installer, {name_of(pin) for pin in pins}, read_hashes(LOCK))
        # Read again: `make setup` may have written meanwhile.
        State(place.state).set(name, key)


def add_torch(root: Path, environ: Mapping[str, str], requirement: str) -> None:
    """Installs the PyTorch that the user chose. No lock file knows it, so its hash is not verified.

    Args:
        root: The repository. Its ``.venv`` must exist.
        environ: The environment.
        requirement: A requirement for pip, such as "torch==2.13.0".
    """
    place = SetupPaths(root)
    progress = Progress(place.venv / "log")
    installer = _make_installer(place, environ, State(place.state), progress)
    progress.print_line(f"installing {requirement}, which is your choice: no lock file pins its hash")
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "constraints.txt"
        constraints.write_text("\n".join(read_pins(LOCK)) + "\n")
        progress.run("installing PyTorch", [
            installer.python, *PIP, "install", "--no-user", "--progress-bar", "off", "--constraint", constraints,
            requirement], installer.env, "torch")


def _make_installer(place: SetupPaths, environ: Mapping[str, str], state: State, progress: Progress) -> Installer:
    over_ros = state.keys.get(OVER_ROS) == "yes"
    return Installer(place.python, make_venv_environment(over_ros, environ), progress)
