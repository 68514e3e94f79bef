"""Make a static mask of the regions in which objects appear in the images of a fixed camera.

The objects are those of the labels or, without labels, the confident detections of the unmasked detector. Several
sources make one mask, such as the same camera in the morning and at night. Writes static_mask.npz (for --static-mask),
static_mask.jpg (a preview) and report.html into the output folder.

Examples:
  regionmask_ros calibrate morning.mp4 night.mp4 --output calibrated --keep 0.4
  regionmask_ros calibrate monday/ tuesday/ --by-camera --output masks --jobs 4
  regionmask_ros calibrate street/video.mp4 --labels csv:street/gt.csv --output calibrated --cover 0.99
"""

from __future__ import annotations

import argparse

from .._cli import add_network, add_reading, add_topic, add_truth_topic
from .._fleet import add_fleet
from .._output import add_output
from .._parser import add_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("sources", metavar="SOURCE", nargs="+",
                        help="a video file, a folder of images, or a bag (mcap or db3); or many of them: folders of "
                             "these, globs, @FILE with a list, or addresses (s3://...)")
    add_topic(parser)
    add_output(parser, "calibrate")
    parser.add_argument("--labels", metavar="KIND:PATH", action="append", default=[],
                        help="labels of the sources, in their order: csv:, mot:, kitti:, coco: or bag: (default: none)")
    add_truth_topic(parser)
    target = parser.add_mutually_exclusive_group()
    target.add_argument("--cover", metavar="S", type=float,
                        help="keep the fewest regions with this share of the heat (default: 0.99)")
    target.add_argument("--keep", metavar="S", type=float, help="keep this share of the regions")
    parser.add_argument("--ring", metavar="N", type=int, default=0, help="widen the mask by N regions (default: 0)")
    parser.add_argument("--classes", metavar="LIST", default="",
                        help="count only objects of these classes (default: all)")
    add_options(parser, "input_size", "max_pixels", "score_threshold")
    add_network(parser)
    add_reading(parser)
    many = parser.add_argument_group("Many sources", "Each is a unit of work, see docs/FLEET.md.")
    add_fleet(many)
    many.add_argument("--by-camera", action="store_true",
                      help="make a mask for each camera, each in a folder of its name, instead of one of all sources: "
                           "by topic for bags, otherwise by the folder in which a source lies")
    parser.add_argument("--json", metavar="FILE", default="", help="write the results as JSON")
