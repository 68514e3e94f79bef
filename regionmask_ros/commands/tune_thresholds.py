"""Find firing thresholds that save work without changing what is detected.

Needs no labels: the dense network's detections on unlabelled video are the truth. The search multiplies one threshold
at a time; it minimises the modelled energy-delay product, or processor time, while average precision against the dense
network falls no further below that of the trained thresholds than --slack allows. With --preset, both run behind its
masks. The result is a small JSON file: read it, and look at the figures of the held-out clips in it, before it is used.

Ctrl-C loses nothing: the same command goes on where it stopped.

example:
  python -m regionmask_ros tune_thresholds street.mp4 crossing.mp4 --hold-out square.mp4 --output thresholds.json
  python -m regionmask_ros tune_thresholds bikes.mp4 lanes.mp4 --cut bikes:30,76,137 --output thresholds.json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from .. import __version__
from ..core import arithmetic
from ..errors import UserError
from ..files.outputs import write_whole
from ..lab.tuning.search import Journal, Score, count_trials, make_key, search
from ..lab.tuning.trial import SURE, Clip, Footage, Outcome, Stretch, dense_references, read_stretches
from ..mask.schedule import PRESETS
from ..metrics.loihi2 import REFERENCE_CORES
from ..network.files import find_network, load_network
from ..network.graph import Network
from ..network.thresholds import INPUT_STEPS, LARGEST, TunedThresholds, get_thresholds, round_up_encoder
from ..pipeline.settings import PipelineSettings
from ._cli import EXIT_OK, add_network, add_options, command_main, format_command

WORK = {"edp": ("edp_js",), "edp+events": ("edp_js", "events"), "synops": ("synops",), "cpu": ("cpu_ms",)}
"""Figures whose product is minimised. Processor time shakes; events, which it follows, are counted."""
RULES = tuple(name for name in arithmetic.RULES if name != "lava")
FRONT, SCALE_FRONT, SCALE_REST = 4, 0.5, 1.5
"""Where the search starts: the encoder and three layers at half their trained thresholds, the others at one and a half.
Early layers cost accuracy, deep ones cost work."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("clips", metavar="CLIP", nargs="+", help="videos to tune on")
    parser.add_argument("--hold-out", metavar="CLIP", action="append", default=[],
                        help="a video to check on, which the search does not see; may be repeated")
    parser.add_argument("--cut", metavar="NAME:N[,N...]", action="append", default=[],
                        help="first frames of new shots in a clip, where everything starts afresh; may be repeated")
    parser.add_argument("--output", metavar="FILE", required=True, help="the result, a .json")
    parser.add_argument("--arithmetic", choices=RULES, default="snap", help="rule to tune for (default: snap)")
    parser.add_argument("--input-step", type=int, choices=INPUT_STEPS, default=2,
                        help="what a unit of the encoder's messages is worth, in 1/64: with 1 they are Lava's and a "
                             "large change takes two frames to arrive, with 2 one (default: 2)")
    parser.add_argument("--minimise", choices=tuple(WORK), default="edp",
                        help="modelled energy-delay product, that times the number of events, synops, or processor "
                             "time (default: edp)")
    parser.add_argument("--slack", metavar="P", type=float, default=0.0,
                        help="points of average precision that may be lost against the trained thresholds; below 0: so "
                             "many must be won (default: 0)")
    parser.add_argument("--preset", choices=("", *PRESETS), default="", help="mask while tuning (default: no mask)")
    parser.add_argument("--start", metavar="N,N,...", default="",
                        help="thresholds to start from, encoder first (default: from the trained ones)")
    parser.add_argument("--rounds", metavar="N", type=int, default=3, help="rounds of the search (default: 3)")
    parser.add_argument("--frames", metavar="N", type=int, default=60, help="length of a stretch (default: 60)")
    parser.add_argument("--stretches", metavar="N", type=int, default=2, help="stretches of a clip (default: 2)")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="of stretches and search (default: 0)")
    add_options(parser, "max_pixels")
    add_network(parser)


def run(args: argparse.Namespace) -> int:
    _check(args)
    cuts = _cuts(args.cut, [*args.clips, *args.hold_out])
    network = load_network(find_network(args.network))
    if network.head is None or len(network.layers) != len(REFERENCE_CORES):
        raise UserError(f"network {network.name}: the cost model knows YOLO-KP only")
    start = _start(args.start, network)
    rng = np.random.default_rng(args.seed)
    tuning = _footage(network, args.clips, cuts, args, rng)
    checking = _footage(network, args.hold_out, cuts, args, rng)
    journal = Journal(Path(f"{args.output}.journal"), _question(args, network))
    if len(journal):
        print(f"{len(journal)} trials are known from an earlier run")
    found = _search(args, tuning, journal, start)
    result = _result(args, network, found, tuning, checking, journal)
    write_whole(Path(args.output), result.to_json().encode())
    journal.remove()
    _tell(result, args.output)
    return EXIT_OK


def main(argv: Sequence[str] | None = None) -> int:
    return command_main("tune_thresholds", argv)


def _check(args: argparse.Namespace) -> None:
    for name, low in (("rounds", 0), ("frames", 2), ("stretches", 1), ("seed", 0)):
        if getattr(args, name) < low:
            raise UserError(f"--{name} {getattr(args, name)}: must be {low} or more")
    if not -100.0 <= args.slack <= 100.0:
        raise UserError(f"--slack {args.slack}: must lie between -100 and 100 points")
    names = [Path(clip).stem for clip in (*args.clips, *args.hold_out)]
    if len(set(names)) < len(names):
        raise UserError("two clips of one name: figures are told by it, so give each another one")


def _cuts(texts: Sequence[str], clips: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """By clip. The name is the file's, without its ending."""
    by_name = {Path(clip).stem: clip for clip in clips}
    cuts = {}
    for text in texts:
        name, _, numbers = text.rpartition(":")
        try:
            frames = tuple(sorted(int(number) for number in numbers.split(",")))
        except ValueError:
            frames = ()
        if name not in by_name or not frames or frames[0] < 0:
            raise UserError(f"--cut {text}: write NAME:N,N..., the name of a clip and the first frames of its shots")
        cuts[by_name[name]] = frames
    return cuts


def _start(text: str, network: Network) -> dict[str, int]:
    trained = get_thresholds(network)
    if not text:
        scales = (SCALE_FRONT if place < FRONT else SCALE_REST for place in range(len(trained)))
        return {name: max(1, round(value * scale)) for (name, value), scale in zip(trained.items(), scales)}
    try:
        values = [int(number) for number in text.split(",")]
    except ValueError:
        values = []
    if len(values) != len(trained) or not all(1 <= value <= LARGEST for value in values):
        raise UserError(f"--start {text}: write {len(trained)} whole numbers from 1 to {LARGEST}, encoder first")
    return dict(zip(trained, values))


@dataclass(frozen=True)
class _Set:
    """Clips to try thresholds on. trained: what they are compared with."""

    footage: Footage
    trained: Outcome


def _footage(network: Network, clips: Sequence[str], cuts: Mapping[str, tuple[int, ...]], args: argparse.Namespace,
             rng: np.random.Generator) -> _Set | None:
    if not clips:
        return None
    stretches: list[Stretch] = []
    with tqdm(unit="frame", desc="reading", disable=None) as progress:
        for path in clips:
            clip = Clip(path, cuts.get(path, ()))
            stretches += read_stretches(clip, args.frames, args.stretches, args.max_pixels, rng, progress.update)
    nms_iou, truths = PipelineSettings().nms_iou, []
    for stretch in tqdm(stretches, unit="stretch", desc="dense network", disable=None):
        truths.append(dense_references(network, stretch, nms_iou))
    footage = Footage(network, stretches, truths, args.preset)
    trained = footage.trained()
    if all(figures.agreement is None for figures in trained.clips.values()):
        raise UserError(
            f"{', '.join(clips)}: the dense network sees hardly anything at a score of {SURE}; give other clips")
    return _Set(footage, trained)


def _search(args: argparse.Namespace, tuning: _Set, journal: Journal, start: Mapping[str, int]) -> dict[str, int]:
    bound, work = tuning.trained.disagreement + args.slack, WORK[args.minimise]
    with tqdm(total=count_trials(len(start), args.rounds), unit="trial", desc="search", disable=None) as progress:
        def judge(thresholds: Mapping[str, int]) -> Score:
            known = round_up_encoder(thresholds, args.input_step)
            outcome = journal.outcome(
                make_key(known), lambda: tuning.footage.trial(known, args.arithmetic, args.input_step))
            gains = [outcome.gain(tuning.trained, figure) for figure in work]
            score = Score(-float(np.log(gains).sum()), outcome.disagreement, bound)
            progress.set_postfix_str(f"{make_key(thresholds)}: gain {np.exp(-score.log_cost):.2f}, "
                                     f"disagreement {score.disagreement:.1f} of {bound:.1f}")
            progress.update()
            return score

        found = search(start, judge, args.rounds, np.random.default_rng(args.seed))
    return round_up_encoder(found, args.input_step)


def _question(args: argparse.Namespace, network: Network) -> str:
    """What outcomes depend on. The seed draws the stretches."""
    parts = [args.clips, args.hold_out, args.cut, args.frames, args.stretches, args.seed, args.preset, args.arithmetic,
             args.input_step, args.max_pixels, network.digest]
    return json.dumps(parts)


def _result(args: argparse.Namespace, network: Network, found: Mapping[str, int], tuning: _Set,
            checking: _Set | None, journal: Journal) -> TunedThresholds:
    made: dict[str, Any] = {
        "command": format_command("tune_thresholds", args.argv),
        "version": __version__,
        "truth": f"detections of the dense network from a score of {SURE} on, average precision at IoU 0.5",
        "minimised": args.minimise,
        "trials": len(journal),
        "tuning": _figures(tuning, found, args),
    }
    if checking:
        made["held_out"] = _figures(checking, found, args)
    return TunedThresholds(network.digest, args.arithmetic, args.input_step, dict(found), made)


def _figures(where: _Set, thresholds: Mapping[str, int], args: argparse.Namespace) -> dict[str, Any]:
    """Gains over the trained thresholds, and agreement with the dense network; means over the clips."""
    outcome = where.footage.trial(thresholds, args.arithmetic, args.input_step)
    return {
        "clips": list(outcome.clips),
        "events_gain": round(outcome.gain(where.trained, "events"), 3),
        "synops_gain": round(outcome.gain(where.trained, "synops"), 3),
        "edp_gain_modelled_even": round(outcome.gain(where.trained, "edp_js"), 3),
        "cpu_gain": round(outcome.gain(where.trained, "cpu_ms"), 3),
        "agreement_trained": round(100.0 - where.trained.disagreement, 2),
        "agreement": round(100.0 - outcome.disagreement, 2),
        "head_rms_trained": round(where.trained.head_rms, 4),
        "head_rms": round(outcome.head_rms, 4),
    }


def _tell(result: TunedThresholds, path: str) -> None:
    print(f"{result.arithmetic}: " + " ".join(f"{name} {value}" for name, value in result.thresholds.items()))
    for what in ("tuning", "held_out"):
        figures = result.made.get(what)
        if figures:
            print(f"{what.replace('_', '-')}: synops gain {figures['synops_gain']:.2f}, modelled EDP gain "
                  f"{figures['edp_gain_modelled_even']:.2f}, CPU gain {figures['cpu_gain']:.2f}; average precision "
                  f"against the dense network {figures['agreement']:.1f}, trained {figures['agreement_trained']:.1f}")
    print(f"  {path}")
