"""``python -m checks.soak``: runs the parts one after the other, and prints one table for each."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Sequence

from regionmask_ros.commands._cli import run_guarded
from regionmask_ros.commands.demo import default_video
from regionmask_ros.interrupts import end_at_signals
from regionmask_ros.network.files import find_network, load_network

from .table import Line, format_table

TRUTH_SHARE = 5
"""Long truth may take so many times as long as the overload."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program.

    Args:
        argv: Its arguments; None: those of the process.

    Returns:
        The exit status: 1 when something that is demanded is missed.
    """
    parser = argparse.ArgumentParser(prog="python -m checks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0,
                        help=f"length of the overload; long truth ends after {TRUTH_SHARE} times as long")
    parser.add_argument("--frames", type=int, default=100_000, help="frames of long truth at most")
    parser.add_argument("--check-every", type=int, default=1000, help="frames from one comparison to the next")
    parser.add_argument("--parts", default=" ".join(PARTS), help="which parts are run")
    parser.add_argument("--video", default=default_video(), help="the clip")
    args = parser.parse_args(argv)
    unknown = [name for name in args.parts.split() if name not in PARTS]
    if unknown or min(args.minutes, args.frames, args.check_every) <= 0:
        parser.error(f"numbers must be positive, and parts are: {' '.join(PARTS)}")
    return run_guarded(lambda: max([_run(name, args) for name in args.parts.split()], default=0))


def _run(name: str, args: argparse.Namespace) -> int:
    print(f"{name}:", flush=True)
    lines = PARTS[name](args)
    print(format_table(lines), flush=True)
    return 0 if all(line.is_met for line in lines) else 1


def _overload(args: argparse.Namespace) -> list[Line]:
    from regionmask_ros.ros.demo.show import use_private_domain

    use_private_domain()
    from .overload import run_overload

    with tempfile.TemporaryDirectory(prefix="regionmask_ros_soak_") as logs:
        os.environ["ROS_LOG_DIR"] = logs
        return run_overload(args.video, args.minutes * 60.0, _say)


def _truth(args: argparse.Namespace) -> list[Line]:
    from .truth import Plan, load_clip, run_truth

    plan = Plan(args.frames, args.check_every, TRUTH_SHARE * args.minutes * 60.0)
    return run_truth(load_network(find_network()), load_clip(args.video), plan, _say)


PARTS: dict[str, Callable[[argparse.Namespace], list[Line]]] = {"overload": _overload, "truth": _truth}


def _say(line: str) -> None:
    print(f"  {line}", flush=True)


if __name__ == "__main__":
    end_at_signals()
    sys.exit(main())
