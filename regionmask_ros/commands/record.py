"""The work of the command ``record``, whose arguments are in ``arguments/record.py``."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from ..errors import UserError
from ..files.temporary import temporary_folder, write_all_through
from ..ros.stopping import StopRequest
from ._cli import EXIT_OK, command_main

POLL_PERIOD_S = 0.2


def run(args: argparse.Namespace) -> int:
    """Records until a signal. The bag appears when it is complete; after a signal before the start there is none."""
    target = Path(args.output)
    if os.path.lexists(target):
        raise UserError(f"{target}: exists already: give a new folder for the bag")
    with StopRequest() as stop:
        from ..ros.setup import require, use_profile

        use_profile()
        require("rclpy", "sensor_msgs", "diagnostic_msgs", "vision_msgs", "rosbags")
        with temporary_folder(target) as folder:
            unfinished = folder / target.name
            counts = _record(args, unfinished, stop)
            if stop.exit_status:
                return stop.exit_status
            write_all_through(unfinished)
            os.rename(unfinished, target)
    for topic, count in counts.items():
        print(f"{count:8d}  {topic}")
    print(f"recorded in {target}")
    return EXIT_OK


def _record(args: argparse.Namespace, folder: Path, stop: StopRequest) -> dict[str, int]:
    from contextlib import closing

    from ..ros.recorder import BagWriter, Recorder, topics_below
    from ..ros.session import RosSession

    topics, name = topics_below(args.namespace, not args.without_images), Path(args.output).name
    with closing(BagWriter(folder, topics, name)) as bag, RosSession(["--ros-args", *args.ros_args]) as session:
        recorder = session.add(lambda **node: Recorder(bag, topics, **node))
        session.spin(stop.fail)
        stop.mark_running()
        while not stop.wait(POLL_PERIOD_S) and recorder.failure is None:
            pass
        if recorder.failure is not None:
            raise recorder.failure
        if stop.failure:
            raise UserError(f"the recording has ended early: {stop.failure}")
    return recorder.counts


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    return command_main("record", argv)
