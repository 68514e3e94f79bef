"""The work of the command ``demo``, whose arguments are in ``arguments/demo.py``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.options import Value
from ..errors import UserError
from ..installed import installed_file
from ..progress import Progress
from ..sources import Source, open_source
from ._cli import command_main, format_command
from ._output import next_folder
from ._pictures import make_reading, report_dropped
from .play import check_max_frames, check_rate

if TYPE_CHECKING:
    from ..network.dense import AnyNetwork
    from ..ros.demo.show import Account

DEFAULT_VIDEOS = tuple(map(installed_file, ("vtest.avi", "bikes.mp4")))
"""The first of these files that exists is played: the set-up cannot get vtest.avi on every system."""

DEFAULT_MAX_FRAMES = 250
"""Frames of the default video that are played: 25 seconds of vtest.avi."""

DEFAULT_MAX_PIXELS = 768 * 576
DEFAULT_PARAMETERS: Mapping[str, Value] = {
    "classes": ("person", "bicycle", "car", "motorcycle", "bus", "truck"), "score_threshold": 0.45}
"""For the default video: the camera's full resolution, and what a planner for a street would ask for. On labeled video
of the same place, this finds more people with fewer false ones than the defaults, and the vest on the grass is no ball.
"""


def run(args: argparse.Namespace) -> int:
    """Runs the demonstration. Bad input is reported before any process starts."""
    from ..core.option_table import OPTIONS
    from ..importing.opening import name_network, open_network
    from ..ros.setup import require

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
        network = open_network(name_network({name: option.default for name, option in OPTIONS.items()}))
        require("rosbags")
        return _demonstrate(args, source, network, chosen)


def default_video() -> str:
    """Returns the path of the video that is played without --video."""
    return str(next(filter(Path.exists, DEFAULT_VIDEOS), DEFAULT_VIDEOS[0]))


def _demonstrate(args: argparse.Namespace, source: Source, network: AnyNetwork, chosen: Mapping[str, Any]) -> int:
    from ..files.outputs import DemoFolder, encode_json
    from ..ros.demo.show import Playback, show, use_private_domain

    environment = use_private_domain()
    from ..ros.demo.pages import FrameSeries, Shown, write_files, write_report
    from ..ros.demo.replay import Replay

    args.output = args.output or next_folder("demo")
    with DemoFolder(args.output) as folder:
        playback = Playback(args.video, source, args.rate, args.max_frames, **chosen)
        print(f"starting the node; {source.name} is then played to it at {playback.rate:g} times its speed", flush=True)
        played = show(playback, folder.work, environment)
        account, series = played.account, FrameSeries()
        # The player has counted what it dropped; a second reader drops the same.
        with open_source(args.video, reading=make_reading(args, is_quiet=True)) as again, \
                Progress(unit="frame", total=account.answered, desc="running the unmasked twin") as progress:
            replay = Replay(network, playback.values, again.frames(), played.stamps_ns)
            for series in write_files(folder.work / "bag", folder.work, source.fps, replay):
                progress.at(len(series.objects))
        shown = Shown(source.name, account, series, playback.parameters, replay)
        figures = write_report(folder.work, shown, format_command("demo", args.argv))
        summary = {
            "video": source.name, **account.as_json(), **figures, "rate": playback.rate,
            **source.reading.dropped.as_json(), "seconds": played.seconds,
        }
        (folder.work / "summary.json").write_bytes(encode_json(summary))
        folder.commit()
    _say(args.output, account, figures)
    return report_dropped(source.reading, args)


def _say(folder: str, account: Account, figures: Mapping[str, Any]) -> None:
    """What was found, what was saved, and where to look."""
    from ..report.against import describe_saved

    twin, by_class = figures["against"], figures["by_class"]
    kinds = ", ".join(f"{count} {name}" for name, count in by_class.items())
    every = twin["found"] + twin["missed"]
    print(f"found: {figures['detections']} detections{f' ({kinds})' if kinds else ''} in {account.line()}")
    print(f"saved: {describe_saved(twin)} against the unmasked twin; "
          f"missed: {twin['missed']} of its {every} detections ({twin['missed_share']:.1%})")
    print(f"open {Path(folder) / 'report.html'}, in a browser; beside it: annotated.mp4, comparison.mp4, "
          "detections.csv, summary.json, bag/")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command with these arguments, or those of the process. Returns the exit status."""
    return command_main("demo", argv)
