"""Make a static mask: where in a fixed camera's picture do objects appear?

From labels, or without any: then the unmasked detector's own confident detections teach it. Several sources are taken
together, such as the same camera in the morning and at night. Writes static_mask.npz (for --static-mask),
static_mask.jpg (to look at) and report.html into the output folder.

example:
  python -m regionmask_ros calibrate morning.mp4 night.mp4 --output calibrated --keep 0.4
  python -m regionmask_ros calibrate street/video.mp4 --labels csv:street/gt.csv --output calibrated --cover 0.99
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from .. import __version__
from ..core.frame import Frame, choose_input_size, parse_input_size
from ..core.grid import RegionGrid
from ..datasets import has_bag, read_labels
from ..datasets.bag import BagTopics
from ..datasets.labels import ANY, Labels
from ..errors import UserError
from ..files.outputs import Outputs
from ..files.paths import display_path
from ..mask.calibration import Calibration, Target
from ..mask.heat import DEFAULT_COVER
from ..mask.static import save_static_mask
from ..network.files import find_network, load_network
from ..pipeline.pipeline import Pipeline
from ..pipeline.settings import PipelineSettings
from ..report.calibration_page import heat_image, mask_image, write_calibration_page
from ..report.run_page import encode_jpeg
from ..sources import Source, open_source
from ._cli import (
    EXIT_OK,
    add_network,
    add_options,
    add_topic,
    add_truth_topic,
    command_main,
    format_command,
)

PICTURE = "static_mask.jpg"
"""Not a PNG, which could be taken for a painted mask."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sources", metavar="SOURCE", nargs="+",
                        help="a video file, a folder of pictures, or a bag (mcap or db3)")
    add_topic(parser)
    parser.add_argument("--output", metavar="DIR", required=True, help="folder for the results, made if missing")
    parser.add_argument("--labels", metavar="KIND:PATH", action="append", default=[],
                        help="labels of the sources, in their order: csv:, mot:, kitti:, coco: or bag: (default: none)")
    add_truth_topic(parser)
    target = parser.add_mutually_exclusive_group()
    target.add_argument("--cover", metavar="S", type=float,
                        help=f"attend the fewest regions that hold this share of the heat (default: {DEFAULT_COVER})")
    target.add_argument("--keep", metavar="S", type=float, help="attend this share of the regions")
    parser.add_argument("--ring", metavar="N", type=int, default=0, help="widen the mask by N regions (default: 0)")
    parser.add_argument("--classes", metavar="LIST", default="", help="count these classes only (default: all)")
    add_options(parser, "input_size", "max_pixels", "score_threshold")
    add_network(parser)
    parser.add_argument("--json", metavar="FILE", default="", help="write the figures as JSON")


def run(args: argparse.Namespace) -> int:
    if args.labels and len(args.labels) != len(args.sources):
        raise UserError(f"{len(args.sources)} sources but {len(args.labels)} --labels: give one for each, or none")
    cover = DEFAULT_COVER if args.cover is None and args.keep is None else args.cover
    target = Target(cover, args.keep, args.ring)
    settings = PipelineSettings(
        input_size=parse_input_size(args.input_size), max_pixels=args.max_pixels, score_threshold=args.score_threshold)
    if args.truth_topic and not has_bag(args.labels):
        raise UserError(f"--truth-topic {args.truth_topic}: none of the --labels is written bag:PATH")
    topics = BagTopics(args.topic, args.truth_topic)
    labels = [read_labels(spec_text, topics) for spec_text in args.labels]
    network = None if labels else load_network(find_network(args.network))
    inputs = [*args.sources, *(spec_text.partition(":")[2] for spec_text in args.labels)]
    with contextlib.ExitStack() as stack:
        sources = [stack.enter_context(open_source(path, args.topic)) for path in args.sources]
        settings = replace(settings, input_size=_common_input(args.sources, sources, settings))
        outputs = stack.enter_context(Outputs(inputs))
        places = _places(outputs, args)
        learner = _CalibrationRun(settings, _class_filter(args, labels, network))
        for number, source in enumerate(sources):
            learner.learn(source, labels[number] if labels else None, network)
        _write(args, places, learner, target, settings)
        for written in outputs.commit():
            print(f"  {written}")
    return EXIT_OK


def main(argv: Sequence[str] | None = None) -> int:
    return command_main("calibrate", argv)


def _places(outputs: Outputs, args: argparse.Namespace) -> dict[str, str]:
    outputs.folder(args.output)
    names = ("static_mask.npz", PICTURE, "report.html")
    places = {name: outputs.file(os.path.join(args.output, name)) for name in names}
    return {**places, "json": outputs.file(args.json) if args.json else ""}


def _common_input(paths: Sequence[str], sources: Sequence[Source], settings: PipelineSettings) -> tuple[int, int]:
    """The network input of all sources. Raises UserError when they differ: one mask would not fit them."""
    if settings.input_size != "auto":
        return settings.input_size
    sizes = [choose_input_size(source.size_wh, settings.max_pixels) for source in sources]
    for path, size in zip(paths, sizes):
        if size != sizes[0]:
            raise UserError(
                f"{display_path(path)}: its network input is {size[0]}x{size[1]}, that of {display_path(paths[0])} "
                f"{sizes[0][0]}x{sizes[0][1]}; calibrate them one by one, or give --input-size"
            )
    return sizes[0]


def _class_filter(args: argparse.Namespace, labels: Sequence[Labels], network) -> frozenset[str] | None:
    """The classes that count, None for all. Raises UserError for one that nothing can be of."""
    if not args.classes:
        return None
    wanted = [name.strip() for name in args.classes.split(",")]
    known = set(network.labels) if network else {name for one in labels for name in one.classes}
    for name in wanted:
        if name not in known:
            where = "the network's" if network else "labelled"
            raise UserError(f"--classes {args.classes!r}: {name!r} is none of the {where} classes")
    return frozenset(wanted)


class _CalibrationRun:
    """Objects of all sources, and a frame of the last one to draw on."""

    def __init__(self, settings: PipelineSettings, classes: frozenset[str] | None) -> None:
        self.calibration = Calibration(RegionGrid.of_input(settings.input_size))
        self.frame: Frame | None = None
        self._settings, self._classes = settings, classes

    def learn(self, source: Source, labels: Labels | None, network) -> None:
        detector = None if network is None else Pipeline(network, self._settings)
        with tqdm(total=source.frame_count, unit="frame", desc=source.name, disable=None) as progress:
            for number, frame in enumerate(source.frames()):
                boxes, names = _labelled_objects(labels, number) if detector is None else _detect_objects(detector, frame)
                if self._classes is not None:
                    wanted = [place for place, name in enumerate(names) if name in self._classes]
                    boxes, names = boxes[wanted], [names[place] for place in wanted]
                self.calibration.add(boxes, names, frame.size_wh)
                self.frame = frame
                progress.update()
        if detector is not None:
            detector.close()


def _labelled_objects(labels: Labels, number: int) -> tuple[np.ndarray, list[str]]:
    """Objects of a frame that are not to be ignored."""
    one = labels.at(number)
    wanted = [place for place, name in enumerate(one.names) if not one.ignore[place] and name != ANY]
    return one.boxes[wanted], [one.names[place] for place in wanted]


def _detect_objects(detector: Pipeline, frame: Frame) -> tuple[np.ndarray, list[str]]:
    (result,) = detector.process(frame)
    return result.detections.boxes, [detector.network.labels[kind] for kind in result.detections.class_ids]


def _write(args: argparse.Namespace, places: dict[str, str], learner: _CalibrationRun, target: Target,
           settings: PipelineSettings) -> None:
    calibration = learner.calibration
    keep = target.mask(calibration.heat)
    losses = calibration.losses(keep)
    summary = {**_summary(args, calibration, keep, target, settings), "losses": [asdict(loss) for loss in losses]}
    save_static_mask(places["static_mask.npz"], keep, calibration.grid.region_px, calibration.heat)
    drawn = mask_image(learner.frame, keep)
    Path(places[PICTURE]).write_bytes(encode_jpeg(drawn))
    images = [("what is attended (in colour)", drawn), ("heat: where objects were",
                heat_image(learner.frame, calibration.heat))]
    write_calibration_page(
        places["report.html"], summary, losses, images, format_command("calibrate", args.argv), __version__)
    if places["json"]:
        Path(places["json"]).write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    lost = sum(loss.lost for loss in losses)
    print(
        f"{summary['frames']} frames, {summary['objects']} objects, {summary['learned_from']}: "
        f"{summary['kept_share']:.0%} of the regions attended, {lost / summary['objects']:.1%} of the objects lost"
    )


def _summary(args: argparse.Namespace, calibration: Calibration, keep: np.ndarray, target: Target,
             settings: PipelineSettings) -> dict[str, Any]:
    width, height = settings.input_size
    wanted = f"{target.cover:.1%} of the heat" if target.keep is None else f"{target.keep:.1%} of the regions"
    return {
        "sources": list(args.sources),
        "learned_from": "labelled" if args.labels else "detected by the unmasked detector",
        "frames": calibration.frames,
        "objects": calibration.objects,
        "target": wanted + (f", widened by {target.ring}" if target.ring else ""),
        "kept_share": float(keep.mean()),
        "covered_heat": float(calibration.heat[keep].sum() / calibration.heat.sum()),
        "input_size": f"{width}x{height}",
        "rows": calibration.grid.rows,
        "cols": calibration.grid.cols,
        "region_px": calibration.grid.region_px,
        "version": __version__,
    }
