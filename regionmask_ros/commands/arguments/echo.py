"""Print the detections of a running node, one line per image, until Ctrl-C.

A line has the image's time stamp, the number of objects, and each object's class, track, score and box: upper left
corner, width and height in pixels. With --json each line is an object of JSON, with the names of detections.csv.

  regionmask_ros echo detections
  regionmask_ros echo detections --json --count 100 > found.jsonl
"""

from __future__ import annotations

import argparse

from .._running import add_running


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("topic", choices=("detections",), help="what to print")
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    parser.add_argument("--count", type=int, default=None, metavar="N", help="end after N messages")
    add_running(parser)
