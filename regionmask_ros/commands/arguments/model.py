"""Import, list, inspect, quantize or remove trained networks, or make one for the event engine.

"import" takes a detector in an ONNX file: it checks the file, finds out what its outputs mean and which pixels it
expects, runs it once, and stores it under a name for the option --network of all commands and for the node's parameter
network_file. It also quantizes it for the tile engine, with unlabeled pictures of yours or of the set-up, and prints
how well the result agrees with the network. docs/NETWORKS.md has the commands that make such files. "import" also
installs YOLO-KP, from the wheel of lava-dl or the .pt file in it. "inspect" prints the content of an imported network,
of a file, or of the installed YOLO-KP. "quantize" makes an int8 version of a network for the dense runtimes, with
ranges measured on pictures of yours, compares it with the network on other pictures, and stores it if it loses no more
than one point. "events" makes a sigma-delta network, for the event engine, of one with rectifiers (ReLU) and a raw
YOLOX head, such as one of "distill --student same --grid pow2".

Examples:
  regionmask_ros model import yolox_nano.onnx
  regionmask_ros model import best.onnx --name parking --labels names.txt --preprocess rgb,0..1
  regionmask_ros model import yolox_nano.onnx --calibrate street.mp4
  regionmask_ros model list
  regionmask_ros model inspect yolox_nano --json network.json
  regionmask_ros model quantize yolox_nano --calibrate street.mp4
  regionmask_ros model events yolox_nano_relu --calibrate street.mp4
  regionmask_ros model remove yolox_nano
  regionmask_ros model import lava_dl-0.6.0-py3-none-any.whl
"""

from __future__ import annotations

import argparse

from ...network.preprocessing import EXAMPLE
from .._cli import add_images, add_reading
from .._fleet import add_workers
from .._parser import add_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the actions and their arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    importer = actions.add_parser("import", help="check a network file and install it", allow_abbrev=False)
    importer.add_argument("file", metavar="FILE", help="an ONNX file, the lava-dl wheel, or a checkpoint (.pt)")
    importer.add_argument("--to", metavar="PATH", default="",
                          help="of YOLO-KP: the new file or its folder (default: in the user's data folder)")
    importer.add_argument("--name", metavar="NAME", default="",
                          help="of an ONNX file: the network's name (default: the file's, without its ending)")
    importer.add_argument("--labels", metavar="FILE|coco", default="",
                          help="names of the classes: a text file with one on each line, or those of COCO (default: "
                               "those in the file, else of COCO if there are 80, 90 or 91 classes)")
    importer.add_argument("--head", metavar="auto|FAMILY", default="auto",
                          help="what the outputs mean (default: auto, found by their shapes and values)")
    importer.add_argument("--preprocess", metavar="TEXT", default="",
                          help=f"which pixels the network expects, where it is not known: {EXAMPLE}")
    importer.add_argument("--calibrate", metavar="SOURCE", default="",
                          help="of an ONNX file: a video, a folder of images or a bag, with scenes like those of the "
                               "camera, to quantize it with (default: bikes.mp4 of the set-up)")
    lister = actions.add_parser("list", help="print which networks are installed", allow_abbrev=False)
    lister.add_argument("--json", metavar="FILE", default="", help="also write it as JSON")
    inspector = actions.add_parser("inspect", help="print the content of a network", allow_abbrev=False)
    inspector.add_argument("file", metavar="NAME|FILE", nargs="?", default="",
                           help="default: the network that all commands use")
    inspector.add_argument("--json", metavar="FILE", default="", help="also write it as JSON")
    quantizer = actions.add_parser("quantize", help="make an int8 version of a network", allow_abbrev=False)
    quantizer.add_argument("network", metavar="NAME|FILE", help="an imported network or an ONNX file, in fp32")
    quantizer.add_argument("--calibrate", metavar="SOURCE", required=True, nargs="+",
                           help="a video, a folder of images or a bag, with scenes like those of the camera; or "
                                "many of them: folders of these, globs, @FILE with a list, or addresses (s3://...)")
    quantizer.add_argument("--dataset", metavar="KIND:PATH", action="append", default=[],
                           help="labeled sequences on which mAP is compared; may be repeated")
    add_images(quantizer)
    quantizer.add_argument("--name", metavar="NAME", default="", help="of the int8 version (default: NAME-int8)")
    quantizer.add_argument("--force", action="store_true", help="store the int8 version whatever it loses")
    add_workers(quantizer)
    add_options(quantizer, "max_pixels")
    add_reading(quantizer)
    eventer = actions.add_parser("events", help="make a sigma-delta network, for the event engine", allow_abbrev=False)
    eventer.add_argument("network", metavar="NAME|FILE", help="an imported network or an ONNX file, with rectifiers")
    eventer.add_argument("--calibrate", metavar="SOURCE", default="",
                         help="a video, a folder of images or a bag, with scenes like those of the camera, to choose "
                              "thresholds with (default: bikes.mp4 of the set-up)")
    eventer.add_argument("--name", metavar="NAME", default="", help="of the new network (default: NAME-events)")
    remover = actions.add_parser("remove", help="remove an imported network", allow_abbrev=False)
    remover.add_argument("name", metavar="NAME", help="its name")
