"""Paint a static mask in the browser, over the camera's picture and the places where objects were.

The page starts from the mask that `calibrate` would make. It shows how many regions the mask observes, and how many
objects it would lose. The mask is written when you save it in the page; then the command ends. The objects are those of
the labels or, without labels, the confident detections of the unmasked detector in some frames of the source.

The page is for this computer only: it is served on 127.0.0.1, and its address holds a random token.

Examples:
  regionmask_ros paint street.mp4
  regionmask_ros paint street.mp4 --output street_mask.npz --frames 200
  regionmask_ros paint street/video.mp4 --labels csv:street/gt.csv --no-browser
"""

from __future__ import annotations

import argparse

from .._cli import add_network, add_reading, add_topic, add_truth_topic
from .._parser import add_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("source", metavar="SOURCE",
                        help="a video file, a folder of images, a bag (mcap or db3), or a single image")
    add_topic(parser)
    parser.add_argument("-o", "--output", metavar="FILE", default="",
                        help="the mask, .png or .npz (default: runs/paint-N/static_mask.png, with the next free "
                             "number)")
    parser.add_argument("--no-browser", action="store_true", help="print the address of the page, and open no browser")
    parser.add_argument("--port", metavar="N", type=int, default=0, help="port of the page (default: any free one)")
    parser.add_argument("--frames", metavar="N", type=int,
                        help="run the detector in N frames, spread over the source (default: 64); 0: do not run it")
    parser.add_argument("--labels", metavar="KIND:PATH", default="",
                        help="labels of the source instead of detections: csv:, mot:, kitti:, coco: or bag:")
    add_truth_topic(parser)
    parser.add_argument("--classes", metavar="LIST", default="",
                        help="count only objects of these classes (default: all)")
    add_options(parser, "input_size", "max_pixels", "score_threshold")
    add_network(parser)
    add_reading(parser)
