"""Train a small detector of your own from a larger one, without labels.

A teacher, any imported network, labels the pictures of SOURCES: videos, folders of images or bags. The student learns
from them. "--student street" trains the architecture of the network "street", for the classes of --classes, and
"--student chain" that of YOLO-KP, which the event engine, Lava and Loihi 2 run. "--student same" keeps the teacher's
own graph, with its smooth activations replaced by rectifiers, as event hardware and int8 runtimes want them; the
teacher must be a YOLOX network. The student is then stored like an imported network: use it with --network.
Its folder gets curves.png, training.json and checkpoint.npz every --look-every steps; Ctrl-C stops the training,
--resume continues it. docs/TRAINING.md has the recipe.

Examples:
  regionmask_ros distill yolox_nano street.mp4 crossing.mp4 --student same --grid pow2 --output nano_relu
  regionmask_ros distill yolox_nano,picodet_s clips/*.mp4 --student street --output my_street
"""

from __future__ import annotations

import argparse

from .._cli import add_reading


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this command."""
    parser.add_argument("teacher", metavar="TEACHER",
                        help="name of an imported network, or several with commas, whose findings are merged")
    parser.add_argument("sources", metavar="SOURCE", nargs="+",
                        help="videos, folders of images or bags to train on; the last 15%% of each are held out")
    parser.add_argument("-o", "--output", metavar="NAME", required=True, help="name of the network that is made")
    parser.add_argument("--student", choices=("street", "same", "chain"), default="street",
                        help="street: the package's own architecture; same: the teacher's, with rectifiers; chain: "
                             "YOLO-KP's, a sigma-delta network (default: street)")
    parser.add_argument("--grid", choices=("float", "channel", "pow2", "lava64"), default=None,
                        help="grid of the weights: 8 bits with one step for each channel, or with one power of two for "
                             "each layer, or multiples of 1/64 (default: float, no grid; lava64 for chain)")
    parser.add_argument("--classes", metavar="LIST", default="person,bicycle,car,motorcycle,bus,truck",
                        help="of street and chain, separated by commas (default: "
                             "person,bicycle,car,motorcycle,bus,truck)")
    parser.add_argument("--from-nothing", action="store_true",
                        help="street, chain: begin with random weights, not with the layers of YOLO-KP")
    parser.add_argument("--folder", metavar="DIR", default="",
                        help="folder for labels, checkpoint and curves (default: the name, in this folder)")
    parser.add_argument("--steps", metavar="N", type=int, default=None,
                        help="total number of steps (default: 3000 for street, 1120 for same, 1500 for chain)")
    parser.add_argument("--batch", metavar="N", type=int, default=None,
                        help="samples in a step (default: 16, 8 for same)")
    parser.add_argument("--every", metavar="N", type=int, default=3,
                        help="use every Nth frame of a video or bag (default: 3)")
    parser.add_argument("--look-every", metavar="N", type=int, default=250,
                        help="evaluate and save every N steps (default: 250)")
    parser.add_argument("--seed", metavar="N", type=int, default=0,
                        help="seed of initial weights and samples (default: 0)")
    parser.add_argument("--resume", action="store_true", help="continue from the checkpoint in the folder")
    add_reading(parser)
