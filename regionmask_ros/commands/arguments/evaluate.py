r"""Measure what masks cost in accuracy and save in work, on labeled sequences.

Settings that learn do so on the first part of a sequence (--calibration-share); all settings, unmasked included, are
scored on the rest. A mask is controlled by the boxes of its own, masked run. Times are the processor time of the whole
process, all its threads, without decoding.

Data sets: csv:DIR (video.mp4 and gt.csv), mot:DIR (gt/gt.txt and img1/), kitti:DIR (label_02/ and image_02/),
coco:FILE.json (images near it or in --images), bag:DIR (images, and vision_msgs/Detection2DArray with the same time
stamps).

Settings: unmasked, unmasked-tuned; the presets careful, balanced, fast; static, static-labels, adaptive, tracking,
mgnet, static+mgnet, oracle; skip2, skip3, skip4, skip8 (plain frame skipping). Append @0.6 for a target share of masked
regions. Presets and unmasked-tuned run with tuned thresholds; append :trained for trained ones and carry arithmetic.

Examples:
  regionmask_ros evaluate --dataset csv:street --settings unmasked,tracking,tracking@0.6,skip2 \
      --json result.json --output result
  regionmask_ros evaluate --dataset csv:street --settings unmasked,static,adaptive --shift-view 0.3
  regionmask_ros evaluate --dataset csv:street --networks yolo_kp,yolox_nano --settings unmasked,fast,skip4
  regionmask_ros evaluate --dataset 'csv:week/*' --settings unmasked,fast --jobs 4 --output week_scored
  regionmask_ros evaluate --dataset bag:drive --topic /front/image_raw --truth-topic /truth
"""

from __future__ import annotations

import argparse

from .._cli import (
    RUNTIME_OPTIONS,
    add_images,
    add_network,
    add_networks,
    add_reading,
    add_topic,
    add_truth_topic,
)
from .._fleet import add_fleet
from .._parser import add_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of the command."""
    parser.add_argument("--dataset", metavar="KIND:PATH", action="append", required=True,
                        help="labeled sequences; may be repeated; PATH may be a glob, and @FILE names a list")
    add_images(parser)
    add_topic(parser)
    add_truth_topic(parser)
    parser.add_argument("--settings", metavar="LIST", default="",
                        help="settings to compare (default: all, without @share)")
    parser.add_argument("--calibration-share", metavar="S", type=float, default=0.33,
                        help="first part of a sequence, for learning; it is not scored (default: 0.33)")
    parser.add_argument("--every", metavar="N", type=int, default=1,
                        help="take every N-th frame of each sequence, as of a slower camera (default: 1, all frames)")
    parser.add_argument("--shift-view", metavar="S", type=float, default=0.0,
                        help="move the view by this share of its width, 0 to 1, in the middle of the scored part, and "
                             "score before and after (default: 0, no movement)")
    add_options(parser, "backend", *RUNTIME_OPTIONS, "input_size", "max_pixels", "arithmetic")
    parser.add_argument("--thresholds", choices=("trained", "tuned"), default="tuned",
                        help="thresholds of the presets (default: tuned); with --arithmetic, and for all other "
                             "settings, they are the trained ones")
    add_network(parser)
    add_networks(parser)
    add_options(parser, "mgnet_weights")
    add_reading(parser)
    add_fleet(parser.add_argument_group("Many data sets", "Each is a unit of work, see docs/FLEET.md."),
              with_slices=False)
    parser.add_argument("--json", metavar="FILE", default="", help="write rows and summary as JSON")
    parser.add_argument("-o", "--output", metavar="DIR", default="", help="folder for report.html and figures")
