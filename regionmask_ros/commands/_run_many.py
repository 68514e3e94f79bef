"""``run`` with many sources: units for workers, and one folder with what they found."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from .. import __version__
from ..core.grid import REGION_PX
from ..core.options import Value
from ..errors import UserError
from ..files.outputs import Outputs, write_json, write_whole
from ..fleet.cameras import CameraHeat, describe_cameras, make_mask, name_files, sum_heat
from ..fleet.detecting import Detecting, detect
from ..fleet.places import expand
from ..fleet.previews import draw_cameras
from ..fleet.run_summary import describe_failures, describe_sources, summarize_units
from ..fleet.tables import join_slices, publish
from ..importing.opening import name_network, open_network
from ..mask.heat import DEFAULT_COVER, Target
from ..mask.static import encode_static_mask
from ..metrics.machine import machine_facts
from ..network.dense import AnyNetwork
from ..pipeline.settings import PipelineSettings, make_settings
from ..report.fleet_page import fleet_page
from ..report.page import write_page
from ._cli import EXIT_DROPPED, EXIT_OK, format_command
from ._effects import check_network
from ._fleet import Done, check_workers, do_units, make_journal_folder, make_limits
from ._parser import given_options, print_note

REPORT, SUMMARY = "report.html", "summary.json"
DETECTIONS, MASKS = "detections", "masks"

_OF_ONE_SOURCE = ("against", "dump_head", "rerun", "loihi2_table", "loop")


def run_many(args: argparse.Namespace, values: Mapping[str, Value]) -> int:
    """Finds objects in many sources.

    Args:
        args: The arguments.
        values: Of all options of the table.

    Returns:
        The exit status.

    Raises:
        UserError: Arguments contradict each other, or no source can be used.
    """
    for name in _OF_ONE_SOURCE:
        if getattr(args, name):
            raise UserError(f"--{name.replace('_', '-')}: for one source, but there are many, or options for many; "
                            "leave it out")
    check_workers(args)
    settings = make_settings(values)
    network = open_network(name_network(values))
    settings = settings.for_network(network)
    check_network(given_options(args), values, settings)
    places = expand(args.sources)
    make_journal_folder(args, "run")
    job = Detecting(
        network, settings, args.topic, args.image_transport == "compressed", args.stale_detections == "drop",
        args.max_frames, make_limits(args))
    done = do_units(args, places, detect, job, _question(args, values, network))
    summary = _write(args, done, settings)
    _print_summary(args, summary)
    return EXIT_DROPPED if args.strict and summary["total"]["dropped_images"] else EXIT_OK


def _question(args: argparse.Namespace, values: Mapping[str, Value], network: AnyNetwork) -> dict[str, Any]:
    return {"command": "run", "options": {name: value for name, value in values.items() if name != "network_file"},
            "network": network.digest, "topic": args.topic, "max_frames": args.max_frames, "version": __version__}


def _write(args: argparse.Namespace, done: Done, settings: PipelineSettings) -> dict[str, Any]:
    """Writes everything but the journal. Returns the summary."""
    _publish_detections(args.output, done)
    results = done.facts()
    cameras = name_files(sum_heat(results))
    masks = {stem: make_mask(camera, Target(DEFAULT_COVER, None)) for stem, camera in cameras.items()}
    _write_masks(args.output, cameras, masks)
    rows = describe_cameras(cameras, masks)
    summary = {
        "total": summarize_units(results, done.failures), "cameras": rows, "mask": settings.mask_name,
        "failures": describe_failures(done.failures), "sources": describe_sources(results),
        "place": done.place, "machine": machine_facts(), "version": __version__}
    write_json(Path(args.output, SUMMARY), summary)
    if args.json:
        write_json(Path(args.json), summary)
    with Outputs() as outputs:
        page = outputs.file(os.path.join(args.output, REPORT))
        images = draw_cameras(done.units, done.journal, cameras, masks)
        write_page(page, fleet_page(summary, images, format_command("run", args.argv), __version__))
        outputs.commit()
    return summary


def _publish_detections(folder: str, done: Done) -> None:
    for name, units in groupby(done.units, key=lambda unit: unit.name):
        target, parts = Path(folder, DETECTIONS, f"{name}.csv"), list(units)
        if parts[0].span is None:
            publish(done.journal.file(parts[0], "csv"), target)
        else:
            write_whole(target, join_slices(done.journal.file(unit, "csv").read_bytes() for unit in parts))


def _write_masks(folder: str, cameras: Mapping[str, CameraHeat], masks: Mapping[str, Any]) -> None:
    for stem, camera in cameras.items():
        if masks[stem] is None:
            print_note(f"camera {camera.name}: no object was seen, so it has no mask")
            continue
        write_whole(Path(folder, MASKS, f"{stem}.npz"), encode_static_mask(masks[stem], REGION_PX, camera.heat))


def _print_summary(args: argparse.Namespace, summary: Mapping[str, Any]) -> None:
    total, cameras = summary["total"], summary["cameras"]
    ms = total["cpu_ms_per_frame"]
    print(f"{len(summary['sources'])} sources, {total['frames']} frames, {total['detections']} detections, "
          f"{total['masked_share']:.0%} of the regions masked, {ms:.1f} ms of CPU time a frame; "
          f"{len(summary['failures'])} failed")
    for name in (DETECTIONS, *([MASKS] if any(row["mask"] for row in cameras) else []), SUMMARY, REPORT):
        print(f"  {os.path.join(args.output, name)}")
    print(f"open {os.path.join(args.output, REPORT)}")
