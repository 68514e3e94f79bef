"""Detect objects in a video, a folder of images or a bag, without ROS.

Writes detections.csv, annotated.mp4 and report.html into the output folder; open report.html first. All files appear
together at the end; an error or Ctrl-C leaves nothing. With many sources, worker processes (or Ray) share them, and the
folder holds detections/, a static mask for each camera in masks/, summary.json and report.html; after Ctrl-C, --resume
goes on. Every parameter of the node is an option here, with the same
default: a run without options uses the mask of the preset balanced. A static mask without --mask means --mask
preset+static.

Examples:
  regionmask_ros run street.mp4 --output result
  regionmask_ros run street.mp4 --output result --against none
  regionmask_ros run street.mp4 --output result --mask none
  regionmask_ros run my_bag/ --topic /front/image_raw --output result --mask dynamic
  regionmask_ros run street.mp4 --output result --rerun result/street.rrd --no-video
  regionmask_ros run monday/ tuesday/*.mcap --output week --jobs 4
  regionmask_ros run images/ --output result --mask static --static-mask painted.png --json result.json
"""

from __future__ import annotations

import argparse

from .._cli import add_strict, add_topic
from .._fleet import add_fleet
from .._output import add_output
from .._parser import add_option_groups

COMMON = ("network_file", "mask_mode", "preset", "static_mask", "score_threshold", "classes", "input_size")
"""What most users set, first in the help."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this command."""
    parser.usage = "%(prog)s SOURCE [SOURCE ...] [OPTION ...]"
    parser.add_argument("sources", metavar="SOURCE", nargs="+",
                        help="a video file, a folder of images (10 per second), or a bag (mcap or db3); or many of "
                             "them: folders of these, globs, @FILE with a list, or addresses (s3://...)")
    add_topic(parser)
    parser.add_argument("--loop", action="store_true", help="start the source again until --max-frames are processed")
    parser.add_argument("--max-frames", metavar="N", type=int, help="stop after N frames")
    add_output(parser, "run")
    parser.add_argument("--against", metavar="none", default="", choices=("none",),
                        help="run the unmasked twin, too (--mask none): the page shows both, what masks saved and what "
                        "they missed")
    parser.add_argument("--no-video", action="store_true", help="no annotated.mp4, and no video in the page")
    parser.add_argument("--dump-head", metavar="FILE", default="", help="write raw heads and masks as .npz")
    parser.add_argument("--rerun", metavar="FILE.rrd", default="", help="write a recording for the Rerun viewer")
    parser.add_argument("--json", metavar="FILE", default="", help="write the figures as JSON")
    parser.add_argument("--loihi2-table", metavar="FILE", default="",
                        help="write the cost of frames on Loihi 2 as JSON: modeled from the counts, or measured if "
                        "the backend measures; the keys are the same")
    add_strict(parser)
    add_fleet(parser.add_argument_group("Many sources", "Each is a unit of work, see docs/FLEET.md."))
    add_option_groups(parser, common=COMMON)
    parser.add_argument("--compressed", dest="image_transport", action="store_const", const="compressed",
                        default=argparse.SUPPRESS, help="short for --image-transport compressed")
    parser.add_argument("--backend-option", action="append", default=[], help=argparse.SUPPRESS)
