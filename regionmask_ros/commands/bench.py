"""Measure our engine against dense runtimes on the same network, one frame at a time.

All engines take turns. Measured is the processor time of the whole process from the network's uint8 input to the output
of the head, encoder or normalization included. "make runtimes" installs the dense runtimes; one that is not
installed is left out.

Examples:
  python -m regionmask_ros bench --input-size 448x448 --json bench.json
  python -m regionmask_ros bench --sequence street.mp4 --engines event --paths avx2,portable --layers --streams 4
  python -m regionmask_ros bench --input-size 448x448,auto --worst --layers --streams 4 --start --output docs
  python -m regionmask_ros bench --networks yolo_kp,yolox_nano --settings unmasked --accuracy street
  python -m regionmask_ros bench --ros --ros-masks none,dynamic
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .. import __version__
from ..backends import AUTO
from ..backends.runtimes import RUNTIMES
from ..core.frame import parse_input_size
from ..engine.engine import available_kernel_sets
from ..errors import UserError
from ..files.outputs import Outputs
from ..lab.bench.baselines import BASELINES, limit_threads
from ..lab.bench.candidates import EVENT, SETTINGS
from ..lab.bench.clip import MAX_FRAMES, standard_sequences
from ..lab.bench.measure import WARM_UP
from ..lab.bench.session import Plan, Session
from ..metrics.machine import machine_facts
from ..network.dense import AnyNetwork
from ..network.graph import Network
from ..report.tables import format_text
from ._cli import INSTALLED, add_network, add_networks, command_main, format_command, load_networks
from ._parser import add_options
from ._pictures import add_reading, make_reading, report_dropped

ENGINES = (EVENT, *BASELINES)
MAX_THREADS, MAX_STREAMS = 1024, 256
MAX_DRIFT = 10_000_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of the command."""
    _add_choices(parser)
    parser.add_argument("--streams", metavar="N", type=int, default=0,
                        help="also N cameras in one process that share weights: cameras per core, memory of one more")
    parser.add_argument("--layers", action="store_true", help="also the time of each layer, in a replay of its own")
    parser.add_argument("--worst", action="store_true",
                        help="also the slowest frame, first and refresh frames included; least time of 5 replays")
    parser.add_argument("--start", action="store_true",
                        help="also the start of a new process, cold and warm, and the stages before the network")
    parser.add_argument("--accuracy", metavar="DIR", default="",
                        help="also mAP@0.5 on a labeled sequence: a folder with video.mp4 and gt.csv")
    parser.add_argument("--drift", metavar="N", type=int, default=0,
                        help="also play each sequence forwards and backwards for N frames and compare the head "
                             "with the dense evaluation")
    parser.add_argument("--json", metavar="FILE", default="", help="write machine and rows as JSON")
    parser.add_argument("-o", "--output", metavar="DIR", default="",
                        help="also inputs from 320x192 to 1920x1088; write plots and PERFORMANCE.md there")


def _add_choices(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sequence", metavar="FILE", action="append",
                        help="a video or a folder of images; may be repeated (default: the installed videos)")
    parser.add_argument("--settings", metavar="LIST", default=",".join(SETTINGS),
                        help="unmasked, or masked60: the busiest 40 %% of the regions are kept (default: both)")
    parser.add_argument("--engines", metavar="LIST", default=",".join(ENGINES),
                        help=f"some of {', '.join(ENGINES)} (default: all)")
    parser.add_argument("--paths", metavar="LIST", default="",
                        help=f"kernel sets to measure besides the default one: {', '.join(available_kernel_sets())}")
    parser.add_argument("--threads", metavar="N", type=int, default=1,
                        help="threads of the dense runtimes; our engine always has one (default: 1)")
    parser.add_argument("--input-size", metavar="auto|WxH", default="auto",
                        help="network input, multiples of 32; several, separated by commas, are measured one after "
                             "another (default: auto, the shape of the sequence)")
    parser.add_argument("--frames", metavar="N", type=int, default=120,
                        help=f"frames to measure, after {WARM_UP} for warming up (default: 120)")
    add_options(parser, "max_pixels")
    parser.add_argument("--backend", choices=(AUTO, *RUNTIMES), default=AUTO,
                        help="runtime of networks in ONNX files; auto: the first one that is installed (default: auto)")
    add_network(parser)
    add_networks(parser)
    add_reading(parser)
    parser.add_argument("--ros", action="store_true",
                        help="instead: the node in a process of its own, through topics at 640x480 and 60 Hz")
    parser.add_argument("--ros-seconds", metavar="S", type=float, default=60.0,
                        help="duration with --ros, for each mask (default: 60)")
    parser.add_argument("--ros-masks", metavar="LIST", default="dynamic",
                        help="masks with --ros: none, dynamic, preset (default: dynamic)")


def run(args: argparse.Namespace) -> int:
    """Runs the command and returns its exit status."""
    if args.ros:
        return _bench_ros(args)
    plan = _plan(args)
    sequences = list(dict.fromkeys(args.sequence or standard_sequences()))
    if not sequences:
        raise UserError("no video is installed; give one with --sequence FILE, or run 'make setup'")
    limit_threads(args.threads)
    networks = load_networks(args.networks or args.network, args.networks != "")
    _check_networks(networks, plan)

    @functools.cache
    def report(line: str) -> None:
        """Prints a line once."""
        print(f"regionmask_ros: {line}", file=sys.stderr)

    reading = make_reading(args)
    session = Session(networks, plan, report, lambda table: print(format_text(table), end="\n\n", flush=True), reading)
    with Outputs(sequences) as outputs:
        json_path = outputs.file(args.json) if args.json else ""
        pages = _page_files(outputs, args.output) if args.output else {}
        session.run(sequences)
        result = {"machine": machine_facts(), "version": __version__, "network": networks[0].digest,
                  "digests": {network.name: network.digest for network in networks},
                  "command": format_command("bench", args.argv), **reading.dropped.as_json(), **session.result}
        if json_path:
            Path(json_path).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        if pages:
            _write_pages(pages, result)
        for written in outputs.commit():
            print(f"  {written}")
    return report_dropped(reading, args)


def _check_networks(networks: Sequence[AnyNetwork], plan: Plan) -> None:
    """Refuses what cannot be measured with these networks."""
    own = [network.name for network in networks if isinstance(network, Network)]
    if len(own) > 1:
        raise UserError(f"--networks: {' and '.join(own)} are both sigma-delta networks; bench measures one at a time")
    options = {"--paths": plan.paths, "--streams": plan.streams, "--layers": plan.layers, "--worst": plan.worst,
               "--start": plan.start, "--drift": plan.drift, "--output": plan.scale}
    wrong = next((option for option, value in options.items() if value), None)
    if not own and wrong:
        raise UserError(f"{wrong}: needs a sigma-delta network, and {networks[0].name} is an ONNX network; leave it "
                        f"out, or measure both: --networks {INSTALLED},{networks[0].name}")


def _bench_ros(args: argparse.Namespace) -> int:
    from ..ros.demo.show import use_private_domain

    masks = _names(args.ros_masks, "--ros-masks", ("none", "dynamic", "preset"))
    if not 1.0 <= args.ros_seconds <= 3600.0:
        raise UserError(f"--ros-seconds {args.ros_seconds}: must be 1 to 3600")
    path = next(iter(args.sequence or standard_sequences()), None)
    if path is None:
        raise UserError("no video is installed; give one with --sequence FILE, or run 'make setup'")
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
            Path(json_path).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        for written in outputs.commit():
            print(f"  {written}")
    return report_dropped(reading, args)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit status."""
    return command_main("bench", argv)


def _plan(args: argparse.Namespace) -> Plan:
    engines = _names(args.engines, "--engines", ENGINES)
    paths = _names(args.paths, "--paths", available_kernel_sets()) if args.paths else ()
    limits = (("--threads", args.threads, 1, MAX_THREADS), ("--frames", args.frames, 1, MAX_FRAMES),
              ("--streams", args.streams, 0, MAX_STREAMS), ("--drift", args.drift, 0, MAX_DRIFT))
    for option, value, low, high in limits:
        if not low <= value <= high:
            raise UserError(f"{option} {value}: must be {low} to {high}")
    for option, given in (("--paths", args.paths), ("--streams", args.streams), ("--layers", args.layers),
                          ("--drift", args.drift)):
        if given and EVENT not in engines:
            raise UserError(f"{option}: needs {EVENT} among --engines")
    return Plan(
        settings=_names(args.settings, "--settings", SETTINGS), engines=engines, paths=paths, threads=args.threads,
        input_sizes=tuple(dict.fromkeys(parse_input_size(size.strip()) for size in args.input_size.split(","))),
        frames=args.frames, max_pixels=args.max_pixels,
        streams=args.streams, layers=args.layers, worst=args.worst, scale=bool(args.output), start=args.start,
        accuracy=args.accuracy, drift=args.drift, backend=args.backend,
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

    from ..lab.bench.page import PAGE, PLOTS

    place = outputs.folder(folder)
    return {name: outputs.file(os.path.join(place, name)) for name in (*PLOTS, PAGE)}


def _write_pages(files: dict[str, str], result: dict[str, Any]) -> None:
    from ..lab.bench.page import PAGE, PLOTS, format_page

    for name, draw in PLOTS.items():
        Path(files[name]).write_bytes(draw(result))
    Path(files[PAGE]).write_text(format_page(result), encoding="utf-8")
