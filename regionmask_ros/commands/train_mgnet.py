"""The work of the command ``train_mgnet``, whose arguments are in ``arguments/train_mgnet.py``."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .. import __version__
from ..core.frame import parse_input_size
from ..errors import UserError
from ..files.outputs import Outputs, encode_json
from ..importing.opening import open_event_network
from ..lab.evaluation.mask_recall import measure
from ..mask.mgnet.weights import load_weights
from ..metrics.machine import machine_facts
from ..pipeline.settings import PipelineSettings
from ..progress import Progress
from ..report.tables import Column, format_text, make_table
from ._cli import EXIT_INTERRUPTED, command_main
from ._datasets import open_datasets, read_all_labels
from ._pictures import make_reading, report_dropped
from ._training import check_counts, require_torch, run_or_save

SHIPPED_NAME = "light"


def run(args: argparse.Namespace) -> int:
    """Trains or measures, and returns the exit status."""
    if not 0.0 < args.masked < 1.0:
        raise UserError(f"--masked {args.masked}: must be between 0 and 1, both excluded")
    if args.score:
        return _score(args)
    return _train(args)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command with the given arguments, or those of the process."""
    return command_main("train_mgnet", argv)


def _train(args: argparse.Namespace) -> int:
    if not args.sources or not args.output:
        raise UserError("give videos to train on and --output DIR, or --score KIND:PATH to measure (see --help)")
    for name, value in (("--weights", args.weights), ("--json", args.json), ("--images", args.images)):
        if value:
            raise UserError(f"{name}: only with --score, which measures; leave it out")
    if args.labels and len(args.labels) != len(args.sources):
        raise UserError(f"{len(args.sources)} sources but {len(args.labels)} --labels: one for each, or none")
    check_counts(args, ("steps", "look_every"))
    require_torch("train_mgnet")
    from ..lab.training.session import TrainingSession

    network = open_event_network(args.network, "train_mgnet")
    with Outputs([*args.sources, *args.hold_out]) as outputs:
        outputs.folder(args.output)
        outputs.commit()
    reading = make_reading(args)
    session = TrainingSession(args, network, read_all_labels(args.labels, reading=reading), reading)
    if not run_or_save(session, args.steps):
        return EXIT_INTERRUPTED
    return report_dropped(reading, args)


def _score(args: argparse.Namespace) -> int:
    if args.sources or args.output or args.resume:
        raise UserError("--score measures and does not train: leave out sources, --output and --resume")
    weights = {SHIPPED_NAME: load_weights(), **dict(map(_named_weights, args.weights))}
    reading = make_reading(args)
    sequences = open_datasets(args.score, args.images, reading=reading)
    settings = PipelineSettings(input_size=parse_input_size(args.input_size), max_pixels=args.max_pixels)
    network = open_event_network(args.network, "train_mgnet")
    inputs = [path for sequence in sequences for path in sequence.inputs]
    with Outputs(inputs) as outputs:
        json_path = outputs.file(args.json) if args.json else ""
        with Progress(unit="frame") as progress:
            rows = measure(network, sequences, weights, settings, args.masked, progress.update)
        print(_format_table(rows, args.masked))
        if json_path:
            result = {"rows": rows, "masked": args.masked, "machine": machine_facts(), "network": network.digest,
                      **reading.dropped.as_json(), "version": __version__}
            Path(json_path).write_bytes(encode_json(result, allow_nan=False))
        for written in outputs.commit():
            print(f"  {written}")
    return report_dropped(reading, args)


def _named_weights(spec_text: str) -> tuple[str, Any]:
    name, equals, path = spec_text.partition("=")
    if not equals:
        name, path = Path(spec_text).stem, spec_text
    if not name or name == SHIPPED_NAME:
        raise UserError(f"--weights {spec_text}: give it another name, such as mine={os.path.basename(path)}")
    return name, load_weights(path)


_COLUMNS = (
    Column("mask", "method", is_text=True),
    Column("recall", "recall", "{:.1f}", "mean over sequences, %"),
    Column("new", "newcomers", "{:.1f}", "mean over sequences, %"),
    Column("recall", "recall_pooled", "{:.1f}", "over all objects, %"),
    Column("new", "newcomers_pooled", "{:.1f}", "over all objects, %"),
    Column("MMAC", "mmac", lambda ends: f"{ends[0]:.1f}..{ends[1]:.1f}", "counted"),
    Column("median", "us_median", "{:.0f}", "measured, us"), Column("mean", "us_mean", "{:.0f}", "measured, us"),
    Column("runs on", "looks_share", lambda share: f"{share:.0%} of the frames"),
)


def _format_table(rows: Sequence[dict[str, Any]], masked: float) -> str:
    caption = f"Mean masked share {masked:.0%}, one threshold, {len(rows[0]['sequences'])} sequences"
    low, high = rows[0]["detector_mmac"]
    return (f"{format_text(make_table(caption, _COLUMNS, rows))}\n"
            f"For comparison: the detector on these sequences, dense, {low:.0f}..{high:.0f} MMAC.")
