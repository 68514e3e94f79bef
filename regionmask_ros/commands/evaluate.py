"""The work of the command ``evaluate``, whose arguments are in ``arguments/evaluate.py``."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import __version__
from ..backends import AUTO, BACKENDS, choose_backend, find_options_class
from ..core.frame import parse_input_size
from ..core.option_table import options_of
from ..datasets import has_bag
from ..datasets.bag import BagTopics
from ..datasets.labels import LabelledSequence
from ..datasets.moved_view import MAX_MOVE
from ..datasets.thinned import thin_out
from ..errors import UserError
from ..files.outputs import Outputs
from ..lab.evaluation.evaluate import evaluate_sequence
from ..lab.evaluation.page import (
    PagePaths,
    comparison_table,
    sequence_table,
    shift_table,
    summary_table,
    write_tradeoff_page,
)
from ..lab.evaluation.rows import SequenceRows, summarize
from ..lab.evaluation.settings import RECIPES, Setting, parse_setting
from ..mask.mgnet.source import MGNET
from ..metrics.machine import machine_facts
from ..network.chain import Network
from ..network.dense import AnyNetwork, DenseNetwork
from ..network.thresholds import TUNED
from ..pipeline.settings import PipelineSettings
from ..progress import Progress
from ..report.tables import Table, format_text
from ..sources import Reading
from ._cli import (
    RUNTIME_OPTIONS,
    command_main,
    format_command,
    load_networks,
)
from ._datasets import open_datasets
from ._effects import check_backends
from ._parser import given_options, print_note
from ._pictures import make_reading, report_dropped

MAX_EVERY = 1000


def run(args: argparse.Namespace) -> int:
    """Runs the command and returns its exit status."""
    settings = [parse_setting(name.strip()) for name in dict.fromkeys((args.settings or ",".join(RECIPES)).split(","))]
    if not 0.0 <= args.calibration_share < 1.0:
        raise UserError(f"--calibration-share {args.calibration_share}: must be at least 0 and below 1")
    if not 1 <= args.every <= MAX_EVERY:
        raise UserError(f"--every {args.every}: must be between 1 and {MAX_EVERY}")
    if not 0.0 <= args.shift_view <= MAX_MOVE:
        raise UserError(f"--shift-view {args.shift_view}: must be between 0 and {MAX_MOVE:g}")
    _check_effects(args, settings)
    plans = _plans(args, settings)
    reading = make_reading(args)
    sequences = _sequences(args, reading)
    inputs = [path for sequence in sequences for path in sequence.inputs]
    with Outputs(inputs) as outputs:
        json_path = outputs.file(args.json) if args.json else ""
        page = _page(outputs, args.output, plans) if args.output else None
        rows, summary = [], []
        for plan in plans:
            done = [_evaluate(plan, sequence, args) for sequence in sequences]
            rows += [row for one in done for row in one.rows]
            summary += summarize(done)
            if len(done) > 1:
                _show(summary_table(summarize(done)))
        if len(plans) > 1:
            _show(comparison_table(summary))
        result = {
            "rows": rows, "summary": summary, "calibration_share": args.calibration_share, "every": args.every,
            "network": plans[0].network.digest, "digests": {plan.network.name: plan.network.digest for plan in plans},
            **reading.dropped.as_json(), "machine": machine_facts(), "version": __version__,
        }
        if json_path:
            Path(json_path).write_text(json.dumps(result, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        if page:
            write_tradeoff_page(page, result, format_command("evaluate", args.argv), __version__)
        for written in outputs.commit():
            print(f"  {written}")
    return report_dropped(reading, args)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit status."""
    return command_main("evaluate", argv)


def _sequences(args: argparse.Namespace, reading: Reading) -> list[LabelledSequence]:
    if (args.topic or args.truth_topic) and not has_bag(args.dataset):
        raise UserError("--topic and --truth-topic are for bags, but no --dataset is bag:PATH")
    topics = BagTopics(args.topic, args.truth_topic)
    sequences = open_datasets(args.dataset, args.images, topics, reading)
    return [thin_out(sequence, args.every) for sequence in sequences]


@dataclass(frozen=True)
class _Plan:
    """What is done with one network.

    Attributes:
        network: The network.
        settings: Those that mean something for it.
        base: What all of them have in common.
    """

    network: AnyNetwork
    settings: Sequence[Setting]
    base: PipelineSettings


def _check_effects(args: argparse.Namespace, settings: Sequence[Setting]) -> None:
    """Raises UserError for an option that has no effect on these settings."""
    if args.mgnet_weights and not any(MGNET in setting.name for setting in settings):
        raise UserError(f"--mgnet-weights {args.mgnet_weights}: no setting with {MGNET} is evaluated; leave it out")


def _plans(args: argparse.Namespace, settings: Sequence[Setting]) -> list[_Plan]:
    networks, plans = load_networks(args.networks or args.network, args.networks != ""), []
    for network in networks:
        suitable = [setting for setting in settings if setting.suits(network)]
        left_out = ", ".join(setting.name for setting in settings if setting not in suitable)
        if not suitable:
            raise UserError(f"--settings {left_out}: {network.name} has no thresholds, so they mean nothing for it")
        if left_out:
            print_note(f"{network.name} has no thresholds: {left_out} left out")
        plans.append(_Plan(network, suitable, _base(args, network, len(networks) > 1)))
    backends = list(dict.fromkeys(plan.base.backend for plan in plans))
    check_backends(given_options(args), vars(args), backends)
    return plans


def _base(args: argparse.Namespace, network: AnyNetwork, is_one_of_several: bool) -> PipelineSettings:
    """What all settings of a network have in common. One of several takes those options that are for its kind."""
    is_dense, wanted, arithmetic = isinstance(network, DenseNetwork), args.backend, args.arithmetic
    if is_one_of_several and wanted != AUTO and BACKENDS[wanted].is_dense != is_dense:
        wanted = AUTO
    if is_one_of_several and is_dense:
        arithmetic = ""
    backend = choose_backend(wanted, network)
    options = options_of(find_options_class(backend))
    return PipelineSettings(
        input_size=parse_input_size(args.input_size), max_pixels=args.max_pixels, dynamic=MGNET,
        mgnet_weights=args.mgnet_weights, backend=backend, arithmetic=arithmetic,
        backend_options={field: getattr(args, option.name) for field, option in options.items()
                         if option.name in RUNTIME_OPTIONS})


def _page(outputs: Outputs, folder: str, plans: Sequence[_Plan]) -> PagePaths:
    outputs.folder(folder)
    page, cpu, ms = (
        outputs.file(os.path.join(folder, name)) for name in ("report.html", "map_vs_cpu.png", "map_vs_ms.png"))
    is_modeled = any(isinstance(plan.network, Network) for plan in plans)
    return PagePaths(page, cpu, ms, outputs.file(os.path.join(folder, "map_vs_edp.png")) if is_modeled else "")


def _evaluate(plan: _Plan, sequence: LabelledSequence, args: argparse.Namespace) -> SequenceRows:
    with sequence.open() as source:
        total = source.frame_count
    with Progress(total=total, unit="frame", desc=f"{sequence.name}, {plan.network.name}") as progress:
        rows = SequenceRows(evaluate_sequence(
            plan.network, sequence, plan.settings, plan.base, args.calibration_share, progress.update, args.shift_view,
            tuned=args.thresholds == TUNED and not args.arithmetic))
    _show(sequence_table(rows.rows))
    if args.shift_view:
        _show(shift_table(rows.rows))
    return rows


def _show(table: Table) -> None:
    print(format_text(table), end="\n\n", flush=True)
