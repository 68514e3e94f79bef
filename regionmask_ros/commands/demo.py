"""The work of the command ``demo``, whose arguments are in ``arguments/demo.py``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..progress import Progress
from ..sources import Source, open_source
from ._cli import command_main, format_command
from ._output import next_folder
from ._pictures import make_reading, report_dropped
from .play import check_max_frames, check_rate

SHORT_VIDEO_S = 20.0
"""A video up to this length is played at half speed, so that two cores keep up with node, player and recorder."""

DEFAULT_VIDEOS = tuple(Path(sys.prefix) / "share" / "regionmask_ros" / name for name in ("vtest.avi", "bikes.mp4"))
"""The first of these files that exists is played: the set-up cannot get vtest.avi on every system."""

DEFAULT_MAX_FRAMES = 250
"""Frames of the default video that are played: 25 seconds of vtest.avi."""

DEFAULT_MAX_PIXELS = 768 * 576
DEFAULT_PARAMETERS = {"classes": "[person, bicycle, car, motorcycle, bus, truck]", "score_threshold": "0.45"}
"""For the default video: the camera's full resolution, and what a planner for a street would ask for. On labeled video
of the same place, this finds more people with fewer false ones than the defaults, and the vest on the grass is no ball.
"""


def run(args: argparse.Namespace) -> int:
    """Runs the demonstration. Bad input is reported before any process starts."""
    from ..network.files import find_network
    from ..ros.setup import require

    if args.rate is not None:
        check_rate(args.rate)
    check_max_frames(args.max_frames)
    if args.video == "":
        raise UserError("--video: give a file, or leave the option out")
    if args.video is None:
        args.video = default_video()
        args.max_frames = args.max_frames or DEFAULT_MAX_FRAMES
        chosen: dict[str, Any] = {"parameters": DEFAULT_PARAMETERS, "max_pixels": DEFAULT_MAX_PIXELS}
    else:
        chosen = {}
    with open_source(args.video, reading=make_reading(args)) as source:
        find_network()
        require("rosbags")
        return _demonstrate(args, source, chosen)


def default_video() -> str:
    """Returns the path of the video that is played without --video."""
    return str(next(filter(Path.exists, DEFAULT_VIDEOS), DEFAULT_VIDEOS[0]))


def _demonstrate(args: argparse.Namespace, source: Source, chosen: Mapping[str, Any]) -> int:
    from ..files.outputs import DemoFolder
    from ..ros.demo.show import Playback, show, use_private_domain

    environment = use_private_domain()
    from ..ros.demo.pages import FrameSeries, write_files, write_page

    args.output = args.output or next_folder("demo")
    with DemoFolder(args.output) as folder:
        playback = Playback(args.video, source, _rate(args, source), args.max_frames, **chosen)
        print(f"starting the node; {source.name} is then played to it at {playback.rate:g} times its speed", flush=True)
        shown = show(playback, folder.work, environment)
        story = FrameSeries()
        with Progress(unit="frame", total=shown.account.answered, desc="drawing from the bag") as progress:
            for story in write_files(folder.work / "bag", folder.work, source.fps):
                progress.at(len(story.objects))
        command = format_command("demo", args.argv)
        write_page(folder.work / "report.html", source.name, shown.account, story, command, playback.parameters)
        summary = {
            "video": source.name, **shown.account.as_json(), **story.summary(), "rate": playback.rate,
            **source.reading.dropped.as_json(),
            "seconds": shown.seconds,
        }
        (folder.work / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
        folder.commit()
    print(shown.account.line())
    print(f"{sum(story.objects)} detections in total; open {Path(args.output) / 'report.html'}")
    for name in ("annotated.mp4", "detections.csv", "summary.json", "bag/"):
        print(f"  {os.path.join(args.output, name)}")
    return report_dropped(source.reading, args)


def _rate(args: argparse.Namespace, source: Source) -> float:
    if args.rate is not None:
        return args.rate
    frames = min(source.frame_count or sys.maxsize, args.max_frames or sys.maxsize)
    return 0.5 if frames / source.fps <= SHORT_VIDEO_S else 1.0


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command with these arguments, or those of the process. Returns the exit status."""
    return command_main("demo", argv)
