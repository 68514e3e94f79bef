"""The ROS 2 node: images in, detections, masks, overlay and diagnostics out.

It runs until Ctrl-C. Topics are remapped, and parameters set, as for every ROS node. "ros2 param describe /detector
NAME" explains a parameter, and docs/PARAMETERS.md all of them.

  regionmask_ros detector --ros-args -r image:=/camera/image_raw -p preset:=careful
  regionmask_ros detector --ros-args --params-file my.yaml
  regionmask_ros detector --camera front --camera left=masks/left.npz --ros-args -r image:=image_raw
"""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this command."""
    parser.add_argument(
        "--camera", action="append", default=[], metavar="NAME[=MASK]",
        help="a node in this namespace, with its static mask; may be repeated, the nodes share the network (default: "
        "one node without a namespace)")
    parser.add_argument(
        "--ros-args", nargs=argparse.REMAINDER, default=[], metavar="...",
        help="remappings (-r image:=/camera/image_raw), parameters (-p name:=value), files (--params-file)")
