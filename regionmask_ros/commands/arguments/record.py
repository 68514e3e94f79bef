"""Record what a detector publishes into a rosbag2 folder (mcap), until Ctrl-C.

For computers without "ros2 bag". With use_sim_time the messages are recorded with the time of /clock, so that the new
bag fits a bag that is being played. The stamps in the messages are not changed.

  regionmask_ros record results/ --ros-args -p use_sim_time:=true
  regionmask_ros record results/ --namespace front --without-images
"""

from __future__ import annotations

import argparse

from .._parser import CommandParser


def add_arguments(parser: CommandParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("output", metavar="DIR", help="the bag's folder, which must not exist yet")
    parser.add_argument("--namespace", default="", metavar="NS", help="namespace of the detector (default: none)")
    parser.add_argument("--without-images", action="store_true", help="no masks and overlays, which need most space")
    parser.old_names["--without-pictures"] = "--without-images"
    parser.add_argument(
        "--ros-args", nargs=argparse.REMAINDER, default=[], metavar="...", help="such as: -p use_sim_time:=true")
