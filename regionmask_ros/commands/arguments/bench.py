"""Measure our engine against dense runtimes on the same network, one frame at a time.

All engines take turns. Measured is the processor time of the whole process from the network's uint8 input to the output
of the head, encoder or normalization included. "make runtimes" installs the dense runtimes; one that is not
installed is left out.

Examples:
  regionmask_ros bench --input-size 448x448 --json bench.json
  regionmask_ros bench --sequence street.mp4 --engines event --paths avx2,portable --layers --streams 4
  regionmask_ros bench --input-size 448x448,auto --worst --layers --streams 4 --start --output docs
  regionmask_ros bench --network yolox_nano --isa avx512_vnni --accuracy street
  regionmask_ros bench --network yolox_nano --sequence csv:street --frames 60
  regionmask_ros bench --networks yolo_kp,yolox_nano --settings unmasked --accuracy street
  regionmask_ros bench --ros --ros-masks none,dynamic
"""

from __future__ import annotations

import argparse

from .._cli import add_network, add_networks, add_reading
from .._parser import add_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of the command."""
    _add_choices(parser)
    parser.add_argument("--streams", metavar="N", type=int, default=0,
                        help="also N cameras in one process that share weights: cameras per core, memory of one more")
    parser.add_argument("--layers", action="store_true",
                        help="also the time of each layer, or what the tile engine computes of it, in a replay of its "
                             "own")
    parser.add_argument("--worst", action="store_true",
                        help="also the slowest frame, first and refresh frames included; least time of 5 replays")
    parser.add_argument("--start", action="store_true",
                        help="also the start of a new process, cold and warm, and the stages before the network")
    parser.add_argument("--accuracy", metavar="DIR", default="",
                        help="also mAP@0.5 on a labeled sequence: a folder with video.mp4 and gt.csv")
    parser.add_argument("--drift", metavar="N", type=int, default=0,
                        help="also play each sequence forwards and backwards for N frames and compare the head "
                             "with the dense evaluation")
    parser.add_argument("--json", metavar="FILE", default="",
                        help="write machine and rows as JSON")
    parser.add_argument("-o", "--output", metavar="DIR", default="",
                        help="also inputs from 320x192 to 1920x1088; write report.html, PERFORMANCE.md and plots there")


def _add_choices(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sequence", metavar="FILE", action="append",
                        help="a video or a folder of images, or KIND:PATH as for evaluate --dataset: then mAP@0.5 of "
                             "the measured frames is in the rows; may be repeated (default: the installed videos)")
    parser.add_argument("--settings", metavar="LIST", default="",
                        help="of a sigma-delta network: unmasked, or masked60: the busiest 40 %% of the regions are "
                             "kept; of the tile engine: dense, unmasked, or tracking: where objects are, refreshed in "
                             "every 8. frame (default: all that fit)")
    parser.add_argument("--engines", metavar="LIST", default="",
                        help="some of event, onnxruntime_fp32, onnxruntime_int8, openvino_int8, torch_fp32, "
                             "tiles, openvino_fp32; an ONNX network has tiles, openvino_int8, openvino_fp32, "
                             "onnxruntime_fp32 (default: all that fit)")
    parser.add_argument("--paths", metavar="LIST", default="",
                        help="kernel sets to measure besides the default one, of those that this processor can "
                             "run: amx, avx512, avx2, portable")
    parser.add_argument("--isa", choices=("auto", "avx512_vnni"), default="auto",
                        help="largest instruction set for the kernels, ours and OpenVINO's; avx512_vnni: without AMX "
                             "(default: auto, what the processor has)")
    parser.add_argument("--threads", metavar="N", type=int, default=1,
                        help="threads of the dense runtimes; our engine always has one (default: 1)")
    parser.add_argument("--input-size", metavar="auto|WxH", default="auto",
                        help="network input, multiples of 32; several, separated by commas, are measured one after "
                             "another (default: auto, the shape of the sequence)")
    parser.add_argument("--frames", metavar="N", type=int, default=120,
                        help="frames to measure, after 10 for warming up (default: 120)")
    add_options(parser, "max_pixels")
    parser.add_argument("--backend", choices=("auto", "openvino", "onnxruntime"), default="auto",
                        help="runtime of ONNX networks with --networks; auto: the first one that is installed "
                             "(default: auto)")
    add_network(parser)
    add_networks(parser)
    add_reading(parser)
    parser.add_argument("--ros", action="store_true",
                        help="instead: the node in a process of its own, through topics at 640x480 and 60 Hz")
    parser.add_argument("--ros-seconds", metavar="S", type=float, default=60.0,
                        help="duration with --ros, for each mask (default: 60)")
    parser.add_argument("--ros-masks", metavar="LIST", default="dynamic",
                        help="masks with --ros: none, dynamic, preset (default: dynamic)")
