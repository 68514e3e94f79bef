"""Import, list, inspect, quantize or remove trained networks.

"import" takes a detector in an ONNX file: it checks the file, finds out what its outputs mean and which pixels it
expects, runs it once, and stores it under a name for the option --network of all commands and for the node's parameter
network_file. docs/NETWORKS.md has the commands that make such files. "import" also installs YOLO-KP, from the wheel of
lava-dl or the .pt file in it. "inspect" prints the content of an imported network, of a file, or of the installed
YOLO-KP. "quantize" makes an int8 version of a network, with ranges measured on pictures of yours, compares it with the
network on other pictures, and stores it if it loses no more than one point.

Examples:
  python -m regionmask_ros model import yolox_nano.onnx
  python -m regionmask_ros model import best.onnx --name parking --labels names.txt --preprocess rgb,0..1
  python -m regionmask_ros model list
  python -m regionmask_ros model inspect yolox_nano --json network.json
  python -m regionmask_ros model quantize yolox_nano --calibrate street.mp4
  python -m regionmask_ros model remove yolox_nano
  python -m regionmask_ros model import lava_dl-0.6.0-py3-none-any.whl
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ..errors import UserError, to_one_line
from ..files.outputs import write_whole
from ..files.paths import display_path
from ..importing.description import describe_file, describe_weights, description_as_text
from ..importing.opening import open_network
from ..network.cards import Card, check_name, find_card, list_cards, remove_card, store_network
from ..network.dense import DenseNetwork
from ..network.files import find_network, install_network, load_network, user_file
from ..network.onnx.reading import looks_like_onnx
from ..network.preprocessing import EXAMPLE, describe_preprocessing, parse_preprocessing
from ..progress import Progress
from ..report.network_facts import dense_as_text, describe_dense, describe_layers, input_as_text, layers_as_text
from ._cli import EXIT_OK, command_main
from ._datasets import add_images, open_datasets
from ._parser import add_options
from ._pictures import add_reading, make_reading, report_dropped

_LIST_COLUMNS = ("name", "head", "classes", "input", "pixels", "precision", "source")


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
    lister = actions.add_parser("list", help="print which networks are installed", allow_abbrev=False)
    lister.add_argument("--json", metavar="FILE", default="", help="also write it as JSON")
    inspector = actions.add_parser("inspect", help="print the content of a network", allow_abbrev=False)
    inspector.add_argument("file", metavar="NAME|FILE", nargs="?", default="",
                           help="default: the network that all commands use")
    inspector.add_argument("--json", metavar="FILE", default="", help="also write it as JSON")
    quantizer = actions.add_parser("quantize", help="make an int8 version of a network", allow_abbrev=False)
    quantizer.add_argument("network", metavar="NAME|FILE", help="an imported network or an ONNX file, in fp32")
    quantizer.add_argument("--calibrate", metavar="SOURCE", required=True,
                           help="a video, a folder of images or a bag, with scenes like those of the camera")
    quantizer.add_argument("--dataset", metavar="KIND:PATH", action="append", default=[],
                           help="labeled sequences on which mAP is compared; may be repeated")
    add_images(quantizer)
    quantizer.add_argument("--name", metavar="NAME", default="", help="of the int8 version (default: NAME-int8)")
    quantizer.add_argument("--force", action="store_true", help="store the int8 version whatever it loses")
    add_options(quantizer, "max_pixels")
    add_reading(quantizer)
    remover = actions.add_parser("remove", help="remove an imported network", allow_abbrev=False)
    remover.add_argument("name", metavar="NAME", help="its name")


def run(args: argparse.Namespace) -> int:
    """Runs the chosen action."""
    actions = {"import": _import, "list": _list, "inspect": _inspect, "quantize": _quantize, "remove": _remove}
    return actions[args.action](args)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    return command_main("model", argv)


def _import(args: argparse.Namespace) -> int:
    if looks_like_onnx(args.file):
        return _import_onnx(args)
    for name in ("name", "labels", "preprocess"):
        if getattr(args, name):
            raise UserError(to_one_line(f"--{name}: only for ONNX files, but {args.file} is none"))
    target = Path(args.to) if args.to else user_file()
    if target is None:
        raise UserError("this user has no data folder: give the target with --to PATH, or set HOME")
    network = install_network(args.file, target)
    place = describe_weights(network.source_file)
    if place:
        print(to_one_line(f"regionmask_ros: weights {place}"), file=sys.stderr)
    print(f"{network.name} installed: {network.source_file}")
    return EXIT_OK


def _import_onnx(args: argparse.Namespace) -> int:
    from ..importing.detector import Wishes, name_from_file
    from ..importing.process import import_apart

    if args.to:
        raise UserError("--to: only for YOLO-KP; an ONNX file is stored under its --name")
    name = check_name(args.name or name_from_file(args.file))
    if args.preprocess:
        parse_preprocessing(args.preprocess)
    found = import_apart(args.file, Wishes(name, args.labels, args.head, args.preprocess))
    replaced = find_card(name) is not None
    card = store_network(found.network)
    for note in found.notes:
        print(f"regionmask_ros: {note}", file=sys.stderr)
    network = found.network
    print(f"{name} {'replaced' if replaced else 'installed'}: {display_path(card.parent)}")
    print(f"{network.head.family} head, {len(network.labels)} classes, "
          f"input {input_as_text(network.fixed_wh, network.alignment)}, "
          f"{describe_preprocessing(network.preprocessing)}, {network.precision}; use it with --network {name}")
    return EXIT_OK


def _list(args: argparse.Namespace) -> int:
    rows = [*_list_installed(), *map(_describe_card, list_cards())]
    if args.json:
        write_whole(Path(args.json), (json.dumps(rows, indent=1) + "\n").encode())
    lines = [_LIST_COLUMNS, *(tuple(row[column] for column in _LIST_COLUMNS) for row in rows if "error" not in row)]
    widths = [max(map(len, column)) for column in zip(*lines)]
    for line in lines:
        print("  ".join(map(str.ljust, line, widths)).rstrip())
    for row in rows:
        if "error" in row:
            print(f"regionmask_ros: {row['error']}", file=sys.stderr)
    return EXIT_OK


def _list_installed() -> list[dict[str, Any]]:
    """A row for the installed YOLO-KP, if there is one."""
    try:
        network = load_network(find_network())
    except UserError:
        return []
    return [{"name": network.name, "head": "yolo-kp", "classes": str(len(network.labels)),
             "input": input_as_text(None, network.total_stride), "pixels": "rgb", "precision": "integers",
             "source": display_path(network.source_file)}]


def _describe_card(card: Card | UserError) -> dict[str, Any]:
    if isinstance(card, UserError):
        return {"error": str(card)}
    network = card.network
    return {"name": network.name, "head": network.head.family, "classes": str(len(network.labels)),
            "input": input_as_text(network.fixed_wh, network.alignment),
            "pixels": describe_preprocessing(network.preprocessing), "precision": network.precision,
            "source": display_path(network.source_file)}


def _inspect(args: argparse.Namespace) -> int:
    facts, text = _describe(args.file)
    if args.json:
        write_whole(Path(args.json), (json.dumps(facts, indent=1) + "\n").encode())
    print(text)
    return EXIT_OK


def _describe(file: str) -> tuple[dict[str, Any], str]:
    """Facts of a network, or of a file that can be parsed although no network can be made of it; and their text."""
    try:
        network = open_network(file)
    except UserError as error:
        if not os.path.isfile(file):
            raise
        facts = describe_file(file, str(error).removeprefix(f"{file}: "))
        return facts, description_as_text(facts)
    if isinstance(network, DenseNetwork):
        facts = describe_dense(network)
        return facts, dense_as_text(facts)
    facts = {**describe_layers(network), "weights_place": describe_weights(network.source_file)}
    place = facts["weights_place"]
    return facts, layers_as_text(facts) + (f"\n\nweights     {place}" if place else "")


def _quantize(args: argparse.Namespace) -> int:
    from ..lab.quantization.quantize import ALLOWED_POINTS, quantize

    network = open_network(args.network)
    name = check_name(args.name or f"{network.name}-int8")
    reading = make_reading(args)
    sequences = open_datasets(args.dataset, args.images, reading=reading)
    made = quantize(network, name, args.calibrate, sequences, args.max_pixels, _follow, reading)
    agrees = math.isfinite(made.agreement)
    print(f"{made.convolutions} convolutions in int8, calibrated on {made.calibrated_on} pictures; agreement with fp32 "
          f"on {made.compared_on} others: {f'{made.agreement:.1f}' if agrees else 'none, fp32 finds nothing there'}")
    for one in made.labelled:
        print(f"mAP@0.5 on {one.name}: fp32 {one.before:.1f}, int8 {one.after:.1f}")
    if not (made.is_good or args.force):
        loses = (f"loses {made.lost:.1f} points of {'mAP' if made.labelled else 'agreement'}, allowed is "
                 f"{ALLOWED_POINTS:g}" if math.isfinite(made.lost) else "could not be compared")
        raise UserError(f"{name}: {loses}: not stored; other pictures for --calibrate may help, --force stores it all "
                        "the same")
    replaced = find_card(name) is not None
    card = store_network(made.network)
    print(f"{name} {'replaced' if replaced else 'installed'}: {display_path(card.parent)}; "
          f"use it with --network {name}")
    return report_dropped(reading, args)


def _follow(items: Iterable[Any], count: int | None, what: str) -> Iterable[Any]:
    """Shows progress."""
    shown: Iterable[Any] = Progress(items, total=count, desc=what, unit="picture", leave=False)
    return shown


def _remove(args: argparse.Namespace) -> int:
    remove_card(args.name)
    print(f"{args.name} removed")
    return EXIT_OK
