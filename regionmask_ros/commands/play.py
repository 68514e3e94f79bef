"""Publish a video, a folder of pictures or a bag's pictures on an image topic, as a camera would.

Pictures go out at their own pace, best effort (as camera drivers do), stamped with the time of now; with --clock they
carry simulated time, which is published on /clock: that of a bag is the bag's own.

  python -m regionmask_ros play street.mp4 --topic /camera/image_raw
  python -m regionmask_ros play pictures/ --rate 0.5 --clock
  python -m regionmask_ros play my_bag/ --bag-topic /front/image_raw --clock --loop
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from ..errors import UserError
from ..ros.session import StopRequest
from ..sources import Source, open_source
from ._cli import EXIT_OK, command_main

SLOWEST, FASTEST = 0.001, 1000.0

LINGER_S = 0.3
"""How long the publisher outlives its last picture, which may still be on its way."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help="a video file, a folder of images, or a bag (mcap or db3)")
    parser.add_argument("--topic", default="image", metavar="T", help="topic to publish on (default: image)")
    parser.add_argument("--bag-topic", default="", metavar="T", help="topic of a bag with several (default: --topic)")
    parser.add_argument("--compressed", action="store_true", help="publish JPEG on TOPIC/compressed")
    parser.add_argument("--loop", action="store_true", help="play it again and again, until Ctrl-C")
    parser.add_argument("--rate", type=float, default=1.0, metavar="R", help="speed factor (default: 1.0)")
    parser.add_argument("--max-frames", metavar="N", type=int, help="stop after N frames")
    parser.add_argument("--clock", action="store_true", help="simulated time: from the source, also on /clock")
    parser.add_argument("--wait", type=float, default=2.0, metavar="S",
                        help="wait for a subscriber, at most so many seconds (default: 2)")
    parser.add_argument(
        "--ros-args", nargs=argparse.REMAINDER, default=[], metavar="...", help="such as: -r __ns:=/front"
    )
    parser.add_argument("--json", default="", metavar="FILE", help="write how many frames were published, and how fast")


def run(args: argparse.Namespace) -> int:
    """Plays to the end or to Ctrl-C, and tells how many frames were published."""
    _check(args)
    with StopRequest() as stop, open_source(args.source, args.bag_topic, args.topic) as source:
        from ..ros.setup import require, use_profile

        use_profile()
        require("rclpy", "sensor_msgs", "vision_msgs")
        _play(source, args, stop)
    return EXIT_OK


def check_rate(rate: float) -> None:
    """Raises UserError for a speed that nobody can wait for or keep up with."""
    if not SLOWEST <= rate <= FASTEST:
        raise UserError(f"--rate {rate}: must lie between {SLOWEST} and {FASTEST}")


def check_max_frames(count: int | None) -> None:
    """Raises UserError for a limit that leaves no frame."""
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
        if not player.wait_for_subscriber(args.wait, stop) and not stop.is_set():
            print(f"nobody listens on {player.topic} yet; playing all the same", file=sys.stderr)
        played = PlaybackStats(0, 0.0)
        for played in islice(player.play(source, Pace(args.rate, args.clock, args.loop), stop), args.max_frames):
            pass
        stop.wait(LINGER_S)
        topic = player.topic
    print(f"published {played.frames} frames on {topic} in {played.seconds:.1f} s")
    if args.json:
        report = {"frames": played.frames, "seconds": round(played.seconds, 3), "topic": topic, "source": source.name}
        write_whole(Path(args.json), json.dumps(report).encode())


def main(argv: Sequence[str] | None = None) -> int:
    return command_main("play", argv)
