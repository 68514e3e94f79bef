"""The work of the command ``evaluate``, whose arguments are in ``arguments/evaluate.py``."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import __version__
from ..backends import AUTO, BACKENDS, CPU, choose_backend, find_options_class
from ..core.frame import parse_input_size
from ..core.option_table import options_of
from ..datasets import has_bag, has_coco
from ..datasets.bag import BagTopics
from ..datasets.labels import LabelledSequence
from ..datasets.moved_view import MAX_MOVE
from ..datasets.thinned import thin_out
from ..errors import UserError
from ..files.outputs import Outputs, encode_json
from ..fleet.evaluating import Evaluating, NetworkPlan, evaluate_unit, read_stored
from ..fleet.places import expand_datasets, is_many_datasets
from ..fleet.run_summary import describe_failures, sum_dropped
from ..lab.evaluation.evaluate import evaluate_sequence
from ..lab.evaluation.page import (
    PagePaths,
    comparison_table,
    sequence_table,
    shift_table,
    summary_table,
    write_tradeoff_page,
)
from ..lab.evaluation.rows import Scored, SequenceRows, summarize
from ..lab.evaluation.settings import RECIPES, Setting, parse_setting
from ..mask.mgnet.source import MGNET
from ..metrics.loihi2 import REFERENCE_INPUT_WH, allocate
from ..metrics.machine import machine_facts
from ..network.chain import Network
from ..network.dense import AnyNetwork, DenseNetwork
from ..network.thresholds import TUNED
from ..pipeline.settings import PipelineSettings
from ..progress import Progress
from ..report.tables import Table, format_text
from ..sources import Reading
from ._cli import (
    EXIT_DROPPED,
    EXIT_OK,
    RUNTIME_OPTIONS,
    command_main,
    format_command,
    load_networks,
)
from ._datasets import open_datasets, print_notes
from ._effects import check_backends
from ._fleet import check_workers, do_units, make_journal_folder, make_limits, wants_fleet
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
    if wants_fleet(args) or is_many_datasets(args.dataset):
        return _run_many(args, plans)
    reading = make_reading(args)
    sequences = _sequences(args, reading)
    inputs = [path for sequence in sequences for path in sequence.inputs]
    with Outputs(inputs) as outputs:
        json_path = outputs.file(args.json) if args.json else ""
        page = _page(outputs, args.output, plans) if args.output else None
        sums = [_sum_up([_evaluate(plan, sequence, args) for sequence in sequences]) for plan in plans]
        result = _make_result(args, plans, sums, reading.dropped.as_json())
        _write(args, outputs, result, json_path, page)
    return report_dropped(reading, args)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit status."""
    return command_main("evaluate", argv)


def _run_many(args: argparse.Namespace, plans: Sequence[_Plan]) -> int:
    """Evaluates many data sets in workers; all that is told and written is in the order of the data sets."""
    check_workers(args)
    places = expand_datasets(args.dataset)
    specs = [str(place) for place in places]
    if args.images and not has_coco(specs):
        raise UserError("--images: only for data sets coco:FILE, but there is none")
    _check_topics(args, specs)
    job = Evaluating(
        tuple(NetworkPlan(plan.network, tuple(one.name for one in plan.settings), plan.base) for plan in plans),
        BagTopics(args.topic, args.truth_topic), args.images, args.calibration_share, args.every, args.shift_view,
        args.thresholds == TUNED and not args.arithmetic, make_limits(args))
    make_journal_folder(args, "evaluate")
    done = do_units(args, places, evaluate_unit, job, _question(args, plans))
    results = done.facts()
    print_notes(note for result in results for note in result.facts["notes"])
    with Outputs() as outputs:
        json_path = outputs.file(args.json) if args.json else ""
        summary_path = outputs.file(os.path.join(args.output, "summary.json"))
        page = _page(outputs, args.output, plans)
        sums = []
        for number in range(len(plans)):
            sequences = read_stored(results, number)
            for one in sequences:
                _show_sequence(args, one)
            sums.append(_sum_up(sequences))
        dropped = sum_dropped(results)
        result = {**_make_result(args, plans, sums, dropped), "failures": describe_failures(done.failures),
                  "place": done.place, "frames": sum(one.facts["frames"] for one in results),
                  "cpu_s": round(sum(one.cpu_s for one in results), 3)}
        Path(summary_path).write_bytes(encode_json(result, allow_nan=False))
        _write(args, outputs, result, json_path, page)
    return EXIT_DROPPED if args.strict and dropped["dropped_images"] else EXIT_OK


def _question(args: argparse.Namespace, plans: Sequence[_Plan]) -> dict[str, Any]:
    """Everything that rows depend on besides the data sets."""
    names = ("topic", "truth_topic", "images", "calibration_share", "every", "shift_view", "backend", *RUNTIME_OPTIONS,
             "input_size", "max_pixels", "arithmetic", "thresholds", "mgnet_weights", "max_image_pixels",
             "image_bit_depth")
    return {"command": "evaluate", "options": {name: getattr(args, name) for name in names},
            "networks": [plan.network.digest for plan in plans], "version": __version__,
            "settings": [[one.name for one in plan.settings] for plan in plans]}


_Sums = tuple[list[dict[str, Any]], list[dict[str, Any]]]
"""Rows of all sequences of a network, and their summary."""


def _sum_up(done: Sequence[Scored]) -> _Sums:
    summary = summarize(done)
    if len(done) > 1:
        _show(summary_table(summary))
    return [row for one in done for row in one.rows], summary


def _make_result(args: argparse.Namespace, plans: Sequence[_Plan], sums: Sequence[_Sums], dropped: Mapping[str, Any]
                 ) -> dict[str, Any]:
    summary = [row for _, one in sums for row in one]
    if len(plans) > 1:
        _show(comparison_table(summary))
    return {
        "rows": [row for rows, _ in sums for row in rows], "summary": summary,
        "calibration_share": args.calibration_share, "every": args.every,
        "network": plans[0].network.digest, "digests": {plan.network.name: plan.network.digest for plan in plans},
        **dropped, "machine": machine_facts(), "version": __version__,
    }


def _write(args: argparse.Namespace, outputs: Outputs, result: Mapping[str, Any], json_path: str,
           page: PagePaths | None) -> None:
    if json_path:
        Path(json_path).write_bytes(encode_json(result, allow_nan=False))
    if page:
        write_tradeoff_page(page, result, format_command("evaluate", args.argv), __version__)
    for written in outputs.commit():
        print(f"  {written}")


def _sequences(args: argparse.Namespace, reading: Reading) -> list[LabelledSequence]:
    _check_topics(args, args.dataset)
    topics = BagTopics(args.topic, args.truth_topic)
    sequences = open_datasets(args.dataset, args.images, topics, reading)
    return [thin_out(sequence, args.every) for sequence in sequences]


def _check_topics(args: argparse.Namespace, specs: Sequence[str]) -> None:
    if (args.topic or args.truth_topic) and not has_bag(specs):
        raise UserError("--topic and --truth-topic are for bags, but no --dataset is bag:PATH")


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
    has_tiles = isinstance(network, DenseNetwork) and bool(network.tiles)
    if is_one_of_several and wanted != AUTO and BACKENDS[wanted].is_dense != is_dense and not (
            wanted == CPU and has_tiles):
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
    is_modeled = any(isinstance(plan.network, Network) and allocate(plan.network, REFERENCE_INPUT_WH) is not None
                     for plan in plans)
    return PagePaths(page, cpu, ms, outputs.file(os.path.join(folder, "map_vs_edp.png")) if is_modeled else "")


def _evaluate(plan: _Plan, sequence: LabelledSequence, args: argparse.Namespace) -> SequenceRows:
    with sequence.open() as source:
        total = source.frame_count
    with Progress(total=total, unit="frame", desc=f"{sequence.name}, {plan.network.name}") as progress:
        rows = SequenceRows(evaluate_sequence(
            plan.network, sequence, plan.settings, plan.base, args.calibration_share, progress.update, args.shift_view,
            tuned=args.thresholds == TUNED and not args.arithmetic))
    _show_sequence(args, rows)
    return rows


def _show_sequence(args: argparse.Namespace, rows: Scored) -> None:
    _show(sequence_table(rows.rows))
    if args.shift_view:
        _show(shift_table(rows.rows))


def _show(table: Table) -> None:
    print(format_text(table), end="\n\n", flush=True)
