"""Import, list, inspect or remove trained networks.

"import" takes a detector in an ONNX file: it checks the file, finds out what its outputs mean and which pixels it
expects, runs it once, and stores it under a name for the option --network of all commands and for the node's parameter
network_file. docs/NETWORKS.md has the commands that make such files. "import" also installs YOLO-KP, from the wheel of
lava-dl or the .pt file in it. "inspect" prints the content of an imported network, of a file, or of the installed
YOLO-KP.

Examples:
  python -m regionmask_ros model import yolox_nano.onnx
  python -m regionmask_ros model import best.onnx --name parking --labels names.txt --preprocess rgb,0..1
  python -m regionmask_ros model list
  python -m regionmask_ros model inspect yolox_nano --json network.json
  python -m regionmask_ros model remove yolox_nano
  python -m regionmask_ros model import lava_dl-0.6.0-py3-none-any.whl
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import UserError, to_one_line
from ..files.outputs import write_whole
from ..files.paths import display_path
from ..importing.opening import open_network
from ..network.cards import Card, check_name, find_card, list_cards, remove_card, store_network
from ..network.dense import DenseNetwork
from ..network.files import find_network, install_network, load_network, user_file
from ..network.onnx.reading import looks_like_onnx
from ..network.preprocessing import EXAMPLE, describe_preprocessing
from ..report.network_facts import dense_as_text, describe_dense, describe_layers, input_as_text, layers_as_text
from ._cli import EXIT_OK, command_main

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
    remover = actions.add_parser("remove", help="remove an imported network", allow_abbrev=False)
    remover.add_argument("name", metavar="NAME", help="its name")


def run(args: argparse.Namespace) -> int:
    """Runs the chosen action."""
    actions = {"import": _import, "list": _list, "inspect": _inspect, "remove": _remove}
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
    print(f"{network.name} installed: {network.source_file}")
    return EXIT_OK


def _import_onnx(args: argparse.Namespace) -> int:
    from ..importing.detector import Wishes, name_from_file
    from ..importing.process import import_apart

    if args.to:
        raise UserError("--to: only for YOLO-KP; an ONNX file is stored under its --name")
    name = check_name(args.name or name_from_file(args.file))
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
    network = open_network(args.file)
    if isinstance(network, DenseNetwork):
        facts = describe_dense(network)
        text = dense_as_text(facts)
    else:
        facts = describe_layers(network)
        text = layers_as_text(facts)
    if args.json:
        write_whole(Path(args.json), (json.dumps(facts, indent=1) + "\n").encode())
    print(text)
    return EXIT_OK


def _remove(args: argparse.Namespace) -> int:
    remove_card(args.name)
    print(f"{args.name} removed")
    return EXIT_OK
