"""The work of the command ``model``, whose arguments are in ``arguments/model.py``."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..backends.tiles import SUFFICIENT_AGREEMENT, suits_tiles
from ..errors import UserError, to_one_line
from ..files.outputs import write_json
from ..files.paths import display_path
from ..importing.description import describe_file, describe_weights, description_as_text
from ..importing.opening import open_network
from ..network.branched import LevelsHead
from ..network.cards import (
    Card,
    check_name,
    is_imported,
    list_cards,
    list_chains,
    remove_card,
    store_chain,
    store_network,
)
from ..network.chain import Network
from ..network.dense import DenseNetwork
from ..network.files import find_network, install_network, load_network, user_file
from ..network.formats.branched_file import pack_branched
from ..network.onnx.reading import looks_like_onnx
from ..network.preprocessing import describe_preprocessing, parse_preprocessing
from ..progress import Progress
from ..report.network_facts import dense_as_text, describe_dense, describe_layers, input_as_text, layers_as_text
from ._cli import EXIT_OK, command_main
from ._datasets import open_datasets
from ._parser import print_note
from ._pictures import make_reading, report_dropped

_LIST_COLUMNS = ("name", "head", "classes", "input", "pixels", "precision", "source")


def run(args: argparse.Namespace) -> int:
    """Runs the chosen action."""
    actions = {"import": _import, "list": _list, "inspect": _inspect, "quantize": _quantize, "events": _events,
               "remove": _remove}
    return actions[args.action](args)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    return command_main("model", argv)


def _import(args: argparse.Namespace) -> int:
    if looks_like_onnx(args.file):
        return _import_onnx(args)
    for name in ("name", "labels", "preprocess", "calibrate"):
        if getattr(args, name):
            raise UserError(to_one_line(f"--{name}: only for ONNX files, but {args.file} is none"))
    target = Path(args.to) if args.to else user_file()
    if target is None:
        raise UserError("this user has no data folder: give the target with --to PATH, or set HOME")
    network = install_network(args.file, target)
    place = describe_weights(network.source_file)
    if place:
        print_note(f"weights {place}")
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
    network, line = _calibrate(found.network, args.calibrate)
    replaced = is_imported(name)
    card = store_network(network)
    for note in found.notes:
        print_note(note)
    print(f"{name} {'replaced' if replaced else 'installed'}: {display_path(card.parent)}")
    print(f"{network.head.family} head, {len(network.labels)} classes, "
          f"input {input_as_text(network.fixed_wh, network.alignment)}, "
          f"{describe_preprocessing(network.preprocessing)}, {network.precision}; use it with --network {name}")
    print(line)
    return EXIT_OK


def _calibrate(network: DenseNetwork, given: str) -> tuple[DenseNetwork, str]:
    """The network with its quantized version for the tile engine, or why it has none; and a line about it."""
    from ..importing.calibration import STANDARD, standard_source
    from ..importing.process import calibrate_apart

    source = given or standard_source()
    if not source:
        reason = f"{STANDARD} of the set-up is not there: import it again with --calibrate SOURCE"
        return replace(network, tiles_reason=reason), f"tile engine: not calibrated, {reason}"
    bars = _Bars()
    try:
        made = calibrate_apart(network, source, bars.show)
    finally:
        bars.close()
    measured = made.agreement if math.isfinite(made.agreement) else None
    network = replace(network, tiles=made.tiles, tiles_reason=made.reason, tiles_agreement=measured)
    if not made.tiles:
        return network, f"tile engine: not for this network: {made.reason}"
    agreement = "not measured, the network finds nothing there" if measured is None else f"{measured:.1f}"
    where = os.path.basename(os.path.normpath(source)) + (
        "" if given else " of the set-up (better: your own with --calibrate SOURCE)")
    return network, (f"tile engine: int8, calibrated on {made.calibrated_on} pictures of {where}; agreement with fp32 "
                     f"on {made.compared_on} others: {agreement}{_describe_choice(network)}")


def _describe_choice(network: DenseNetwork) -> str:
    """What the backend ``auto`` makes of the agreement."""
    if suits_tiles(network):
        return ""
    return f"; below {SUFFICIENT_AGREEMENT:g}, so that only backend cpu runs it, and auto a dense runtime"


class _Bars:
    """A bar for each piece of work of another process."""

    def __init__(self) -> None:
        self._bar: Progress | None = None
        self._what = ""

    def show(self, what: str, done: int, total: int) -> None:
        """See ``importing.process.Show``."""
        if self._bar is None or what != self._what:
            self.close()
            self._bar, self._what = Progress(unit="step", total=total, desc=what, leave=False), what
        self._bar.at(done)

    def close(self) -> None:
        """Removes the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _list(args: argparse.Namespace) -> int:
    rows = [*_list_installed(), *map(_describe_card, list_cards()), *map(_describe_chain, list_chains())]
    if args.json:
        write_json(Path(args.json), rows)
    lines = [_LIST_COLUMNS, *(tuple(row[column] for column in _LIST_COLUMNS) for row in rows if "error" not in row)]
    widths = [max(map(len, column)) for column in zip(*lines)]
    for line in lines:
        print("  ".join(map(str.ljust, line, widths)).rstrip())
    for row in rows:
        if "error" in row:
            print_note(row["error"])
    return EXIT_OK


def _list_installed() -> list[dict[str, Any]]:
    """A row for the installed YOLO-KP, if there is one."""
    try:
        network = load_network(find_network())
    except UserError:
        return []
    return [_describe_events(network, network.name)]


def _describe_chain(file: Path) -> dict[str, Any]:
    """A row for a sigma-delta network that is stored under a name."""
    try:
        return _describe_events(load_network(file), file.parent.name)
    except UserError as error:
        return {"error": str(error)}


def _describe_events(network: Network, name: str) -> dict[str, Any]:
    head = network.head.spec.family if isinstance(network.head, LevelsHead) else "yolo-kp"
    return {"name": name, "head": head, "classes": str(len(network.labels)),
            "input": input_as_text(None, network.total_stride), "pixels": "rgb", "precision": "integers",
            "source": display_path(network.source_file)}


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
        write_json(Path(args.json), facts)
    print(text)
    return EXIT_OK


def _describe(file: str) -> tuple[dict[str, Any], str]:
    """Facts of a network, or of a file that can be parsed although no network can be made of it; and their text."""
    try:
        network = open_network(file)
    except UserError as error:
        if not os.path.isfile(file):
            raise
        try:
            facts = describe_file(file, str(error).removeprefix(f"{file}: "))
        except UserError:
            # What refused it as a network knows better what it is.
            raise error from None
        return facts, description_as_text(facts)
    if isinstance(network, DenseNetwork):
        facts = describe_dense(network)
        return facts, dense_as_text(facts)
    facts = {**describe_layers(network), "weights_place": describe_weights(network.source_file)}
    place = facts["weights_place"]
    return facts, layers_as_text(facts) + (f"\n\nweights     {place}" if place else "")


def _quantize(args: argparse.Namespace) -> int:
    from ..fleet.places import is_many, is_many_datasets
    from ..lab.quantization.quantize import ALLOWED_POINTS, quantize
    from ._quantize_many import quantize_many

    network = open_network(args.network)
    name = check_name(args.name or f"{network.name}-int8")
    reading = make_reading(args)
    if args.jobs or args.ray or is_many(args.calibrate) or is_many_datasets(args.dataset):
        made = quantize_many(args, network, name, reading, _follow)
    else:
        sequences = open_datasets(args.dataset, args.images, reading=reading)
        made = quantize(network, name, args.calibrate[0], sequences, args.max_pixels, _follow, reading)
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
    replaced = is_imported(name)
    card = store_network(made.network)
    print(f"{name} {'replaced' if replaced else 'installed'}: {display_path(card.parent)}; "
          f"use it with --network {name}")
    return report_dropped(reading, args)


def _events(args: argparse.Namespace) -> int:
    from ..importing.branching_trial import branch_network
    from ..importing.calibration import STANDARD, standard_source

    network = open_network(args.network)
    if not isinstance(network, DenseNetwork):
        raise UserError(f"{network.name}: a sigma-delta network already; use it with --network {args.network}")
    name, source = check_name(args.name or f"{network.name}-events"), args.calibrate or standard_source()
    if not source:
        raise UserError(f"{STANDARD} of the set-up is not there: give pictures with --calibrate SOURCE")
    made = branch_network(network, name, source, lambda items, what: _follow(items, len(items), what))
    replaced = is_imported(name)
    file = store_chain(name, pack_branched(made.network, f"made of {network.name}"))
    print(f"{name} {'replaced' if replaced else 'installed'}: {display_path(file.parent)}; "
          f"use it with --network {name}")
    agreement = ("not measured, the network finds nothing there" if math.isnan(made.agreement) else
                 f"{made.agreement:.1f}")
    print(f"event engine: thresholds of {100 * made.share:g} % of the size of a layer's values; agreement with fp32 on "
          f"{made.compared_on} pictures in a row: {agreement}; {100 * made.synop_share:.0f} % of the dense "
          "multiplications as synaptic operations there")
    return EXIT_OK


def _follow(items: Iterable[Any], count: int | None, what: str) -> Iterable[Any]:
    """Shows progress."""
    shown: Iterable[Any] = Progress(items, total=count, desc=what, unit="picture", leave=False)
    return shown


def _remove(args: argparse.Namespace) -> int:
    remove_card(args.name)
    print(f"{args.name} removed")
    return EXIT_OK
