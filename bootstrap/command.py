"""Runs the commands of the set-up, and chooses the Python that does it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from . import interpreter, prerequisites, sourced_ros
from .environment import make_venv_environment
from .failures import SetupError
from .lava import set_up_lava
from .optional import OPTIONAL, add_packages, add_torch
from .plan import MADE_FROM, OVER_ROS, Plan, SetupPaths, set_up
from .state import State

ROOT = Path(__file__).resolve().parent.parent

_EXIT_FAILED, _EXIT_USER, _EXIT_INTERRUPTED = 1, 2, 130
_THIS = "--with-this-python"
_USAGE = (f"usage: python3 -m bootstrap setup [{_THIS}] | lava | add {{{','.join(OPTIONAL)}}} | torch REQUIREMENT | "
          f"python ARGUMENTS...")
# The reason why the set-up was restarted with another Python. Each reason restarts it only once, so that this ends.
_CHOSEN = "REGIONMASK_SETUP_PYTHON_CHOSEN"


def main(arguments: list[str]) -> int:
    """Runs one command.

    ``setup`` makes ``.venv`` and ``lava`` makes ``.venv/lava``. ``add`` and ``torch`` install more into ``.venv``.
    ``python`` replaces this process by ``.venv``'s Python, in an environment that suits it. ``setup`` keeps the Python
    of an existing ``.venv``; with ``--with-this-python`` it uses the running one.

    Args:
        arguments: The command and its arguments.

    Returns:
        The exit status.
    """
    if arguments[:1] == ["setup"] and arguments[1:] in ([], [_THIS]):
        return _report_failures(lambda: _setup(arguments))
    if arguments == ["lava"]:
        return _report_failures(lambda: _with_venv(set_up_lava))
    if len(arguments) == 2 and arguments[0] == "add" and arguments[1] in OPTIONAL:
        return _report_failures(lambda: _with_venv(add_packages, arguments[1]))
    if len(arguments) == 2 and arguments[0] == "torch":
        return _report_failures(lambda: _with_venv(add_torch, arguments[1]))
    if arguments[:1] == ["python"]:
        _become_python(arguments[1:])
    print(_USAGE, file=sys.stderr)
    return _EXIT_USER


def _report_failures(work: Callable[[], int]) -> int:
    """Runs ``work`` and returns its exit status; a failure becomes one message and a status of its own."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return work()
    except (SetupError, OSError) as error:
        print(f"regionmask_ros set-up: error: {error}", file=sys.stderr)
        return _EXIT_FAILED
    except KeyboardInterrupt:
        print("regionmask_ros set-up: interrupted; the next run continues", file=sys.stderr)
        return _EXIT_INTERRUPTED


def _setup(arguments: list[str]) -> int:
    ros = _ros_for_this_python(arguments)
    plan = Plan(ROOT, interpreter.describe_running(), ros, os.environ)
    state = State(plan.place.state)
    if plan.is_done(state):
        print(".venv is ready: nothing to do", flush=True)
        return 0
    if ros is None and sourced_ros.is_sourced(os.environ):
        print(f"ROS {os.environ['ROS_DISTRO']} is sourced, but neither {sys.executable} nor "
              f"{sourced_ros.SYSTEM_PYTHON} can import its rclpy and NumPy: setting up without it", flush=True)
    missing = plan.find_missing(state)
    for thing in missing:
        print(f"regionmask_ros set-up: {thing}", file=sys.stderr)
    if missing:
        print(f"regionmask_ros set-up: everything on Debian and Ubuntu: {prerequisites.APT_LINE}", file=sys.stderr)
        return _EXIT_USER
    set_up(plan)
    return 0


def _with_venv(work: Callable[..., None], *arguments: str) -> int:
    if not os.access(SetupPaths(ROOT).python, os.X_OK):
        raise SetupError("there is no .venv yet; run: make setup")
    work(ROOT, os.environ, *arguments)
    return 0


def _ros_for_this_python(arguments: list[str]) -> sourced_ros.SourcedRos | None:
    """Finds the sourced ROS, and restarts the set-up if another Python is the right one.

    The right one is outside of an activated virtual environment. With a ROS it is ROS's own; otherwise it is the one
    that ``.venv`` was made from.

    Args:
        arguments: The command and its arguments, for the restart.

    Returns:
        The ROS that this Python can use; None without one.
    """
    why = os.environ.pop(_CHOSEN, "")
    if why == "fits":
        return sourced_ros.find(os.environ, (sys.executable,))
    base = interpreter.find_base_python()
    if base and not why:
        _restart_with(base, arguments, "outside")
    ros = sourced_ros.find(os.environ)
    if ros is None:
        made_from = State(SetupPaths(ROOT).state).keys.get(MADE_FROM, "")
        if _THIS not in arguments and made_from != os.path.realpath(sys.executable) and os.access(made_from, os.X_OK):
            _restart_with(made_from, arguments, "fits")
    elif ros.python != sys.executable:
        _restart_with(ros.python, arguments, "fits")
    return ros


def _restart_with(python: str, arguments: list[str], why: str) -> NoReturn:
    os.execve(python, [python, "-m", "bootstrap", *arguments], {**os.environ, _CHOSEN: why})


def _become_python(arguments: list[str]) -> NoReturn:
    place = SetupPaths(ROOT)
    if not os.access(place.python, os.X_OK):
        print("regionmask_ros set-up: error: there is no .venv yet; run: make setup", file=sys.stderr)
        sys.exit(_EXIT_USER)
    over_ros = State(place.state).keys.get(OVER_ROS) == "yes"
    os.execve(place.python, [str(place.python), *arguments], make_venv_environment(over_ros))


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
