"""The work of the command ``play``, whose arguments are in ``arguments/play.py``."""

from __future__ import annotations

import argparse
import json
import math
import sys
from array import array
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from ..errors import UserError
from ..ros.stopping import StopRequest
from ..sources import Source, open_source
from ._cli import command_main
from ._pictures import make_reading, report_dropped

MIN_RATE, MAX_RATE = 0.001, 1000.0

LINGER_S = 0.3
"""How long the publisher exists after its last image, which may still be in transport."""


def run(args: argparse.Namespace) -> int:
    """Plays until the end or a signal, and prints the number of published frames.

    Args:
        args: The arguments.

    Returns:
        The exit status: 128 and the signal's number if there was no player yet, else of ``report_dropped``.
    """
    _check(args)
    reading = make_reading(args)
    with StopRequest() as stop, open_source(args.source, args.bag_topic, args.topic, reading=reading) as source:
        from ..ros.setup import require, use_profile

        use_profile()
        require("rclpy", "sensor_msgs", "vision_msgs")
        _play(source, args, stop)
    return stop.exit_status or report_dropped(reading, args)


def check_rate(rate: float) -> None:
    """Raises UserError for a rate out of range."""
    if not MIN_RATE <= rate <= MAX_RATE:
        raise UserError(f"--rate {rate}: must be between {MIN_RATE} and {MAX_RATE}")


def check_max_frames(count: int | None) -> None:
    """Raises UserError for a limit below 1."""
    if count is not None and not 1 <= count <= sys.maxsize:
        raise UserError(f"--max-frames {count}: must be 1 or more")


def _check(args: argparse.Namespace) -> None:
    check_rate(args.rate)
    check_max_frames(args.max_frames)
    if not (math.isfinite(args.wait) and args.wait >= 0.0):
        raise UserError(f"--wait {args.wait}: must be 0 or more seconds")


def _play(source: Source, args: argparse.Namespace, stop: StopRequest) -> None:
    from ..files.outputs import write_whole
    from ..ros.player import Pace, PlaybackStats, Player
    from ..ros.session import RosSession

    with RosSession(["--ros-args", *args.ros_args]) as session:
        player = session.add(lambda **node: Player(args.topic, args.clock, args.compressed, **node))
        stop.mark_running()
        if not player.wait_for_subscriber(args.wait, stop) and not stop.is_set():
            print(f"no subscriber on {player.topic} yet; playing anyway", file=sys.stderr)
        stats = PlaybackStats(0, 0.0)
        played = player.play(source, Pace(args.rate, args.clock, args.loop), stop)
        stamps = array("q")
        for newest in islice(played, args.max_frames):
            stats = newest
            if args.json:
                stamps.append(stats.stamp_ns)
        stop.wait(LINGER_S)
        topic = player.topic
    print(f"published {stats.frames} frames on {topic} in {stats.seconds:.1f} s")
    if args.json:
        report = {"frames": stats.frames, "seconds": round(stats.seconds, 3), "topic": topic, "source": source.name,
                  **source.reading.dropped.as_json(), "stamps_ns": stamps.tolist()}
        write_whole(Path(args.json), json.dumps(report).encode())


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    return command_main("play", argv)
