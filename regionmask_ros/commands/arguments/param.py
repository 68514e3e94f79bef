"""Show and change the parameters of a running detector, for computers without "ros2 param".

Values are written as YAML. Several parameters that are set in one line change together, or not at all. "dump" prints a
parameter file for --params-file.

  regionmask_ros param list
  regionmask_ros param get score_threshold
  regionmask_ros param set score_threshold 0.5
  regionmask_ros param set mask_mode static static_mask masks/front.npz --node /front/detector
  regionmask_ros param dump > my_detector.yaml
"""

from __future__ import annotations

import argparse

from .._running import add_running


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("action", choices=("list", "get", "set", "dump"), help="what to do")
    parser.add_argument("words", metavar="NAME [VALUE]", nargs="*",
                        help="get: a name; set: a name and a value, or several pairs of them")
    add_running(parser)
