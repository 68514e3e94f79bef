"""Puts the steps of the set-up in order and runs those that are due."""

from __future__ import annotations

import concurrent.futures
import os
import shlex
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from regionmask_ros import user_folders

from . import message_types, packages, prerequisites, user_cache
from .assets import NETWORK, PEDESTRIANS, VIDEO, Assets
from .environment import make_venv_environment
from .failures import SetupError
from .installer import Installer
from .interpreter import Interpreter
from .progress import Progress, watch_counts
from .sourced_ros import SourcedRos
from .state import State, compute_digest, lock_exclusively
from .unwritable import describe_fallbacks

# Two entries of the state that are facts about .venv, not keys of steps.
OVER_ROS, MADE_FROM = "over ros", "made from"
# The folders of the package that hold kernels, as in jit/cache.py.
KERNEL_ROOMS = ("core", "detection", "encoder", "engine", "jit", "mask", "sources", "tiles", "tracking")
# Its first lines are a program for the shell, and a text for Python: a path in "#!" may hold no space.
_PROGRAM = """#!/bin/sh
'''exec' {python} "$0" "$@"
' '''
# PYTHON_ARGCOMPLETE_OK: a shell may ask this program what can follow a part of a command line.
import sys

from regionmask_ros.__main__ import main

sys.exit(main())
"""
_APT_LISTS = Path("/var/lib/apt/lists")


@dataclass(frozen=True)
class SetupPaths:
    """The repository and the paths below its ``.venv``.

    Attributes:
        root: The repository.
    """

    root: Path

    @property
    def venv(self) -> Path:
        """The virtual environment."""
        return self.root / ".venv"

    @property
    def python(self) -> Path:
        """Its Python."""
        return self.venv / "bin" / "python"

    @property
    def share(self) -> Path:
        """The folder of the network and the videos."""
        return self.venv / "share" / "regionmask_ros"

    @property
    def state(self) -> Path:
        """The file that remembers which steps are done."""
        return self.venv / "setup_state.json"


class Plan:
    """What is known before the first step: the Python, the sourced ROS, and the wanted key of each step.

    A key is a hash of everything that a step depends on.
    """

    def __init__(self, root: Path, python: Interpreter, ros: SourcedRos | None, environ: Mapping[str, str]) -> None:
        """Computes the keys.

        Args:
            root: The repository.
            python: The Python that ``.venv`` is made from.
            ros: The sourced ROS; None for wheels.
            environ: The environment.
        """
        self.place, self.base, self.ros, self.environ = SetupPaths(root), python, ros, environ
        self.env = make_venv_environment(ros is not None, environ)
        self.cache = user_cache.find_folder(environ)
        here = Path(__file__).parent
        origin = f"ROS {ros.distro} NumPy {ros.numpy} {ros.has_vision_msgs}" if ros else "wheels"
        self.venv_key = compute_digest(str(self.place.venv), python.executable, python.dotted, origin)
        self.packages_key = compute_digest(packages.LOCK, packages.LOCK_OLD_NUMPY, here / "packages.py",
                                           here / "installer.py", self.venv_key)
        ros_lines = [line for line in packages.read_pins(packages.LOCK) if line.startswith("ros-")]
        self.ros_versions = origin if ros else "\n".join(ros_lines)
        self.messages_key = compute_digest(message_types.SOURCES, here / "message_types.py", here / "wheel_file.py",
                                           self.ros_versions)
        package = root / "regionmask_ros"
        kernels = [*(package / room for room in KERNEL_ROOMS), package / "pipeline" / "warmup.py"]
        self.kernels_key = compute_digest(*kernels, self.packages_key)
        tiles = package / "tiles"
        self.tile_library = tiles / "native" / "libtiles.so"
        sources = sorted(path for path in self.tile_library.parent.rglob("*") if path.suffix in (".cpp", ".h"))
        self.tiles_key = compute_digest(*sources, tiles / "native_sources.py", root / "setup.py", self.base.machine)

    @property
    def has_ros(self) -> bool:
        """Whether ``.venv`` gets a ROS: the sourced one, or wheels."""
        return self.ros is not None or self.base.has_ros_wheels

    @property
    def builds_messages(self) -> bool:
        """Whether message types have to be built."""
        return self.has_ros and not (self.ros and self.ros.has_vision_msgs)

    def is_done(self, state: State) -> bool:
        """Checks quickly, by keys, sizes and existence, whether all steps are done; runs no program."""
        share = self.place.share
        return (not state.unfinished and os.access(self.place.python, os.X_OK)
                and state.has("venv", self.venv_key) and state.has("packages", self.packages_key)
                and (not self.has_ros or state.has("vision_msgs", self.messages_key))
                and NETWORK.is_at(share) and VIDEO.is_at(share) and self.has_tried_pedestrians(state)
                and state.has("kernels", self.kernels_key) and self.has_library(state))

    def has_library(self, state: State) -> bool:
        """Checks whether the tile engine's library is there, or cannot be made: without a compiler, or not with it."""
        failed = state.has("no tile kernels", self.tiles_key)
        there = state.has("tile kernels", self.tiles_key) and self.tile_library.is_file()
        return there or failed or not prerequisites.has_cxx_compiler(self.environ)

    def has_tried_pedestrians(self, state: State) -> bool:
        """Checks whether the optional video is there, or apt's lists are those of the last attempt to get it."""
        return PEDESTRIANS.is_at(self.place.share) or state.has("no vtest.avi", _apt_lists_stamp())

    def find_missing(self, state: State) -> list[prerequisites.Missing]:
        """Finds what the machine lacks for the steps that are due."""
        space = [] if self.place.python.exists() else prerequisites.find_missing_space(self.place.root)
        builds_messages = self.builds_messages and not state.has("vision_msgs", self.messages_key)
        return prerequisites.find_missing(self.base, builds_messages, self.environ) + space


def set_up(plan: Plan) -> None:
    """Runs the steps that are due. Two set-ups of one folder take turns.

    Args:
        plan: The plan.
    """
    place = plan.place
    waiting = "waiting for another set-up of this folder"
    with lock_exclusively(Path(__file__), lambda: print(waiting, flush=True)) as lock:
        if plan.is_done(State(place.state)):
            return
        progress = Progress(place.venv / "log", hold=lock)
        state = _create_venv(plan, progress)
        for line in describe_fallbacks(plan.environ, place.venv, plan.has_ros):
            progress.print_line(line)
        if not prerequisites.has_cxx_compiler(plan.environ):
            progress.print_line("no C++ compiler: the tile engine runs its slow reference; install g++ (Debian "
                                "package: g++) and run `make setup` again")
        _install_packages(plan, state, progress)
        _run_parallel(progress, [
            lambda: _provide_messages(plan, state, progress),
            lambda: _fetch_assets_and_compile(plan, state, progress),
            lambda: _compile_library(plan, state, progress),
            lambda: _fetch_pedestrians(plan, state, progress),
        ])
        progress.print_line(f"ready: {place.python}")


def _create_venv(plan: Plan, progress: Progress) -> State:
    venv = plan.place.venv
    state = State(plan.place.state)
    if state.has("venv", plan.venv_key) and not state.unfinished and os.access(plan.place.python, os.X_OK):
        return state
    if venv.is_symlink() or venv.is_file():
        venv.unlink()
    elif venv.exists():
        why = "is incomplete" if state.unfinished else "is from another place, Python or ROS"
        progress.print_line(f".venv {why}: creating it again")
        shutil.rmtree(venv)
    over = f" over ROS {plan.ros.distro}" if plan.ros else ""
    progress.print_line(f"creating .venv with Python {plan.base.dotted}{over}")
    venv.mkdir()
    state = State(plan.place.state)
    with state.writing("venv"):
        (venv / "COLCON_IGNORE").touch()
        options = ["--system-site-packages"] if plan.ros else []
        progress.run("creating .venv", [plan.base.executable, "-m", "venv", *options, venv], plan.env, "venv")
    state.set(OVER_ROS, "yes" if plan.ros else "no")
    state.set(MADE_FROM, plan.base.executable)
    state.set("venv", plan.venv_key)
    return state


def _install_packages(plan: Plan, state: State, progress: Progress) -> None:
    if state.has("packages", plan.packages_key):
        return
    installer = Installer(plan.place.python, plan.env, progress)
    with state.writing("packages"):
        if plan.ros:
            progress.print_line(f"installing what ROS {plan.ros.distro} lacks; its NumPy {plan.ros.numpy} stays")
            packages.install_over_ros(installer, plan.ros)
        else:
            progress.print_line(f"installing {len(packages.read_pins(packages.LOCK))} pinned packages")
            packages.install_setuptools(installer)
            # pip uses one processor for more than a minute, and compiling needs nothing but setuptools.
            _run_parallel(progress, [
                lambda: packages.install_all(installer),
                lambda: _compile_library(plan, state, progress),
            ])
        _make_repository_importable(plan)
    state.set("packages", plan.packages_key)


def _make_repository_importable(plan: Plan) -> None:
    libraries = plan.place.venv / "lib" / f"python{plan.base.dotted}" / "site-packages"
    (libraries / "regionmask_ros_repository.pth").write_text(f"{plan.place.root}\n")
    program = plan.place.venv / "bin" / "regionmask_ros"
    program.write_text(_PROGRAM.format(python=shlex.quote(str(plan.place.python))))
    program.chmod(0o755)


def _provide_messages(plan: Plan, state: State, progress: Progress) -> None:
    if not plan.has_ros:
        progress.print_line(f"no ROS: there are no wheels for {plan.base.machine}; the node needs a sourced ROS")
        return
    if state.has("vision_msgs", plan.messages_key):
        return
    outdated = "vision_msgs" in state.keys  # an earlier set-up built another version
    if outdated or not message_types.is_usable(plan.place.python, plan.env):
        wheel = message_types.Wheel(plan.ros_versions)
        cached = wheel.find_in_cache(plan.cache)
        # A wheel is code: whoever writes into its folder decides what this program does.
        reason = user_folders.find_distrust(cached.parent) if cached else ""
        if reason:
            progress.print_line(f"vision_msgs: the wheel in the user's cache is not used, because {reason}")
            cached = None
        if cached is None or not _installs_from_cache(plan, state, progress, cached):
            progress.print_line("vision_msgs: building the message types")
            with tempfile.TemporaryDirectory() as folder:
                built = wheel.build(plan.place.venv, plan.env, progress, plan.cache, Path(folder))
                _install_messages(plan, state, progress, built)
    state.set("vision_msgs", plan.messages_key)


def _installs_from_cache(plan: Plan, state: State, progress: Progress, cached: Path) -> bool:
    progress.print_line("vision_msgs: message types from the user's cache")
    try:
        _install_messages(plan, state, progress, cached)
    except SetupError:
        return False
    return True


def _install_messages(plan: Plan, state: State, progress: Progress, wheel: Path) -> None:
    with state.writing("vision_msgs"):
        message_types.install(plan.place.python, plan.env, progress, wheel)


def _fetch_assets_and_compile(plan: Plan, state: State, progress: Progress) -> None:
    place = plan.place
    assets = Assets(place.python, place.share, plan.env, progress, plan.cache)
    assets.fetch_network()
    assets.fetch_video()
    if not state.has("kernels", plan.kernels_key):
        progress.print_line("compiling kernels, the first time only")
        command: list[str | Path] = [place.python, "-m", "regionmask_ros.pipeline.warmup"]
        progress.run("compiling kernels", command, plan.env, "kernels",
                     watch=watch_counts("compiling kernels"))
        state.set("kernels", plan.kernels_key)


def _compile_library(plan: Plan, state: State, progress: Progress) -> None:
    """Compiles the tile engine's kernels. They are not required: without them its reference in NumPy runs."""
    what = "compiling the tile engine's kernels"
    if plan.has_library(state):
        return
    progress.print_line(what)
    command: list[str | Path] = [plan.place.python, "setup.py", "build_ext", "--inplace"]
    progress.run(what, command, plan.env, "tile_kernels", cwd=plan.place.root, watch=watch_counts(what))
    if plan.tile_library.is_file():
        state.set("tile kernels", plan.tiles_key)
    else:
        log = progress.logs / "tile_kernels.log"
        progress.print_line(f"the compiler refused the tile engine's kernels, see {log}: its slow reference runs")
        state.set("no tile kernels", plan.tiles_key)


def _fetch_pedestrians(plan: Plan, state: State, progress: Progress) -> None:
    if not plan.has_tried_pedestrians(state):
        stamp = _apt_lists_stamp()
        if not Assets(plan.place.python, plan.place.share, plan.env, progress, plan.cache).fetch_pedestrians():
            state.set("no vtest.avi", stamp)


def _apt_lists_stamp() -> str:
    """Changes with `apt-get update`, after which another attempt is worth it."""
    try:
        return str(_APT_LISTS.stat().st_mtime_ns)
    except OSError:
        return "none"


def _run_parallel(progress: Progress, jobs: list[Callable[[], None]]) -> None:
    """Runs the jobs in threads. When one fails, the others are ended and its exception is raised."""
    with concurrent.futures.ThreadPoolExecutor(len(jobs)) as pool:
        running = [pool.submit(job) for job in jobs]
        try:
            for done in concurrent.futures.as_completed(running):
                done.result()
        except BaseException:
            progress.stop()
            raise
