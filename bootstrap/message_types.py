"""Builds the Python types of vision_msgs where no package brings them, and keeps the wheel for the next clone."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Mapping

from . import user_cache
from .failures import CommandError, SetupError
from .progress import Progress
from .state import digest
from .wheel_file import pack_prefix

SOURCES = Path(__file__).with_name("vision_msgs")
NAME, VERSION = "vision_msgs", "4.1.1"

# Loads the compiled part as well: an import alone succeeds when its libraries are missing.
_USE_THEM = """
from vision_msgs.msg import Detection2DArray, LabelInfo
for message in (Detection2DArray, LabelInfo):
    message.__class__.__import_type_support__()
    assert message.__class__._TYPE_SUPPORT is not None
"""


def importable(python: Path, env: Mapping[str, str]) -> bool:
    """True when ``python`` can use vision_msgs, compiled part included."""
    done = subprocess.run([str(python), "-c", _USE_THEM], env=dict(env), stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return done.returncode == 0


class Wheel:
    """The wheel for the running Python and a certain ROS: its name, and its place in the user's cache."""

    def __init__(self, ros: str) -> None:
        """``ros``: any text that tells the versions of ROS apart."""
        tag = f"cp{sys.version_info[0]}{sys.version_info[1]}"
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        key = digest(SOURCES, Path(__file__), Path(__file__).with_name("wheel_file.py"), tag, platform, ros)
        self.name = f"regionmask_{NAME}-{VERSION}-{tag}-{tag}-{platform}.whl"
        self.stored = f"wheels/{key}/{self.name}"

    def in_cache(self, cache: Path | None) -> Path | None:
        """The wheel that an earlier set-up of this user has built."""
        if cache is not None and (cache / self.stored).is_file():
            return cache / self.stored
        return None

    def build(self, venv: Path, env: Mapping[str, str], progress: Progress, cache: Path | None, folder: Path) -> Path:
        """Builds the wheel into ``folder`` and keeps a copy in the cache."""
        with tempfile.TemporaryDirectory() as build:
            staging = Path(build) / "staging"
            _build(venv, env, progress, Path(build), staging)
            wheel = pack_prefix(staging, NAME, VERSION, folder / self.name)
        user_cache.keep(wheel, cache, self.stored)
        return wheel


def install(python: Path, env: Mapping[str, str], progress: Progress, wheel: Path) -> None:
    """Installs the wheel; raises `SetupFailed` when the types cannot be used afterwards."""
    progress.run("installing vision_msgs",
                 [python, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--no-user", "--no-deps",
                  "--no-index", "--force-reinstall", wheel], env, "vision_msgs")
    if not importable(python, env):
        raise SetupError("vision_msgs: the types were built and installed, but cannot be imported")


def _build(venv: Path, env: Mapping[str, str], progress: Progress, folder: Path, staging: Path) -> None:
    tools = dict(env, PATH=f"{venv / 'bin'}{os.pathsep}{env.get('PATH', os.defpath)}")
    if "AMENT_PREFIX_PATH" not in env:  # wheels: .venv itself is the prefix that holds ROS
        tools.update(AMENT_PREFIX_PATH=str(venv), LD_LIBRARY_PATH=str(venv / "lib"))
    prefixes = tools["AMENT_PREFIX_PATH"].replace(os.pathsep, ";")
    work = folder / "build"
    try:
        progress.run("building vision_msgs", [
            "cmake", "-S", SOURCES, "-B", work, "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={prefixes}",
            f"-DPython3_EXECUTABLE={venv / 'bin' / 'python'}", f"-DPYTHON_EXECUTABLE={venv / 'bin' / 'python'}",
            f"-DCMAKE_INSTALL_PREFIX={staging}", "-DCMAKE_INSTALL_LIBDIR=lib", "-DCMAKE_INSTALL_RPATH=$ORIGIN",
            "-DCMAKE_BUILD_TYPE=Release", "-DBUILD_TESTING=OFF"], tools, "vision_msgs")
        progress.run("building vision_msgs", ["cmake", "--build", work, "--target", "install"], tools, "vision_msgs")
    except CommandError as error:
        distro = env.get("ROS_DISTRO")
        if distro is None:
            raise
        raise SetupError(f"{error}\n  this ROS can bring the types ready-made: "
                          f"apt-get install ros-{distro}-vision-msgs") from error
