"""Node and player on a real video, as two processes; their topics recorded in a bag, and pages made from it.

Leaves in the output folder: report.html (look at this first), annotated.mp4, detections.csv, summary.json, and the
rosbag2 folder bag/ with the detections, masks and overlays that the node published.

  python -m regionmask_ros demo --output demo_output
  python -m regionmask_ros demo --output demo_output --video "my street.mp4"
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ..errors import UserError
from ..sources import Source, open_source
from ._cli import EXIT_OK, command_main, format_command
from .play import check_rate

SHORT_VIDEO_S = 20.0
"""So short a video is played at half speed: node, player and recorder then get along on two cores, frame for frame."""

DEFAULT_VIDEO = Path(sys.prefix) / "share" / "regionmask_ros" / "bikes.mp4"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", metavar="DIR", required=True, help="folder for the results; an older demo's goes")
    parser.add_argument("--video", metavar="FILE", default=str(DEFAULT_VIDEO),
                        help="a video file or a folder of pictures (default: the street scene of the set-up)")
    parser.add_argument("--rate", type=float, metavar="R",
                        help="speed of playing (default: half speed up to 20 s of video, real time beyond)")


def run(args: argparse.Namespace) -> int:
    """Runs the demonstration. Bad input is found before any process starts."""
    from ..network.files import find_network
    from ..ros.setup import require

    if args.rate is not None:
        check_rate(args.rate)
    if not args.video:
        raise UserError("--video: give a file, or leave the option out")
    with open_source(args.video) as source:
        find_network()
        require("rosbags")
        return _demonstrate(args, source)


def _demonstrate(args: argparse.Namespace, source: Source) -> int:
    from ..ros.demo.folder import DemoFolder
    from ..ros.demo.show import Progress, show, use_private_domain

    environment = use_private_domain()
    from ..ros.demo.pages import FrameSeries, write_files, write_page

    with DemoFolder(args.output) as folder:
        rate = _rate(args, source)
        print(f"starting the node; then {source.name} is played to it, at {rate:g} times its speed", flush=True)
        shown = show(args.video, source, rate, folder.work, environment)
        story = FrameSeries()
        with Progress("drawing from the bag", shown.account.answered) as progress:
            for story in write_files(folder.work / "bag", folder.work, source.fps):
                progress.at(len(story.objects))
        command = format_command("demo", args.argv)
        write_page(folder.work / "report.html", source.name, shown.account, story, command)
        summary = {
            "video": source.name, **shown.account.as_json(), **story.summary(), "rate": rate, "seconds": shown.seconds,
        }
        (folder.work / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
        folder.commit()
    print(shown.account.line())
    print(f"{sum(story.objects)} detections in all; look at {Path(args.output) / 'report.html'}")
    for name in ("annotated.mp4", "detections.csv", "summary.json", "bag/"):
        print(f"  {os.path.join(args.output, name)}")
    return EXIT_OK


def _rate(args: argparse.Namespace, source: Source) -> float:
    if args.rate is not None:
        return args.rate
    return 0.5 if source.frame_count and source.frame_count / source.fps <= SHORT_VIDEO_S else 1.0


def main(argv: Sequence[str] | None = None) -> int:
    return command_main("demo", argv)
