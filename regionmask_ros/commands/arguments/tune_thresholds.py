"""Find firing thresholds that save work and keep the detections.

No labels are needed: the detections of the dense network on unlabeled video are the truth. The search multiplies one
threshold at a time. It minimizes the modeled energy-delay product, or CPU time, while average precision against the
dense network stays at most --slack points below that of the trained thresholds. With --preset, both run with its masks.
The result is a small JSON file: read it before use, above all the figures of the held-out clips.

For an imported network of the tile engine, the detections are those of its int8 version when all is computed. The
command finds how much each tensor matters, and the highest levels whose losses the presets allow, and stores both with
the network. The options of the search are not for such networks.

Ctrl-C keeps all trials: the same command continues where it stopped.

Examples:
  regionmask_ros tune_thresholds street.mp4 crossing.mp4 --hold-out square.mp4 --output thresholds.json
  regionmask_ros tune_thresholds bikes.mp4 lanes.mp4 --cut bikes:30,76,137 --output thresholds.json
  regionmask_ros tune_thresholds street.mp4 --hold-out square.mp4 --network yolox_nano
"""

from __future__ import annotations

import argparse

from ...core.option_table import OPTIONS
from .._cli import add_network, add_reading
from .._fleet import add_workers
from .._parser import add_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this command."""
    parser.add_argument("clips", metavar="CLIP", nargs="+",
                        help="videos to tune on; also folders of them, globs, and @FILE with a list")
    parser.add_argument("--hold-out", metavar="CLIP", action="append", default=[],
                        help="a video to check the result on, not used by the search; may be repeated")
    parser.add_argument("--cut", metavar="NAME:N[,N...]", action="append", default=[],
                        help="first frames of new shots in a clip; no segment crosses them; may be repeated")
    parser.add_argument("-o", "--output", metavar="FILE", default="",
                        help="the result, a JSON file; needed for YOLO-KP, which reads it from there")
    parser.add_argument("--arithmetic", choices=("carry", "snap"), default="snap",
                        help="arithmetic to tune for (default: snap)")
    parser.add_argument("--input-step", type=int, choices=(1, 2), default=2,
                        help="unit of the encoder's messages, in 1/64: with 1 they equal Lava's and a large change "
                             "needs two frames, with 2 one (default: 2)")
    parser.add_argument("--minimise", choices=("edp", "edp+events", "synops", "cpu"), default="edp",
                        help="modeled energy-delay product, that times the number of events, synops, or CPU time "
                             "(default: edp)")
    parser.add_argument("--slack", metavar="P", type=float, default=0.0,
                        help="points of average precision that may be lost against the trained thresholds; negative: "
                             "points that must be gained (default: 0)")
    parser.add_argument("--preset", choices=("", *OPTIONS["preset"].choices), default="",
                        help="masks while tuning (default: none)")
    parser.add_argument("--start", metavar="N,N,...", default="",
                        help="thresholds to start from, encoder first (default: from the trained ones)")
    parser.add_argument("--rounds", metavar="N", type=int, default=3, help="rounds of the search (default: 3)")
    parser.add_argument("--frames", metavar="N", type=int, default=60, help="length of a segment (default: 60)")
    parser.add_argument("--stretches", metavar="N", type=int, default=2, help="segments of a clip (default: 2)")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="seed of segments and search (default: 0)")
    add_workers(parser.add_argument_group("Many clips", "Workers share the clips of each trial, see docs/FLEET.md."))
    add_options(parser, "max_pixels")
    add_network(parser)
    add_reading(parser)
