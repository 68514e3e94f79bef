"""The work of the command ``tune_thresholds``, whose arguments are in ``arguments/tune_thresholds.py``."""

from __future__ import annotations

import argparse
import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..core import arithmetic
from ..errors import UserError
from ..files.outputs import write_whole
from ..fleet.calls import Executor
from ..fleet.places import Place, expand, is_many
from ..fleet.progress import UnitProgress
from ..fleet.tuning import SharedTrialRunner, Tuning, draw_clips
from ..fleet.units import make_units
from ..importing.opening import open_network
from ..lab.tuning.search import Journal, Score, count_trials, make_key, search
from ..lab.tuning.trial import SURE, ClipSegment, TrialResult, TrialRunner, dense_references, read_segments
from ..metrics.loihi2 import REFERENCE_INPUT_WH, allocate
from ..network.chain import Network
from ..network.dense import DenseNetwork
from ..network.thresholds import LARGEST, TunedThresholds, get_thresholds, round_up_encoder
from ..pipeline.settings import PipelineSettings
from ..progress import Progress
from ..sources import Reading
from ._cli import command_main, format_command
from ._fleet import check_workers, make_limits, open_workers, tell_failures
from ._pictures import make_reading, report_dropped
from ._tune_tiles import tune_tiles

WORK = {"edp": ("edp_js",), "edp+events": ("edp_js", "events"), "synops": ("synops",), "cpu": ("cpu_ms",)}
"""Figures whose product is minimized. CPU time varies from run to run; events, which it follows, are counted."""

RULES = tuple(name for name in arithmetic.RULES if name != "lava")
FRONT, SCALE_FRONT, SCALE_REST = 4, 0.5, 1.5
"""Where the search starts: the encoder and three layers at half their trained thresholds, the others at one and a half.
Early layers decide about accuracy, deep ones about work."""


def run(args: argparse.Namespace) -> int:
    """Searches, and returns the exit status."""
    is_shared = bool(args.jobs or args.ray) or any(is_many([clip]) for clip in (*args.clips, *args.hold_out))
    if is_shared:
        check_workers(args)
        args.clips, args.hold_out = ([place.path for place in expand(words)] if words else []
                                     for words in (args.clips, args.hold_out))
    _check(args)
    cuts = _parse_cuts(args.cut, [*args.clips, *args.hold_out])
    network = open_network(args.network)
    if isinstance(network, DenseNetwork):
        return tune_tiles(args, network, cuts)
    if not args.output:
        raise UserError("--output FILE is missing: it takes the result for YOLO-KP")
    if network.head is None or allocate(network, REFERENCE_INPUT_WH) is None:
        raise UserError(f"network {network.name}: the cost model covers YOLO-KP only")
    start = _choose_start(args.start, network)
    rng = np.random.default_rng(args.seed)
    reading = make_reading(args)
    with contextlib.ExitStack() as stack:
        make: Callable[[Sequence[str]], _Trials]
        if is_shared:
            job = Tuning(network, args.preset, cuts, args.frames, args.max_pixels, make_limits(args))
            workers = stack.enter_context(open_workers(args, job, max(len(args.clips), len(args.hold_out))))
            make = partial(_share_trials, workers, args=args, rng=rng, reading=reading)
        else:
            make = partial(_make_trials, network, cuts=cuts, args=args, rng=rng, reading=reading)
        tuning = make(args.clips)
        checking = make(args.hold_out) if args.hold_out else None
        journal = Journal(Path(f"{args.output}.journal"), _question(args, network))
        if len(journal):
            print(f"{len(journal)} trials are known from an earlier run")
        found = _search(args, tuning, journal, start)
        result = _make_result(args, network, found, tuning, checking, journal, reading)
    write_whole(Path(args.output), result.to_json().encode())
    journal.remove()
    _print_result(result, args.output)
    return report_dropped(reading, args)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command with the given arguments, or those of the process."""
    return command_main("tune_thresholds", argv)


def _check(args: argparse.Namespace) -> None:
    for name, low in (("rounds", 0), ("frames", 2), ("stretches", 1), ("seed", 0)):
        if getattr(args, name) < low:
            raise UserError(f"--{name} {getattr(args, name)}: must be {low} or more")
    if not -100.0 <= args.slack <= 100.0:
        raise UserError(f"--slack {args.slack}: must lie between -100 and 100 points")
    names = [Path(clip).stem for clip in (*args.clips, *args.hold_out)]
    if len(set(names)) < len(names):
        raise UserError("two clips have the same name; rename one, as figures are reported by name")


def _parse_cuts(texts: Sequence[str], clips: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """First frames of shots by path. In the option, a clip has the name of its file without the extension."""
    by_name = {Path(clip).stem: clip for clip in clips}
    cuts = {}
    for text in texts:
        name, _, numbers = text.rpartition(":")
        try:
            frames = tuple(sorted(int(number) for number in numbers.split(",")))
        except ValueError:
            frames = ()
        if name not in by_name or not frames or frames[0] < 0:
            raise UserError(f"--cut {text}: must be NAME:N,N...: the name of a clip and the first frames of its shots")
        cuts[by_name[name]] = frames
    return cuts


def _choose_start(text: str, network: Network) -> dict[str, int]:
    trained = get_thresholds(network)
    if not text:
        scales = (SCALE_FRONT if place < FRONT else SCALE_REST for place in range(len(trained)))
        return {name: max(1, round(value * scale)) for (name, value), scale in zip(trained.items(), scales)}
    try:
        values = [int(number) for number in text.split(",")]
    except ValueError:
        values = []
    if len(values) != len(trained) or not all(1 <= value <= LARGEST for value in values):
        raise UserError(f"--start {text}: must be {len(trained)} integers from 1 to {LARGEST}, encoder first")
    return dict(zip(trained, values))


@dataclass(frozen=True)
class _Trials:
    """Trials on some clips, and the result of the trained thresholds that they are compared with."""

    runner: TrialRunner | SharedTrialRunner
    trained: TrialResult


def _make_trials(network: Network, clips: Sequence[str], cuts: Mapping[str, tuple[int, ...]], args: argparse.Namespace,
                 rng: np.random.Generator, reading: Reading) -> _Trials:
    segments: list[ClipSegment] = []
    with Progress(unit="frame", desc="reading") as progress:
        for path in clips:
            segments += read_segments(path, cuts.get(path, ()), args.frames, args.stretches, args.max_pixels, rng,
                                      progress.update, reading)
    nms_iou = PipelineSettings().nms_iou
    references = [dense_references(network, segment, nms_iou)
                  for segment in Progress(segments, unit="segment", desc="dense network")]
    runner = TrialRunner(network, segments, references, args.preset)
    return _with_trained(clips, runner, runner.run_trained())


def _share_trials(workers: Executor, clips: Sequence[str], args: argparse.Namespace, rng: np.random.Generator,
                  reading: Reading) -> _Trials:
    """As ``_make_trials``, by workers. Clips that cannot be used are told, and left out."""
    units = make_units([Place(clip) for clip in clips], {clip: Path(clip).stem for clip in clips})
    drawn, failures = draw_clips(workers, units, args.stretches, rng, args.strict, reading)
    tell_failures(failures, len(units))
    if not drawn:
        raise UserError(f"no clip can be used; the first: {failures[0].why}")
    runner = SharedTrialRunner(workers, drawn)
    with UnitProgress(len(drawn), desc="dense network") as progress:
        trained = runner.run_trained(progress)
    return _with_trained([clip.place.path for clip in drawn], runner, trained)


def _with_trained(clips: Sequence[str], runner: TrialRunner | SharedTrialRunner, trained: TrialResult) -> _Trials:
    if all(figures.agreement is None for figures in trained.clips.values()):
        raise UserError(
            f"{', '.join(clips)}: the dense network finds hardly anything at a score of {SURE}; give other clips")
    return _Trials(runner, trained)


def _search(args: argparse.Namespace, tuning: _Trials, journal: Journal, start: Mapping[str, int]) -> dict[str, int]:
    bound, work = tuning.trained.disagreement + args.slack, WORK[args.minimise]
    with Progress(total=count_trials(len(start), args.rounds), unit="trial", desc="search") as progress:
        def evaluate_thresholds(thresholds: Mapping[str, int]) -> Score:
            rounded = round_up_encoder(thresholds, args.input_step)
            result = journal.result(
                make_key(rounded), lambda: tuning.runner.run(rounded, args.arithmetic, args.input_step))
            gains = [result.gain(tuning.trained, figure) for figure in work]
            score = Score(-float(np.log(gains).sum()), result.disagreement, bound)
            progress.set_postfix_str(f"{make_key(thresholds)}: gain {np.exp(-score.log_cost):.2f}, "
                                     f"disagreement {score.disagreement:.1f} of {bound:.1f}")
            progress.update()
            return score

        found = search(start, evaluate_thresholds, args.rounds, np.random.default_rng(args.seed))
    return round_up_encoder(found, args.input_step)


def _question(args: argparse.Namespace, network: Network) -> str:
    """Everything that the results of trials depend on. The seed draws the segments."""
    parts = [args.clips, args.hold_out, args.cut, args.frames, args.stretches, args.seed, args.preset, args.arithmetic,
             args.input_step, args.max_pixels, network.digest]
    return json.dumps(parts)


def _make_result(args: argparse.Namespace, network: Network, found: Mapping[str, int], tuning: _Trials,
                 checking: _Trials | None, journal: Journal, reading: Reading) -> TunedThresholds:
    made: dict[str, Any] = {
        "command": format_command("tune_thresholds", args.argv),
        "version": __version__,
        "truth": f"detections of the dense network from a score of {SURE} on, average precision at IoU 0.5",
        "minimised": args.minimise,
        "trials": len(journal),
        **reading.dropped.as_json(),
        "tuning": _figures(tuning, found, args),
    }
    if checking:
        made["held_out"] = _figures(checking, found, args)
    return TunedThresholds(network.digest, args.arithmetic, args.input_step, dict(found), made)


def _figures(trials: _Trials, thresholds: Mapping[str, int], args: argparse.Namespace) -> dict[str, Any]:
    """Gains over the trained thresholds, and agreement with the dense network; means over the clips."""
    result = trials.runner.run(thresholds, args.arithmetic, args.input_step)
    return {
        "clips": list(result.clips),
        "events_gain": round(result.gain(trials.trained, "events"), 3),
        "synops_gain": round(result.gain(trials.trained, "synops"), 3),
        "edp_gain_modelled_even": round(result.gain(trials.trained, "edp_js"), 3),
        "cpu_gain": round(result.gain(trials.trained, "cpu_ms"), 3),
        "agreement_trained": round(100.0 - trials.trained.disagreement, 2),
        "agreement": round(100.0 - result.disagreement, 2),
        "head_rms_trained": round(trials.trained.head_rms, 4),
        "head_rms": round(result.head_rms, 4),
    }


def _print_result(result: TunedThresholds, path: str) -> None:
    print(f"{result.arithmetic}: " + " ".join(f"{name} {value}" for name, value in result.thresholds.items()))
    for what in ("tuning", "held_out"):
        figures = result.made.get(what)
        if figures:
            print(f"{what.replace('_', '-')}: synops gain {figures['synops_gain']:.2f}, modeled EDP gain "
                  f"{figures['edp_gain_modelled_even']:.2f}, CPU gain {figures['cpu_gain']:.2f}; average precision "
                  f"against the dense network {figures['agreement']:.1f}, trained {figures['agreement_trained']:.1f}")
    print(f"  {path}")
