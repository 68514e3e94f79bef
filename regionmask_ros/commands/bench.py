"""Measure our engine against dense runtimes on the same network, one frame at a time.

All engines take turns on every frame. Measured is the processor time of the whole process, from the network's uint8
input to the head's output; encoder, or normalisation, included. Peers come with "make bench-setup"; one that is not
installed is left out.

example:
  python -m regionmask_ros bench --input-size 448x448 --json bench.json
  python -m regionmask_ros bench --sequence street.mp4 --engines event --paths avx2,portable --frames 60
  python -m regionmask_ros bench --ros --ros-masks none,dynamic
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
from pathlib import Path
from typing import Sequence

from tqdm import tqdm

from .. import __version__
from ..bench.clip import Clip, load_clip, standard_sequences
from ..bench.contestant import Contestant
from ..bench.event_engine import EVENT, EventContestant
from ..bench.machine import machine_facts
from ..bench.measure import WARM_UP, add_ratios, measure, row_of, warm_up_frames
from ..bench.peers.choice import PEERS, PeerModels, limit_threads, open_peers
from ..bench.settings import SETTINGS, keep_mask
from ..bench.table import table
from ..engine.event_engine import available_paths
from ..errors import UserError
from ..frames import parse_input_size
from ..network.files import find_network, load_network
from ..network.spec import Network
from ..report.outputs import Outputs
from ._shell import EXIT_OK, command_main

ENGINES = (EVENT, *PEERS)
MOST_THREADS = 1024
MOST_FRAMES = 2000
"""All pictures of a clip are held in memory, up to a megabyte each at the automatic size."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sequence", metavar="FILE", action="append",
                        help="a video or a folder of pictures; may be repeated (default: the installed videos)")
    parser.add_argument("--settings", metavar="LIST", default=",".join(SETTINGS),
                        help="unmasked, or masked60: 40 %% of the regions kept, the busiest (default: both)")
    parser.add_argument("--engines", metavar="LIST", default=",".join(ENGINES),
                        help=f"some of {', '.join(ENGINES)} (default: all)")
    parser.add_argument("--paths", metavar="LIST", default="",
                        help="kernels to measure in addition to the default ones: avx512, avx2, portable")
    parser.add_argument("--threads", metavar="N", type=int, default=1,
                        help="threads of the peers; our engine has one (default: 1)")
    parser.add_argument("--input-size", metavar="auto|WxH", default="auto",
                        help="network input, multiples of 32 (default: auto, the sequence's shape)")
    parser.add_argument("--frames", metavar="N", type=int, default=120,
                        help=f"frames measured, after {WARM_UP} for warming up (default: 120)")
    parser.add_argument("--network", metavar="FILE", default="", help="trained network (default: the installed one)")
    parser.add_argument("--json", metavar="FILE", default="", help="write machine and rows as JSON")
    parser.add_argument("--ros", action="store_true",
                        help="instead: the node, in a process of its own, through topics at 640x480 and 60 Hz")
    parser.add_argument("--ros-seconds", metavar="S", type=float, default=60.0, help="how long (default: 60)")
    parser.add_argument("--ros-masks", metavar="LIST", default="dynamic", help="none, dynamic (default: dynamic)")


def run(args: argparse.Namespace) -> int:
    if args.ros:
        return _through_ros(args)
    settings = _names(args.settings, "--settings", SETTINGS)
    engines = _names(args.engines, "--engines", ENGINES)
    paths = _names(args.paths, "--paths", available_paths()) if args.paths else []
    if paths and EVENT not in engines:
        raise UserError(f"--paths {args.paths}: needs {EVENT} among --engines")
    for option, value, most in (("--threads", args.threads, MOST_THREADS), ("--frames", args.frames, MOST_FRAMES)):
        if not 1 <= value <= most:
            raise UserError(f"{option} {value}: must be 1 to {most}")
    input_size = parse_input_size(args.input_size)
    sequences = args.sequence or standard_sequences()
    if not sequences:
        raise UserError("no video is installed; give one with --sequence FILE, or run 'make setup'")
    limit_threads(args.threads)
    network = load_network(find_network(args.network))
    rows, told = [], set()

    def tell(line: str) -> None:
        if line not in told:
            told.add(line)
            print(f"regionmask_ros: {line}", file=sys.stderr)

    with Outputs(sequences) as outputs:
        json_path = outputs.file(args.json) if args.json else ""
        for path in dict.fromkeys(sequences):
            clip = load_clip(path, input_size, args.frames + WARM_UP)
            contestants = _event_contestants(network, clip, settings, paths) if EVENT in engines else []
            contestants += open_peers(engines, PeerModels(network, clip, args.threads), tell)
            if not contestants:
                raise UserError(f"none of the engines {', '.join(engines)} can run here")
            rows += _measured(network, contestants, clip, args.frames)
        if json_path:
            result = {"machine": machine_facts(), "version": __version__, "network": network.digest, "rows": rows}
            Path(json_path).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        for written in outputs.commit():
            print(f"  {written}")
    return EXIT_OK


def _through_ros(args: argparse.Namespace) -> int:
    from ..ros.demo.show import private_domain

    masks = _names(args.ros_masks, "--ros-masks", ("none", "dynamic"))
    if not 1.0 <= args.ros_seconds <= 3600.0:
        raise UserError(f"--ros-seconds {args.ros_seconds}: must be 1 to 3600")
    path = next(iter(args.sequence or standard_sequences()), None)
    if path is None:
        raise UserError("no video is installed; give one with --sequence FILE, or run 'make setup'")
    environment = private_domain()
    from ..ros.throughput import measure_throughput

    rows = []
    with Outputs([path]) as outputs, tempfile.TemporaryDirectory() as folder:
        json_path = outputs.file(args.json) if args.json else ""
        for mask in masks:
            measured = measure_throughput(path, mask, args.ros_seconds, environment, Path(folder, "node.log"))
            print("\n".join(measured.lines()), flush=True)
            rows.append({"sequence": path, **dataclasses.asdict(measured), "overhead_ms": measured.overhead_ms})
        if json_path:
            result = {"machine": machine_facts(), "version": __version__, "ros": rows}
            Path(json_path).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        for written in outputs.commit():
            print(f"  {written}")
    return EXIT_OK


def main(argv: Sequence[str] | None = None) -> int:
    return command_main("bench", argv)


def _names(text: str, option: str, known: Sequence[str]) -> list[str]:
    """The parts of a comma list, each once, in the order given."""
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in known:
            raise UserError(f"{option} {text!r}: {name!r} is not one of {', '.join(known)}")
    return list(dict.fromkeys(names))


def _event_contestants(network: Network, clip: Clip, settings: Sequence[str], paths: Sequence[str]) -> list[Contestant]:
    keeps = {setting: keep_mask(setting, network, clip) for setting in settings}
    return [
        EventContestant(network, clip.input_wh, setting, keep, forced)
        for forced in ("", *paths) for setting, keep in keeps.items()
    ]


def _measured(network: Network, contestants: Sequence[Contestant], clip: Clip, wanted: int) -> list[dict]:
    indices = tqdm(range(len(clip.images)), desc=Path(clip.path).name, unit="frame", disable=None)
    records = measure(network, contestants, clip, warm_up_frames(len(clip.images), wanted), indices)
    rows = [row_of(clip, contestant, record) for contestant, record in zip(contestants, records)]
    add_ratios(rows)
    print(table(rows), end="\n\n", flush=True)
    return rows
