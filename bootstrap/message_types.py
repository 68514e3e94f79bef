"""Builds the Python types of vision_msgs if no package has them, and caches the wheel for other clones."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Mapping
from pathlib import Path

from . import user_cache
from .failures import CommandError, SetupError
from .installer import PIP
from .progress import Progress, watch_counts
from .state import compute_digest
from .wheel_file import pack_prefix

SOURCES = Path(__file__).with_name("vision_msgs")
NAME, VERSION = "vision_msgs", "4.1.1"

# Loads the compiled part as well: an import alone succeeds even if its libraries are missing.
_TEST_USE = """
from vision_msgs.msg import Detection2DArray, LabelInfo
for message in (Detection2DArray, LabelInfo):
    message.__class__.__import_type_support__()
    assert message.__class__._TYPE_SUPPORT is not None
"""


def is_usable(python: Path, env: Mapping[str, str]) -> bool:
    """Checks whether ``python`` can use vision_msgs, compiled part included."""
    done = subprocess.run([str(python), "-c", _TEST_USE], env=dict(env), stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return done.returncode == 0


class Wheel:
    """The wheel of vision_msgs for the running Python and one ROS.

    Attributes:
        name: Its file name.
        cache_name: Its path below the user's cache.
    """

    def __init__(self, ros: str) -> None:
        """Computes the names.

        Args:
            ros: Any text that differs between versions of ROS.
        """
        tag = f"cp{sys.version_info[0]}{sys.version_info[1]}"
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        key = compute_digest(SOURCES, Path(__file__), Path(__file__).with_name("wheel_file.py"), tag, platform, ros)
        self.name = f"regionmask_{NAME}-{VERSION}-{tag}-{tag}-{platform}.whl"
        self.cache_name = f"wheels/{key}/{self.name}"

    def find_in_cache(self, cache: Path | None) -> Path | None:
        """Finds the wheel that an earlier set-up of this user built; None if there is none."""
        if cache is not None and (cache / self.cache_name).is_file():
            return cache / self.cache_name
        return None

    def build(self, venv: Path, env: Mapping[str, str], progress: Progress, cache: Path | None, folder: Path) -> Path:
        """Builds the wheel.

        Args:
            venv: The folder of ``.venv``, which has CMake and Ninja.
            env: The environment for programs.
            progress: Prints and runs programs.
            cache: The user's cache, which receives a copy; None for none.
            folder: The folder for the wheel.

        Returns:
            The wheel's path.
        """
        with tempfile.TemporaryDirectory() as build:
            staging = Path(build) / "staging"
            _build(venv, env, progress, Path(build), staging)
            wheel = pack_prefix(staging, NAME, VERSION, folder / self.name)
        user_cache.store(wheel, cache, self.cache_name)
        return wheel


def install(python: Path, env: Mapping[str, str], progress: Progress, wheel: Path) -> None:
    """Installs the wheel.

    Args:
        python: The Python of ``.venv``.
        env: The environment for programs.
        progress: Prints and runs programs.
        wheel: The wheel.

    Raises:
        SetupError: When the types cannot be used afterwards.
    """
    progress.run("installing vision_msgs",
                 [python, *PIP, "install", "--no-user", "--no-deps", "--no-index", "--force-reinstall", wheel], env,
                 "vision_msgs")
    if not is_usable(python, env):
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
        progress.run("building vision_msgs", ["cmake", "--build", work, "--target", "install"], tools, "vision_msgs",
                     watch=watch_counts("building vision_msgs"))
    except CommandError as error:
        distro = env.get("ROS_DISTRO")
        if distro is None:
            raise
        raise SetupError(f"{error}\n  a package for this ROS has the types: "
                          f"apt-get install ros-{distro}-vision-msgs") from error
