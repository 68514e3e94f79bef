"""Import or inspect a trained network.

The network is YOLO-KP, which is part of lava-dl. "import" checks the wheel of lava-dl, or the .pt file in it, and
installs the network for all commands. "inspect" prints the content of a file, or of the installed network.

Examples:
  python -m regionmask_ros model import lava_dl-0.6.0-py3-none-any.whl
  python -m regionmask_ros model inspect --json network.json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..files.outputs import write_whole
from ..network.files import find_network, install_network, load_network, user_file
from ..network.graph import Network
from ._cli import EXIT_OK, command_main

TRAINED_SIZE_WH = (448, 448)
_COLUMNS = ("layer", "in", "out", "kernel", "stride", "weights", "dense MACs", "threshold")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the actions and their arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    importer = actions.add_parser("import", help="check a network file and install it", allow_abbrev=False)
    importer.add_argument("file", metavar="FILE", help="the lava-dl wheel, or a checkpoint (.pt)")
    importer.add_argument("--to", metavar="PATH", default="",
                          help="the new file or its folder (default: in the user's data folder)")
    inspector = actions.add_parser("inspect", help="print the content of a network file", allow_abbrev=False)
    inspector.add_argument("file", metavar="FILE", nargs="?", default="",
                           help="default: the network that all commands use")
    inspector.add_argument("--json", metavar="FILE", default="", help="also write it as JSON")


def run(args: argparse.Namespace) -> int:
    """Runs the chosen action."""
    return _import(args) if args.action == "import" else _inspect(args)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    return command_main("model", argv)


def _import(args: argparse.Namespace) -> int:
    target = Path(args.to) if args.to else user_file()
    if target is None:
        raise UserError("this user has no data folder: give the target with --to PATH, or set HOME")
    network = install_network(args.file, target)
    print(f"{network.name} installed: {network.source_file}")
    return EXIT_OK


def _inspect(args: argparse.Namespace) -> int:
    facts = describe(load_network(find_network(args.file)))
    if args.json:
        write_whole(Path(args.json), (json.dumps(facts, indent=1) + "\n").encode())
    print(_as_text(facts))
    return EXIT_OK


def describe(network: Network) -> dict[str, Any]:
    """Describes a network for people.

    Args:
        network: Any network.

    Returns:
        The content of the JSON file. Sizes (rows, cols, channels) are for the input size of the training.
    """
    width, height = TRAINED_SIZE_WH
    outputs = network.output_size(TRAINED_SIZE_WH)
    inputs = [(height, width, network.in_channels), *outputs[:-1]]
    layers = [
        {
            "name": layer.name, "in": before, "out": after, "kernel": layer.kernel, "stride": layer.stride,
            "padding": layer.padding, "weights": layer.weight.size, "dense_macs": macs,
            "threshold": None if layer.is_head else layer.threshold,
        }
        for layer, before, after, macs in zip(network.layers, inputs, outputs, network.dense_macs(TRAINED_SIZE_WH))]
    return {
        "name": network.name, "file": network.source_file, "sha256": network.sha256, "digest": network.digest,
        "input_size": TRAINED_SIZE_WH, "total_stride": network.total_stride,
        "encoder_threshold": network.encoder_threshold, "labels": network.labels,
        "anchors": network.head.anchors if network.head else (), "layers": layers,
        "weights": sum(layer["weights"] for layer in layers),
        "dense_macs": sum(layer["dense_macs"] for layer in layers),
    }


def _as_text(facts: dict[str, Any]) -> str:
    labels, anchors = facts["labels"], facts["anchors"]
    sizes = f"rows x cols x channels, at an input of {_size(facts['input_size'])}"
    pairs = (
        ("network", facts["name"]),
        ("file", facts["file"]),
        ("sha256", facts["sha256"]),
        ("digest", f"{facts['digest']} (of the integers)"),
        ("classes", f"{len(labels)}, {labels[0]} to {labels[-1]}"),
        ("anchors", ", ".join(f"{w:g}x{h:g}" for w, h in anchors) + " cells"),
        ("thresholds", f"in 1/64; the encoder's is {facts['encoder_threshold']}"),
        ("sizes", f"{sizes}; any multiple of {facts['total_stride']} works"),
    )
    rows = [_COLUMNS, *(_row(layer) for layer in facts["layers"])]
    rows.append(("all", "", "", "", "", f"{facts['weights']:,}", f"{facts['dense_macs']:,}", ""))
    widths = [max(map(len, column)) for column in zip(*rows)]
    table = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]
    return "\n".join([*(f"{key:<11} {value}" for key, value in pairs), "", *table])


def _row(layer: dict[str, Any]) -> tuple[str, ...]:
    threshold = "-" if layer["threshold"] is None else str(layer["threshold"])
    return (
        layer["name"], _size(layer["in"]), _size(layer["out"]), _size((layer["kernel"],) * 2), str(layer["stride"]),
        f"{layer['weights']:,}", f"{layer['dense_macs']:,}", threshold,
    )


def _size(numbers: Sequence[int]) -> str:
    return "x".join(map(str, numbers))
