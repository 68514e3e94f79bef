"""Installs the pinned packages: all of lock.txt, or over a sourced ROS only what that ROS lacks."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from .failures import SetupError
from .progress import Progress
from .sourced_ros import SourcedRos

LOCK = Path(__file__).with_name("lock.txt")
LOCK_OLD_NUMPY = Path(__file__).with_name("lock_old_numpy.txt")

# pip asks no questions, and installs only into the environment that it belongs to.
_PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input")

# Import name to package, for what a ROS installation may have. Numba is not among them: the distributions' Numba is too
# old for the engine's fast kernels, so it always comes from the lock.
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


def install_all(python: Path, env: Mapping[str, str], progress: Progress) -> None:
    """Installs the whole lock. It is complete, so pip resolves no dependencies.

    Args:
        python: The Python of ``.venv``.
        env: The environment for programs.
        progress: Prints and runs programs.
    """
    setuptools = next(line for line in read_pins(LOCK) if line.startswith("setuptools=="))
    # First, because one package comes as source and is built with it.
    _install(python, env, progress, "--no-deps", setuptools)
    _install(python, env, progress, "--no-deps", "--no-build-isolation", "-r", str(LOCK))


def install_over_ros(python: Path, env: Mapping[str, str], progress: Progress, ros: SourcedRos) -> None:
    """Installs what this ROS lacks. Its NumPy stays, because its messages are built against it.

    Args:
        python: The Python of ``.venv``, which sees the packages of the ROS.
        env: The environment for programs.
        progress: Prints and runs programs.
        ros: The sourced ROS.
    """
    optional = dict(_OPTIONAL_IN_ROS) if ros.has_vision_msgs else dict(_OPTIONAL_IN_ROS, setuptools="setuptools")
    present = _imports_outside_venv(python, env, list(optional))
    wanted = ["numba"] + [package for module, package in optional.items() if module not in present]
    if not ros.has_vision_msgs:
        wanted += ["cmake", "ninja"]
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "constraints.txt"
        constraints.write_text("\n".join(make_constraints(ros.numpy)) + "\n")
        _install(python, env, progress, "-c", str(constraints), *wanted)
    _check_numpy(python, env, ros.numpy)


def read_pins(lock: Path) -> list[str]:
    """Reads the lines ``name==version`` or ``name==version; marker`` of a lock file."""
    lines = (line.split("#")[0].strip() for line in lock.read_text().splitlines())
    return [line for line in lines if line]


def make_constraints(numpy: str) -> list[str]:
    """Makes pip's constraints over a sourced ROS.

    Args:
        numpy: The version of the ROS's NumPy.

    Returns:
        The lines of the lock without ROS's packages, with that NumPy, and with older releases of packages that need a
        newer one.
    """
    wanted = {_name(line): line for line in read_pins(LOCK) if not line.startswith("ros-")}
    if tuple(int(part) for part in re.findall(r"\d+", numpy)[:2]) < (1, 23):
        wanted.update({_name(line): line for line in read_pins(LOCK_OLD_NUMPY)})
    wanted["numpy"] = f"numpy=={numpy}"
    return sorted(wanted.values())


def _name(pin: str) -> str:
    return re.sub(r"[-_.]+", "-", pin.split("==")[0]).lower()


def _install(python: Path, env: Mapping[str, str], progress: Progress, *arguments: str) -> None:
    progress.run("installing packages", [python, *_PIP, "install", "--no-user", "--progress-bar", "off", *arguments],
                 env, "packages")


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
