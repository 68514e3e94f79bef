"""Publish a video, a folder of images or the images of a bag on an image topic, as a camera would.

Images are published at their own rate and stamped with the current time, with best-effort QoS as camera drivers use it.
With --clock they are stamped with simulated time, which is published on /clock; for a bag this is the bag's own time.

  regionmask_ros play street.mp4 --topic /camera/image_raw
  regionmask_ros play images/ --rate 0.5 --clock
  regionmask_ros play my_bag/ --bag-topic /front/image_raw --clock --loop
"""

from __future__ import annotations

import argparse

from .._cli import add_reading


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("source", metavar="SOURCE", help="a video file, a folder of images, or a bag (mcap or db3)")
    parser.add_argument("--topic", default="image", metavar="T", help="topic to publish on (default: image)")
    parser.add_argument("--bag-topic", default="", metavar="T",
                        help="image topic of a bag that has several (default: --topic)")
    parser.add_argument("--compressed", action="store_true", help="publish JPEG on TOPIC/compressed")
    parser.add_argument("--loop", action="store_true", help="repeat until Ctrl-C")
    parser.add_argument("--rate", type=float, default=1.0, metavar="R", help="speed factor (default: 1.0)")
    parser.add_argument("--max-frames", metavar="N", type=int, help="stop after N frames")
    parser.add_argument("--clock", action="store_true",
                        help="use the source's time as simulated time, and publish /clock")
    parser.add_argument("--wait", type=float, default=2.0, metavar="S",
                        help="wait at most S seconds for a subscriber (default: 2)")
    add_reading(parser)
    parser.add_argument(
        "--ros-args", nargs=argparse.REMAINDER, default=[], metavar="...", help="such as: -r __ns:=/front")
    parser.add_argument("--json", default="", metavar="FILE",
                        help="write the number of published frames and the duration as JSON")
