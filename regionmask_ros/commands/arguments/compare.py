"""Check that backends give the same integers on a video, a folder of images or a bag.

Runs the pipeline of the node. The events of each frame go to all backends, and every integer of their heads is compared
with the first one's, the reference. Masks that depend on detections use those of the reference. Exit status: 0 if all
integers are equal, 1 if one differs, 2 after an error, 3 if all are equal but a picture was dropped, with --strict.

Examples:
  regionmask_ros compare street.mp4 --backends cpu,lava_sim --input-size 448x448
  regionmask_ros compare street.mp4 --random-mask 0.6 --refresh-period 50 --json compare.json
"""

from __future__ import annotations

import argparse

from ...core.option_table import OPTIONS
from ...core.options import Group
from .._cli import add_network, add_reading, add_topic
from .._parser import add_option_groups, add_options

SHARED_OPTIONS = ("preset", "static_mask", "dynamic_mask", "refresh_period", "input_size")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this command."""
    parser.add_argument("source", metavar="SOURCE", help="a video file, a folder of images, or a bag (mcap or db3)")
    add_topic(parser)
    parser.add_argument("--backends", metavar="LIST", default="cpu,lava_sim",
                        help="two or more; the first is the reference (default: cpu,lava_sim)")
    parser.add_argument("--arithmetic", default="", help="default: the first one that all backends compute")
    parser.add_argument("--mask", choices=OPTIONS["mask_mode"].choices, default="none",
                        help="what selects the observed regions, as in the command run (default: none)")
    parser.add_argument("--random-mask", metavar="SHARE", type=float,
                        help="mask this share of the regions at random in every frame, instead of --mask")
    add_options(parser, *SHARED_OPTIONS)
    add_network(parser)
    add_reading(parser)
    parser.add_argument("--max-frames", metavar="N", type=int, help="stop after N frames")
    parser.add_argument("--json", metavar="FILE", default="", help="write the outcome as JSON")
    add_option_groups(parser, Group.LAVA)
    parser.add_argument("--backend-option", action="append", default=[], help=argparse.SUPPRESS)
