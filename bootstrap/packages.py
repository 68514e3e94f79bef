"""The pinned packages: all of them from the lock with wheels, only what is missing over a sourced ROS."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Mapping

from .failures import SetupError
from .progress import Progress
from .sourced_ros import SourcedRos

LOCK = Path(__file__).with_name("lock.txt")
LOCK_OLD_NUMPY = Path(__file__).with_name("lock_old_numpy.txt")

# pip asks nothing, and installs nowhere else than into the environment that it belongs to.
_PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input")

# Import name to package, for what a ROS installation may bring or not. Numba is not among them: the distributions' is
# older than the engine's fast kernels need, so it always comes from the lock.
_MAY_BE_THERE = {
    "cv2": "opencv-python-headless", "matplotlib": "matplotlib", "tqdm": "tqdm", "yaml": "PyYAML", "pytest": "pytest",
    "hypothesis": "hypothesis", "rosbags": "rosbags", "h5py": "h5py",
}
_IMPORT_THEM = """
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
    """Installs the whole lock. It is complete, so nothing is resolved and nothing else can come in."""
    setuptools = next(line for line in pins(LOCK) if line.startswith("setuptools=="))
    # First, because one package comes as source and is built with it.
    _install(python, env, progress, "--no-deps", setuptools)
    _install(python, env, progress, "--no-deps", "--no-build-isolation", "-r", str(LOCK))


def install_on_ros(python: Path, env: Mapping[str, str], progress: Progress, ros: SourcedRos) -> None:
    """Installs what this ROS does not bring; its NumPy stays, because its messages are built against it."""
    may_be_there = dict(_MAY_BE_THERE) if ros.has_vision_msgs else dict(_MAY_BE_THERE, setuptools="setuptools")
    there = _imports_outside_venv(python, env, list(may_be_there))
    wanted = ["numba"] + [package for module, package in may_be_there.items() if module not in there]
    if not ros.has_vision_msgs:
        wanted += ["cmake", "ninja"]
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "constraints.txt"
        constraints.write_text("\n".join(ros_constraints(ros.numpy)) + "\n")
        _install(python, env, progress, "-c", str(constraints), *wanted)
    _check_numpy(python, env, ros.numpy)


def pins(lock: Path) -> list[str]:
    """The lines ``name==version`` or ``name==version; marker`` of a lock file."""
    lines = (line.split("#")[0].strip() for line in lock.read_text().splitlines())
    return [line for line in lines if line]


def ros_constraints(numpy: str) -> list[str]:
    """The lock without ROS and with the NumPy that is there; older releases of what needs a newer NumPy than that."""
    wanted = {_name(line): line for line in pins(LOCK) if not line.startswith("ros-")}
    if tuple(int(part) for part in re.findall(r"\d+", numpy)[:2]) < (1, 23):
        wanted.update({_name(line): line for line in pins(LOCK_OLD_NUMPY)})
    wanted["numpy"] = f"numpy=={numpy}"
    return sorted(wanted.values())


def _name(pin: str) -> str:
    return re.sub(r"[-_.]+", "-", pin.split("==")[0]).lower()


def _install(python: Path, env: Mapping[str, str], progress: Progress, *arguments: str) -> None:
    progress.run("installing packages", [python, *_PIP, "install", "--no-user", "--progress-bar", "off", *arguments],
                 env, "packages")


def _imports_outside_venv(python: Path, env: Mapping[str, str], modules: list[str]) -> list[str]:
    done = subprocess.run([str(python), "-c", _IMPORT_THEM, *modules], env=dict(env), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else []


def _check_numpy(python: Path, env: Mapping[str, str], wanted: str) -> None:
    done = subprocess.run([str(python), "-c", "import numpy; print(numpy.__version__)"], env=dict(env),
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode or done.stdout.split()[-1:] != [wanted]:
        raise SetupError(f"NumPy {wanted} of ROS should have stayed, but .venv now sees: {done.stdout.strip()[-200:]}")
