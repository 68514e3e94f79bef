"""The work of the command ``paint``, whose arguments are in ``arguments/paint.py``."""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from ..core.frame import parse_input_size
from ..core.grid import RegionGrid
from ..datasets import has_bag
from ..datasets.bag import BagTopics
from ..datasets.thinned import ThinnedSource
from ..errors import InvalidFile, UserError
from ..files.content import HEAD_BYTES, Family, identify
from ..files.outputs import Outputs
from ..files.paths import display_path
from ..files.safe_read import open_regular
from ..importing.opening import open_network
from ..lab.objects import Objects, add_objects, choose_classes, detected_objects, labeled_objects
from ..mask.heat import Calibration
from ..mask.static import encode_mask_image, encode_static_mask
from ..pipeline.settings import PipelineSettings
from ..progress import Progress
from ..report.images import ImageSampler
from ..sources import MOVING_PICTURES, Reading, Source, open_source
from ..sources.images import ImageFiles
from ..web.browser import show_address
from ..web.server import WebServer
from ._cli import command_main
from ._datasets import read_all_labels
from ._mask_yaml import print_mask_yaml
from ._output import make_next_folder
from ._painting import Painting, Subject
from ._pictures import make_reading, report_dropped

KINDS = (".png", ".npz")
DETECTOR_FRAMES = 64
PICTURES = 6
"""So many pictures of the source can be painted on."""

MANY_OBJECTS = 6
"""A picture with more objects is no better to paint on."""


def run(args: argparse.Namespace) -> int:
    """Serves the page until a mask is saved.

    Args:
        args: The parsed arguments.

    Returns:
        The exit status.

    Raises:
        UserError: Arguments contradict each other, or files are missing or damaged.
    """
    _check(args)
    reading = make_reading(args)
    inputs = [args.source, *(spec.partition(":")[2] for spec in [args.labels] if spec)]
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(_open(args.source, args.topic, reading))
        outputs = stack.enter_context(Outputs(inputs))
        # Before the work, so that a name that cannot be written is reported at once.
        path = args.output or os.path.join(make_next_folder(outputs, "paint"), "static_mask.png")
        place = outputs.file(path)
        subject = _learn(args, source, reading)
        dropped = report_dropped(reading, args)

        def save(keep: np.ndarray) -> str:
            try:
                Path(place).write_bytes(_encode(keep, subject, path))
            except OSError as error:
                raise UserError(f"{display_path(path)}: cannot be written: {error.strerror}") from error
            outputs.commit()
            return path

        painting = Painting(subject, save)
        with WebServer(painting.routes(), args.port) as server:
            show_address(server.address, browse=not args.no_browser)
            print("paint the mask there and save it; Ctrl-C ends without a mask", flush=True)
            painting.wait()
    assert painting.saved is not None, "wait returns when it is saved"
    counts = painting.count(painting.saved)
    lost = f", {counts['lost']} of {counts['objects']} objects lost" if counts["objects"] else ""
    print(f"{counts['kept']:.0%} of the regions observed{lost}\n  {path}")
    print_mask_yaml(path)
    return dropped


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    return command_main("paint", argv)


def _check(args: argparse.Namespace) -> None:
    if args.output and not args.output.lower().endswith(KINDS):
        raise UserError(f"--output {display_path(args.output)}: the name of a mask ends with {' or '.join(KINDS)}")
    if args.truth_topic and not has_bag([args.labels]):
        raise UserError(f"--truth-topic {args.truth_topic}: --labels is not written bag:PATH")
    if args.frames is not None and args.frames < 0:
        raise UserError(f"--frames {args.frames}: must be 0 or more")
    if args.frames is not None and args.labels:
        raise UserError("--frames: the detector does not run, because the objects are those of --labels")
    if not 0 <= args.port <= 65535:
        raise UserError(f"--port {args.port}: must be 0 to 65535")
    if args.no_browser and args.quiet:
        raise UserError("--no-browser --quiet: nobody would learn the address of the page")


def _open(path: str, topic: str, reading: Reading) -> Source:
    """Opens the source, which may be a single image, too."""
    if topic or not _is_picture(path):
        return open_source(path, topic, reading=reading)
    return ImageFiles([path], os.path.basename(path), reading)


def _is_picture(path: str) -> bool:
    """Whether it is a file with a single image. What cannot be read is left to ``open_source``, which says why."""
    if path.lower().endswith(MOVING_PICTURES):
        return False
    try:
        with open_regular(path) as file:
            content = identify(file.read(HEAD_BYTES))
    except InvalidFile:
        return False
    return content is not None and content.family is Family.PICTURE


def _learn(args: argparse.Namespace, source: Source, reading: Reading) -> Subject:
    """Collects the objects of the source, and a few pictures."""
    settings = PipelineSettings(
        input_size=parse_input_size(args.input_size), max_pixels=args.max_pixels, score_threshold=args.score_threshold)
    labels = read_all_labels([args.labels] if args.labels else [], BagTopics(args.topic, args.truth_topic), reading)
    # With labels, too: its input decides about the regions.
    network = open_network(args.network) if args.network or not labels else None
    classes = choose_classes(args.classes, labels, None if labels else network)
    calibration = Calibration(RegionGrid.near_input(settings.input_wh(source.size_wh, network)))
    objects: Iterable[Objects]
    if labels or network is None:
        learned_from, total, objects = "labels", source.frame_count, labeled_objects(source, labels[0])
    else:
        learned_from = "detections"
        frames = DETECTOR_FRAMES if args.frames is None else args.frames
        thinned = _thin(source, frames or PICTURES)
        total = thinned.frame_count
        objects = detected_objects(thinned, network, settings.fix_input(source.size_wh, network)) if frames else (
            (frame, np.zeros((0, 4)), []) for frame in thinned.frames())
    samples = ImageSampler(PICTURES)
    for number, found in enumerate(Progress(objects, total=total, unit="frame", desc=source.name)):
        rank = min(add_objects(calibration, found, classes), MANY_OBJECTS)
        if samples.wants(number, rank):
            samples.add(number, rank, f"frame {number}", found[0].bgr())
    pictures = [image.jpeg for image in samples.images()]
    if not pictures:
        raise UserError(f"{display_path(args.source)}: has no frame")
    return Subject(source.name, source.size_wh, calibration, pictures, learned_from)


def _thin(source: Source, wanted: int) -> Source:
    """At most as many frames of a source, evenly spread over it."""
    count = source.frame_count
    if count is None:
        count = sum(1 for _ in Progress(source.frames(), unit="frame", desc=f"counting {source.name}", leave=False))
    return ThinnedSource(source, max(1, -(-count // wanted)))


def _encode(keep: np.ndarray, subject: Subject, path: str) -> bytes:
    """The content of the mask's file, by the ending of its name."""
    if path.lower().endswith(".png"):
        return encode_mask_image(keep, subject.image_wh)
    heat = subject.calibration.heat
    return encode_static_mask(keep, subject.grid.region_px, heat if heat.any() else None)
