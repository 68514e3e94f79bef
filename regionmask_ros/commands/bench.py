"""The work of the command ``bench``, whose arguments are in ``arguments/bench.py``."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .. import __version__
from ..core.frame import parse_input_size
from ..datasets import is_dataset
from ..datasets.labels import LabelledSequence
from ..engine.engine import KERNEL_SET_VARIABLE, available_kernel_sets
from ..errors import UserError
from ..files.outputs import Outputs, encode_json
from ..lab.bench.baselines import BASELINES, limit_threads
from ..lab.bench.candidates import EVENT, SETTINGS, TILES
from ..lab.bench.clip import MAX_FRAMES, standard_sequences
from ..lab.bench.peers import PEERS, limit_isa
from ..lab.bench.session import Plan, Session
from ..lab.bench.tiles import TILE_SETTINGS
from ..metrics.machine import machine_facts
from ..network.branched import BranchedNetwork
from ..network.chain import Network
from ..network.dense import AnyNetwork, DenseNetwork
from ..network.names import INSTALLED
from ..report.tables import format_text
from ..sources import Reading
from ..tiles.compiled import list_kernel_sets
from ..tiles.engine import KERNELS_KEY
from ._cli import command_main, format_command, load_networks
from ._datasets import open_datasets
from ._parser import print_note
from ._pictures import make_reading, report_dropped

OWN_ENGINES = (EVENT, *BASELINES)
"""Of a sigma-delta network."""

ONNX_ENGINES = (TILES, *PEERS)
ENGINES = tuple(dict.fromkeys((*OWN_ENGINES, *ONNX_ENGINES)))
AMX, AMX_TILES = "amx", "amx_int8"
"""The kernel sets with AMX, of the event engine and of the tile engine."""

ALL_SETTINGS = tuple(dict.fromkeys((*SETTINGS, *TILE_SETTINGS)))
MAX_THREADS, MAX_STREAMS = 1024, 256
MAX_DRIFT = 10_000_000


def run(args: argparse.Namespace) -> int:
    """Runs the command and returns its exit status."""
    if args.ros:
        return _bench_ros(args)
    plan = _plan(args)
    reading = make_reading(args)
    sequences = _open_sequences(args, reading)
    limit_threads(args.threads)
    if args.isa != "auto":
        limit_isa(args.isa)
        limit_own_kernels()
    networks = load_networks(args.networks or args.network, args.networks != "")
    _check_networks(networks, plan)
    plan = _choose_engines(networks, plan)

    @functools.cache
    def report(line: str) -> None:
        """Prints a line once."""
        print_note(line)

    session = Session(networks, plan, report, lambda table: print(format_text(table), end="\n\n", flush=True), reading)
    inputs = [one for path, labelled in sequences.items() for one in (labelled.inputs if labelled else (path,))]
    with Outputs(inputs) as outputs:
        json_path = outputs.file(args.json) if args.json else ""
        pages = _page_files(outputs, args.output) if args.output else {}
        session.run(sequences)
        result = {"machine": machine_facts(), "version": __version__, "network": networks[0].digest,
                  "digests": {network.name: network.digest for network in networks},
                  "command": format_command("bench", args.argv), **reading.dropped.as_json(), **session.result}
        if json_path:
            Path(json_path).write_bytes(encode_json(result))
        if pages:
            _write_pages(pages, result)
        for written in outputs.commit():
            print(f"  {written}")
    return report_dropped(reading, args)


def _open_sequences(args: argparse.Namespace, reading: Reading) -> dict[str, LabelledSequence | None]:
    """What `Session.run` takes. Where several sequences have one specification, each has its own name behind it."""
    opened: dict[str, LabelledSequence | None] = {}
    for given in args.sequence or standard_sequences():
        if not is_dataset(given):
            opened[given] = None
            continue
        if args.accuracy:
            raise UserError(f"--accuracy {args.accuracy}: {given} has labels of its own; leave one of the two out")
        found = open_datasets([given], reading=reading)
        opened.update({given if len(found) == 1 else f"{given}/{one.name}": one for one in found})
    if not opened:
        raise UserError("no video is installed; give one with --sequence FILE, or run 'make setup'")
    return opened


def _check_networks(networks: Sequence[AnyNetwork], plan: Plan) -> None:
    """Refuses what cannot be measured with these networks."""
    own = [network.name for network in networks if isinstance(network, Network)]
    if len(own) > 1:
        raise UserError(f"--networks: {' and '.join(own)} are both sigma-delta networks; bench measures one at a time")
    options = {"--paths": plan.paths, "--streams": plan.streams, "--layers": plan.layers and plan.side_by_side,
               "--worst": plan.worst, "--start": plan.start, "--drift": plan.drift, "--output": plan.scale}
    wrong = next((option for option, value in options.items() if value), None)
    if not own and wrong:
        raise UserError(f"{wrong}: needs a sigma-delta network, and {networks[0].name} is an ONNX network; leave it "
                        f"out, or measure both: --networks {INSTALLED},{networks[0].name}")
    branched = next((network for network in networks if isinstance(network, BranchedNetwork)), None)
    if branched is not None:
        given = {"--paths": plan.paths, "--streams": plan.streams, "--start": plan.start, "--output": plan.scale}
        wrong = next((option for option, value in given.items() if value), None)
        if wrong:
            raise UserError(f"{wrong}: not for {branched.name}, whose layers are no chain; leave it out")
    if not own and not plan.side_by_side and plan.backend != "auto":
        raise UserError(f"--backend {plan.backend}: choose what computes {networks[0].name} with --engines, or compare "
                        f"networks with --networks {networks[0].name}")


def _choose_engines(networks: Sequence[AnyNetwork], plan: Plan) -> Plan:
    """The plan with the engines and settings that were asked for, or all that fit the network."""
    is_onnx = isinstance(networks[0], DenseNetwork) and not plan.side_by_side
    settings = TILE_SETTINGS if is_onnx else SETTINGS
    fitting: tuple[str, ...] = ONNX_ENGINES if is_onnx else OWN_ENGINES
    if any(isinstance(network, BranchedNetwork) for network in networks):
        fitting = (EVENT,)
    for engine in plan.engines:
        if engine not in fitting:
            kind = "an ONNX" if is_onnx else "a sigma-delta"
            raise UserError(f"--engines: {engine} does not compute {networks[0].name}, which is {kind} network; use "
                            f"{', '.join(fitting)}")
    for setting in plan.settings:
        if setting not in settings:
            raise UserError(f"--settings: {setting} is none of {networks[0].name}; use {', '.join(settings)}")
    return dataclasses.replace(plan, engines=plan.engines or fitting, settings=plan.settings or settings)


def limit_own_kernels() -> None:
    """Limits the kernels of both engines to those without AMX, unless the user has chosen some."""
    for variable, with_amx, available in ((KERNEL_SET_VARIABLE, AMX, available_kernel_sets()),
                                          (KERNELS_KEY, AMX_TILES, list_kernel_sets())):
        if with_amx in available:
            os.environ.setdefault(variable, next(name for name in available if name != with_amx))


def _bench_ros(args: argparse.Namespace) -> int:
    from ..ros.demo.show import use_private_domain

    masks = _names(args.ros_masks, "--ros-masks", ("none", "dynamic", "preset"))
    if not 1.0 <= args.ros_seconds <= 3600.0:
        raise UserError(f"--ros-seconds {args.ros_seconds}: must be 1 to 3600")
    path = next(iter(args.sequence or standard_sequences()), None)
    if path is None:
        raise UserError("no video is installed; give one with --sequence FILE, or run 'make setup'")
    if is_dataset(path):
        raise UserError(f"--ros: nothing is scored; instead of --sequence {path}, give its video or folder of images")
    environment = use_private_domain()
    from ..ros.throughput import measure_throughput

    rows, reading = [], make_reading(args)
    with Outputs([path]) as outputs, tempfile.TemporaryDirectory() as folder:
        json_path = outputs.file(args.json) if args.json else ""
        for mask in masks:
            measured = measure_throughput(path, mask, args.ros_seconds, environment, Path(folder, "node.log"), reading)
            print("\n".join(measured.lines()), flush=True)
            rows.append({"sequence": path, **dataclasses.asdict(measured), "overhead_ms": measured.overhead_ms})
        if json_path:
            result = {"machine": machine_facts(), "version": __version__, "ros": rows,
                      **reading.dropped.as_json()}
            Path(json_path).write_bytes(encode_json(result))
        for written in outputs.commit():
            print(f"  {written}")
    return report_dropped(reading, args)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit status."""
    return command_main("bench", argv)


def _plan(args: argparse.Namespace) -> Plan:
    engines = _names(args.engines, "--engines", ENGINES) if args.engines else ()
    paths = _names(args.paths, "--paths", available_kernel_sets()) if args.paths else ()
    if args.isa != "auto" and AMX in paths:
        raise UserError(f"--paths {args.paths}: --isa {args.isa} leaves {AMX} out")
    limits = (("--threads", args.threads, 1, MAX_THREADS), ("--frames", args.frames, 1, MAX_FRAMES),
              ("--streams", args.streams, 0, MAX_STREAMS), ("--drift", args.drift, 0, MAX_DRIFT))
    for option, value, low, high in limits:
        if not low <= value <= high:
            raise UserError(f"{option} {value}: must be {low} to {high}")
    for option, given in (("--paths", args.paths), ("--streams", args.streams), ("--drift", args.drift)):
        if given and engines and EVENT not in engines:
            raise UserError(f"{option}: needs {EVENT} among --engines")
    if args.layers and engines and not {EVENT, TILES} & {*engines}:
        raise UserError(f"--layers: needs {EVENT}, or {TILES} for an ONNX network, among --engines")
    return Plan(
        settings=_names(args.settings, "--settings", ALL_SETTINGS) if args.settings else (), engines=engines,
        paths=paths,
        threads=args.threads,
        input_sizes=tuple(dict.fromkeys(parse_input_size(size.strip()) for size in args.input_size.split(","))),
        frames=args.frames, max_pixels=args.max_pixels,
        streams=args.streams, layers=args.layers, worst=args.worst, scale=bool(args.output), start=args.start,
        accuracy=args.accuracy, drift=args.drift, backend=args.backend, side_by_side=bool(args.networks),
    )


def _names(text: str, option: str, known: Sequence[str]) -> tuple[str, ...]:
    """The parts of a comma list, each once, in the order given."""
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in known:
            raise UserError(f"{option} {text!r}: {name!r} is not one of {', '.join(known)}")
    return tuple(dict.fromkeys(names))


def _page_files(outputs: Outputs, folder: str) -> dict[str, str]:
    """Temporary names of the page and its plots, by their final names."""
    # A missing package is reported before minutes of measuring.
    import matplotlib as mpl  # noqa: F401

    from ..lab.bench.html_page import HTML_PAGE
    from ..lab.bench.page import PAGE
    from ..lab.bench.plots import PLOTS

    place = outputs.folder(folder)
    return {name: outputs.file(os.path.join(place, name)) for name in (*PLOTS, PAGE, HTML_PAGE)}


def _write_pages(files: dict[str, str], result: dict[str, Any]) -> None:
    from ..lab.bench.html_page import HTML_PAGE, make_page
    from ..lab.bench.page import PAGE, format_page
    from ..lab.bench.plots import DPI, PLOTS
    from ..report.page import write_page
    from ..report.plots import PNG_COLORS, figure_png

    for name, draw in PLOTS.items():
        Path(files[name]).write_bytes(figure_png(draw(result, PNG_COLORS), DPI))
    Path(files[PAGE]).write_text(format_page(result), encoding="utf-8")
    write_page(files[HTML_PAGE], make_page(result))
