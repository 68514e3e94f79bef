"""The work of the command ``calibrate``, whose arguments are in ``arguments/calibrate.py``."""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..core.frame import Frame, parse_input_size
from ..core.grid import RegionGrid
from ..datasets import has_bag
from ..datasets.bag import BagTopics
from ..datasets.labels import Labels
from ..errors import UserError
from ..files.outputs import Outputs, encode_json, write_json
from ..files.paths import display_path
from ..fleet.calibrating import Calibrating, collect, find_objects
from ..fleet.cameras import name_file
from ..fleet.places import Place, expand, is_many
from ..fleet.run_summary import describe_failures, sum_dropped
from ..fleet.units import Unit
from ..importing.opening import open_network
from ..lab.objects import add_objects, choose_classes, detected_objects, labeled_objects
from ..mask.heat import DEFAULT_COVER, Calibration, Target
from ..mask.static import save_static_mask
from ..network.dense import AnyNetwork
from ..pipeline.settings import PipelineSettings
from ..progress import Progress
from ..report.calibration_page import heat_image, mask_image, write_calibration_page
from ..report.images import encode_jpeg
from ..sources import Source, open_source
from ._cli import EXIT_DROPPED, EXIT_OK, command_main, format_command
from ._datasets import read_all_labels
from ._fleet import check_workers, do_units, make_journal_folder, make_limits, wants_fleet
from ._mask_yaml import print_mask_yaml
from ._output import make_folder
from ._pictures import make_reading, report_dropped

PREVIEW = "static_mask.jpg"
"""Not a PNG, because PNG files are hand-drawn masks."""


def run(args: argparse.Namespace) -> int:
    """Makes the mask and its report.

    Args:
        args: The parsed arguments.

    Returns:
        The exit status.

    Raises:
        UserError: Arguments contradict each other, or files are missing or damaged.
    """
    is_fleet = wants_fleet(args) or args.by_camera or any(is_many([source]) for source in args.sources)
    places = expand(args.sources) if is_fleet else [Place(source) for source in args.sources]
    if args.labels and len(args.labels) != len(places):
        raise UserError(f"{len(places)} sources but {len(args.labels)} --labels: give one per source, or none")
    cover = DEFAULT_COVER if args.cover is None and args.keep is None else args.cover
    target = Target(cover, args.keep, args.ring)
    settings = PipelineSettings(
        input_size=parse_input_size(args.input_size), max_pixels=args.max_pixels, score_threshold=args.score_threshold)
    if args.truth_topic and not has_bag(args.labels):
        raise UserError(f"--truth-topic {args.truth_topic}: none of the --labels is written bag:PATH")
    topics = BagTopics(args.topic, args.truth_topic)
    reading = make_reading(args)
    labels = read_all_labels(args.labels, topics, reading)
    # With labels, too: its input decides about the regions.
    network = open_network(args.network) if args.network or not labels else None
    if is_fleet:
        return _calibrate_many(args, places, target, settings, labels, network)
    inputs = [*args.sources, *(spec.partition(":")[2] for spec in args.labels)]
    with contextlib.ExitStack() as stack:
        sources = [stack.enter_context(open_source(path, args.topic, reading=reading)) for path in args.sources]
        size = _common_input(args.sources, sources, settings, network)
        outputs = stack.enter_context(Outputs(inputs))
        make_folder(outputs, args, "calibrate")
        files = _files(outputs, args.output, args.json)
        classes = choose_classes(args.classes, labels, None if labels else network)
        calibration, frame = Calibration(RegionGrid.near_input(size)), None
        for number, source in enumerate(sources):
            objects = labeled_objects(source, labels[number]) if labels or network is None else detected_objects(
                source, network, settings.fix_input(source.size_wh, network))
            for found in Progress(objects, total=source.frame_count, unit="frame", desc=source.name):
                add_objects(calibration, found, classes)
                frame = found[0]
        _write(args, files, calibration, frame, target, {
            "input_size": f"{size[0]}x{size[1]}", **reading.dropped.as_json()})
        for written in outputs.commit():
            print(f"  {written}")
        print_mask_yaml(os.path.join(args.output, "static_mask.npz"))
    return report_dropped(reading, args)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    return command_main("calibrate", argv)


def _calibrate_many(args: argparse.Namespace, places: Sequence[Place], target: Target, settings: PipelineSettings,
                    labels: Sequence[Labels], network: AnyNetwork | None) -> int:
    """Has workers find the objects, and makes one mask of all sources, or one for each camera."""
    check_workers(args)
    job = Calibrating(
        network, settings, {place.path: one for place, one in zip(places, labels)},
        choose_classes(args.classes, labels, None if labels else network), args.topic, make_limits(args))
    make_journal_folder(args, "calibrate")
    done = do_units(args, places, find_objects, job, _question(args, network))
    groups: dict[str, list[Unit]] = {}
    for unit in done.units:
        groups.setdefault(done.journal.facts(unit).facts["camera"] if args.by_camera else "", []).append(unit)
    failed = {"failures": describe_failures(done.failures), "place": done.place}
    masks = []
    for camera, units in sorted(groups.items()):
        folder = os.path.join(args.output, name_file(camera)) if camera else args.output
        calibration, frame = collect(done.journal, units)
        facts = [done.journal.facts(unit) for unit in units]
        size = facts[0].facts["input_size"]
        with Outputs() as outputs:
            files = _files(outputs, outputs.folder(folder), "" if camera else args.json)
            files["summary"] = outputs.file(os.path.join(folder, "summary.json"))
            summary = _write(args, files, calibration, frame, target, {
                "input_size": f"{size[0]}x{size[1]}", **sum_dropped(facts),
                "cpu_s": round(sum(one.cpu_s for one in facts), 3), **failed, **({"camera": camera} if camera else {})})
            for written in outputs.commit():
                print(f"  {written}")
        masks.append({"folder": folder, **summary})
        print_mask_yaml(os.path.join(folder, "static_mask.npz"))
    if args.by_camera:
        for path in filter(None, (os.path.join(args.output, "summary.json"), args.json)):
            write_json(Path(path), {"cameras": masks})
    return EXIT_DROPPED if args.strict and sum(one["dropped_images"] for one in masks) else EXIT_OK


def _question(args: argparse.Namespace, network: AnyNetwork | None) -> dict[str, Any]:
    """Everything that objects depend on besides the sources. The size of the mask is not part of it."""
    names = ("topic", "truth_topic", "labels", "classes", "input_size", "max_pixels", "score_threshold",
             "max_image_pixels", "image_bit_depth")
    return {"command": "calibrate", "options": {name: getattr(args, name) for name in names},
            "network": network.digest if network else "", "version": __version__}


def _files(outputs: Outputs, folder: str, json_file: str) -> dict[str, str]:
    names = ("static_mask.npz", PREVIEW, "report.html")
    files = {name: outputs.file(os.path.join(folder, name)) for name in names}
    return {**files, "json": outputs.file(json_file) if json_file else ""}


def _common_input(paths: Sequence[str], sources: Sequence[Source], settings: PipelineSettings,
                  network: AnyNetwork | None) -> tuple[int, int]:
    """The network input size of all sources. Raises UserError when they differ, because one mask cannot fit them."""
    sizes = [settings.input_wh(source.size_wh, network) for source in sources]
    for path, size in zip(paths, sizes):
        if size != sizes[0]:
            raise UserError(
                f"{display_path(path)}: its network input is {size[0]}x{size[1]}, but that of {display_path(paths[0])} "
                f"{sizes[0][0]}x{sizes[0][1]}; calibrate them one by one, or give --input-size")
    return sizes[0]


def _write(args: argparse.Namespace, places: dict[str, str], calibration: Calibration, frame: Frame | None,
           target: Target, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Writes all files. The images are drawn on ``frame``; ``facts`` are added to the summary, which is returned."""
    if frame is None:
        raise UserError("the sources have no frame")
    keep = target.mask(calibration.heat)
    losses = calibration.losses(keep)
    summary = {**_summary(args, calibration, keep, target), **facts, "losses": [asdict(loss) for loss in losses],
               "lost_share": sum(loss.lost for loss in losses) / calibration.objects}
    save_static_mask(places["static_mask.npz"], keep, calibration.grid.region_px, calibration.heat)
    preview = mask_image(frame, keep)
    Path(places[PREVIEW]).write_bytes(encode_jpeg(preview))
    images = ("kept regions", preview), ("heat", heat_image(frame, calibration.heat))
    write_calibration_page(
        places["report.html"], summary, losses, images, calibration.loss_curve(target.ring),
        format_command("calibrate", args.argv), __version__)
    for path in filter(None, (places["json"], places.get("summary"))):
        Path(path).write_bytes(encode_json(summary))
    print(
        f"{summary['frames']} frames, {summary['objects']} objects, {summary['learned_from']}: "
        f"{summary['kept_share']:.0%} of the regions kept, {summary['lost_share']:.1%} of the objects lost")
    return summary


def _summary(args: argparse.Namespace, calibration: Calibration, keep: np.ndarray, target: Target) -> dict[str, Any]:
    goal = f"{target.cover:.1%} of the heat" if target.keep is None else f"{target.keep:.1%} of the regions"
    return {
        "sources": list(args.sources),
        "learned_from": "labelled" if args.labels else "detected by the unmasked detector",
        "frames": calibration.frames,
        "objects": calibration.objects,
        "target": goal + (f", widened by {target.ring}" if target.ring else ""),
        "kept_share": float(keep.mean()),
        "covered_heat": float(calibration.heat[keep].sum() / calibration.heat.sum()),
        "rows": calibration.grid.rows,
        "cols": calibration.grid.cols,
        "region_px": calibration.grid.region_px,
        "version": __version__,
    }
