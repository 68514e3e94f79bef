"""The two commands of the set-up, and the choice of the Python that does it."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Callable

from . import interpreter, sourced_ros
from .environment import venv_environment
from .failures import SetupError
from .lava import set_up_lava
from .plan import MADE_FROM, OVER_ROS, Plan, SetupPaths, set_up
from .state import State

ROOT = Path(__file__).resolve().parent.parent

_EXIT_FAILED, _EXIT_USER, _EXIT_INTERRUPTED = 1, 2, 130
_THIS = "--with-this-python"
_USAGE = f"usage: python3 -m bootstrap setup [{_THIS}] | lava | python ARGUMENTS..."
# Why the set-up has been started again with another Python: each reason counts once, so that this ends.
_CHOSEN = "REGIONMASK_SETUP_PYTHON_CHOSEN"


def main(arguments: list[str]) -> int:
    """``setup`` makes ``.venv``; ``lava`` makes ``.venv/lava``; ``python`` starts ``.venv``'s Python in a fitting
    environment and becomes that process.

    Plain ``setup`` keeps the Python of a ``.venv`` that is there; with ``--with-this-python`` it is the running one.
    """
    if arguments[:1] == ["setup"] and arguments[1:] in ([], [_THIS]):
        return _reported(lambda: _setup(arguments))
    if arguments == ["lava"]:
        return _reported(_lava)
    if arguments[:1] == ["python"]:
        return _exec_python(arguments[1:])
    print(_USAGE, file=sys.stderr)
    return _EXIT_USER


def _reported(work: Callable[[], int]) -> int:
    """Its exit status; failures are told in words, with a status of their own."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return work()
    except (SetupError, OSError) as error:
        print(f"regionmask_ros set-up: error: {error}", file=sys.stderr)
        return _EXIT_FAILED
    except KeyboardInterrupt:
        print("regionmask_ros set-up: interrupted; the next run goes on", file=sys.stderr)
        return _EXIT_INTERRUPTED


def _setup(arguments: list[str]) -> int:
    ros = _ros_for_this_python(arguments)
    plan = Plan(ROOT, interpreter.running(), ros, os.environ)
    state = State(plan.place.state)
    if plan.is_done(state):
        print(".venv is ready: nothing to do", flush=True)
        return 0
    if ros is None and sourced_ros.is_sourced(os.environ):
        print(f"ROS {os.environ['ROS_DISTRO']} is sourced, but neither {sys.executable} nor "
              f"{sourced_ros.SYSTEM_PYTHON} can import its rclpy and NumPy: setting up without it", flush=True)
    missing = plan.missing(state)
    for thing in missing:
        print(f"regionmask_ros set-up: {thing}", file=sys.stderr)
    if missing:
        return _EXIT_USER
    set_up(plan)
    return 0


def _lava() -> int:
    if not os.access(SetupPaths(ROOT).python, os.X_OK):
        raise SetupError("there is no .venv yet; run: make setup")
    set_up_lava(ROOT, os.environ)
    return 0


def _ros_for_this_python(arguments: list[str]) -> sourced_ros.SourcedRos | None:
    """The sourced ROS. Starts the set-up again when another Python is the right one.

    That is one outside of an activated virtual environment, ROS's own, or the one that ``.venv`` was made from.
    """
    why = os.environ.pop(_CHOSEN, "")
    if why == "fits":
        return sourced_ros.find(os.environ, (sys.executable,))
    outside = interpreter.base_interpreter()
    if outside and not why:
        _restart_with(outside, arguments, "outside")
    ros = sourced_ros.find(os.environ)
    if ros is None:
        made_from = State(SetupPaths(ROOT).state).keys.get(MADE_FROM, "")
        if _THIS not in arguments and made_from != os.path.realpath(sys.executable) and os.access(made_from, os.X_OK):
            _restart_with(made_from, arguments, "fits")
    elif ros.python != sys.executable:
        _restart_with(ros.python, arguments, "fits")
    return ros


def _restart_with(python: str, arguments: list[str], why: str) -> None:
    os.execve(python, [python, "-m", "bootstrap", *arguments], {**os.environ, _CHOSEN: why})


def _exec_python(arguments: list[str]) -> int:
    place = SetupPaths(ROOT)
    if not os.access(place.python, os.X_OK):
        print("regionmask_ros set-up: error: there is no .venv yet; run: make setup", file=sys.stderr)
        return _EXIT_USER
    over_ros = State(place.state).keys.get(OVER_ROS) == "yes"
    os.execve(place.python, [str(place.python), *arguments], venv_environment(over_ros))


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
