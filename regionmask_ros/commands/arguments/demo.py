"""Play a video through the ROS node, record its topics into a bag, and make a report from the bag.

Node and player are two processes. The node runs with the preset balanced; for the default video, a street scene, it
reports people and vehicles only. Then the unmasked twin runs on the same frames: the report shows what masks saved and
what they missed. The output folder holds report.html (open this first), annotated.mp4, comparison.mp4, detections.csv,
summary.json, and the rosbag2 folder bag/ with the detections, masks and overlays that the node published.

  regionmask_ros demo --output demo_output
  regionmask_ros demo --output demo_output --video "my street.mp4"
"""

from __future__ import annotations

import argparse

from .._cli import add_reading
from .._output import add_output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this command."""
    add_output(parser, "demo")
    parser.add_argument("--video", metavar="FILE",
                        help="a video file or a folder of images (default: pedestrians on a campus, from the set-up)")
    parser.add_argument("--max-frames", metavar="N", type=int,
                        help="stop after N frames (default: 25 seconds of the default video, all of others)")
    parser.add_argument("--rate", type=float, default=1.0, metavar="R",
                        help="speed factor (default: %(default)s; less if the computer cannot keep up)")
    add_reading(parser)
