"""Train a mask network, or measure one (--score).

The objects are those of labels or, without any, those that the unmasked detector finds with a larger input than in use.
Training writes mgnet.npz (for --mgnet-weights), curves.png and checkpoint.npz into the output folder every --look-every
steps; Ctrl-C stops it, --resume continues it. --score needs no torch: it measures how many labeled objects a mask
observes as a whole when it masks a given share of the regions, for networks and for methods without learning.

Examples:
  regionmask_ros train_mgnet street.mp4 crossing.mp4 --hold-out square.mp4 --output taught
  regionmask_ros train_mgnet --score csv:data/pets --score csv:data/campus --weights mine=taught/mgnet.npz
"""

from __future__ import annotations

import argparse

from .._cli import add_images, add_network, add_reading
from .._parser import add_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this command."""
    parser.add_argument("sources", metavar="SOURCE", nargs="*", help="videos or folders of images to train on")
    parser.add_argument("-o", "--output", metavar="DIR", default="", help="folder for the results, created if missing")
    parser.add_argument("--architecture", choices=("light", "paper"), default="light",
                        help="shape of the network (default: light)")
    parser.add_argument("--labels", metavar="KIND:PATH", action="append", default=[],
                        help="labels of the sources, in their order: csv:, mot:, kitti: or coco: (default: none)")
    parser.add_argument("--hold-out", metavar="SOURCE", action="append", default=[],
                        help="a video to evaluate on, not used for training; may be repeated")
    parser.add_argument("--steps", metavar="N", type=int, default=1500, help="total number of steps (default: 1500)")
    parser.add_argument("--look-every", metavar="N", type=int, default=500,
                        help="evaluate and save every N steps (default: 500)")
    parser.add_argument("--seed", metavar="N", type=int, default=0,
                        help="seed of initial weights and samples (default: 0)")
    parser.add_argument("--resume", action="store_true", help="continue from the checkpoint in the output folder")
    parser.add_argument("--score", metavar="KIND:PATH", action="append", default=[],
                        help="measure on a labeled sequence instead of training; may be repeated")
    add_images(parser)
    parser.add_argument("--weights", metavar="[NAME=]FILE", action="append", default=[],
                        help="with --score: a network to measure besides that of the package; may be repeated")
    parser.add_argument("--masked", metavar="S", type=float, default=0.6,
                        help="masked share of the regions at which objects are counted (default: 0.6)")
    add_options(parser, "input_size", "max_pixels")
    add_network(parser)
    add_reading(parser)
    parser.add_argument("--json", metavar="FILE", default="", help="with --score: write the results as JSON")
