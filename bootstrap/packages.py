"""Installs the pinned packages: all of lock.txt, or over a sourced ROS only what that ROS lacks."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from .failures import SetupError
from .installer import Installer, Pins, name_of, normalize_name
from .sourced_ros import SourcedRos

LOCK = Path(__file__).with_name("lock.txt")
LOCK_OLD_NUMPY = Path(__file__).with_name("lock_old_numpy.txt")

# Always from the lock: the distributions' Numba is too old for the engine's fast kernels, and other releases of PyAV
# decode other pixels.
_OWN = ("numba", "av")
# Import name to package, for what a ROS installation may have.
_OPTIONAL_IN_ROS = {
    "cv2": "opencv-python-headless", "matplotlib": "matplotlib", "tqdm": "tqdm", "yaml": "PyYAML", "pytest": "pytest",
    "xdist": "pytest-xdist", "hypothesis": "hypothesis", "rosbags": "rosbags", "h5py": "h5py",
}
_TEST_IMPORTS = """
import importlib, json, os, sys
found = []
for name in sys.argv[1:]:
    try:
        module = importlib.import_module(name)
    except Exception:
        continue
    if not os.path.abspath(module.__file__).startswith(sys.prefix + os.sep):
        found.append(name)
print("\\n" + json.dumps(found))
"""


def install_setuptools(installer: Installer) -> None:
    """Installs what one package of the lock, which comes as source, and the package itself are built with.

    Args:
        installer: Installs into ``.venv``.
    """
    pins = read_hashes(LOCK)
    installer.install({pin: hashes for pin, hashes in pins.items() if name_of(pin) == "setuptools"}, "packages")


def install_all(installer: Installer) -> None:
    """Installs the whole lock, after setuptools. It is complete, so pip resolves no dependencies.

    Args:
        installer: Installs into ``.venv``.
    """
    installer.install(read_hashes(LOCK), "packages")


def install_over_ros(installer: Installer, ros: SourcedRos) -> None:
    """Installs what this ROS lacks. Its NumPy stays, because its messages are built against it.

    Args:
        installer: Installs into ``.venv``, whose Python sees the packages of the ROS.
        ros: The sourced ROS.
    """
    pins = choose_pins(ros.numpy)
    names = choose_names(ros, lambda modules: _imports_outside_venv(installer.python, installer.env, modules))
    installer.install({pin: hashes for pin, hashes in pins.items() if name_of(pin) in names}, "packages")
    install_needs(installer, names, pins)
    _check_numpy(installer.python, installer.env, ros.numpy)


def choose_names(ros: SourcedRos, find_present: Callable[[list[str]], list[str]]) -> set[str]:
    """Chooses what is installed over a sourced ROS.

    Args:
        ros: The sourced ROS.
        find_present: Returns which modules the ROS's Python has, of those that it is given.

    Returns:
        Normalized names of packages.
    """
    optional = dict(_OPTIONAL_IN_ROS) if ros.has_vision_msgs else dict(_OPTIONAL_IN_ROS, setuptools="setuptools")
    present = find_present(list(optional))
    tools = () if ros.has_vision_msgs else ("cmake", "ninja")
    lacking = [package for module, package in optional.items() if module not in present]
    return {normalize_name(package) for package in (*_OWN, *tools, *lacking)}


def install_needs(installer: Installer, names: set[str], pins: Pins) -> None:
    """Installs what installed packages need. Older releases of pip cannot look needs up and verify hashes at once.

    Args:
        installer: Installs into ``.venv``.
        names: Normalized names of the packages.
        pins: Where the needs are pinned. One that is not stays as it is.

    Raises:
        SetupError: When an installation fails.
    """
    done = set(names)
    while True:
        unmet = installer.find_unmet(done) - done
        needed = {pin: hashes for pin, hashes in pins.items() if name_of(pin) in unmet}
        if not needed:
            return
        installer.install(needed, "packages")
        done |= unmet


def read_pins(lock: Path) -> list[str]:
    """Reads the pins of a lock file, ``name==version`` or ``name==version; marker``, without their hashes."""
    return list(read_hashes(lock))


def read_hashes(lock: Path) -> dict[str, tuple[str, ...]]:
    """Reads a lock file.

    Args:
        lock: The file, in pip's format: comments, and pins with their hashes on continued lines.

    Returns:
        Of each pin, ``name==version`` or ``name==version; marker``, the hashes of the files that may be installed, in
        pip's notation, "sha256:...".
    """
    text = "\n".join(line.split("#")[0].rstrip() for line in lock.read_text().splitlines())
    lines = (re.split(r"\s+--hash=", line.strip()) for line in text.replace("\\\n", " ").splitlines())
    return {pin: tuple(hashes) for pin, *hashes in lines if pin}


def choose_pins(numpy: str) -> dict[str, tuple[str, ...]]:
    """Chooses the pins over a sourced ROS.

    Args:
        numpy: The version of the ROS's NumPy.

    Returns:
        The lock without ROS's packages and without NumPy, with older releases of packages that need a newer NumPy.
    """
    wanted = {name_of(pin): (pin, hashes) for pin, hashes in read_hashes(LOCK).items() if not pin.startswith("ros-")}
    if tuple(int(part) for part in re.findall(r"\d+", numpy)[:2]) < (1, 23):
        wanted.update({name_of(pin): (pin, hashes) for pin, hashes in read_hashes(LOCK_OLD_NUMPY).items()})
    del wanted["numpy"]
    return dict(sorted(wanted.values()))


def _imports_outside_venv(python: Path, env: Mapping[str, str], modules: list[str]) -> list[str]:
    done = subprocess.run([str(python), "-c", _TEST_IMPORTS, *modules], env=dict(env), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else []


def _check_numpy(python: Path, env: Mapping[str, str], wanted: str) -> None:
    done = subprocess.run([str(python), "-c", "import numpy; print(numpy.__version__)"], env=dict(env),
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False)
    if done.returncode or done.stdout.split()[-1:] != [wanted]:
        raise SetupError(f"NumPy must stay at ROS's {wanted}, but .venv now has: {done.stdout.strip()[-200:]}")
