"""The work of ``calibrate`` with many sources: the objects of one, from which the mask is made frame by frame.

Floating-point sums depend on their order. So workers give back the objects, and their heat is added in the order of the
sources and of the frames, as if there were one process: the mask is the same in every bit.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..core.frame import Frame
from ..core.grid import RegionGrid
from ..datasets.labels import Labels
from ..errors import UserError
from ..lab.objects import detected_objects, labeled_objects, select_objects
from ..mask.heat import Calibration
from ..network.dense import AnyNetwork
from ..pipeline.settings import PipelineSettings
from ..report.images import encode_jpeg
from ..sources.pictures.decode import decode_color
from .calls import UnitResult
from .journal import Journal
from .opening import opened
from .units import ImageLimits, SlicedSource, Unit, facts_of, name_camera

OBJECTS, IMAGE = "npz", "jpg"
"""Endings of a unit's files."""


@dataclass(frozen=True)
class Calibrating:
    """What all units of a calibration share.

    Attributes:
        network: Finds objects where there are no labels, and decides about the input; None for labels alone.
        settings: Of the unmasked detector; the input size may follow the images.
        labels: By path of the source; empty: objects are detected.
        classes: Those that count; None: all.
        topic: Image topic of bags.
        limits: Of the pictures.
    """

    network: AnyNetwork | None
    settings: PipelineSettings
    labels: Mapping[str, Labels]
    classes: frozenset[str] | None
    topic: str
    limits: ImageLimits


def find_objects(job: Calibrating, unit: Unit) -> UnitResult:
    """Finds the objects of a unit, by its labels or with the unmasked detector.

    Args:
        job: What all units share.
        unit: The unit.

    Returns:
        The objects of each frame and the last image, as files; and facts.

    Raises:
        UserError: The source cannot be used, or has no frame.
    """
    reading = job.limits.new_reading()
    counts: list[int] = []
    sizes: list[tuple[int, int]] = []
    every_box: list[np.ndarray] = []
    every_name: list[str] = []
    frame: Frame | None = None
    with opened(unit, job.topic, reading) as whole, contextlib.closing(SlicedSource(unit, whole)) as source:
        width, height = job.settings.input_wh(source.size_wh, job.network)
        labels = job.labels.get(unit.place.path)
        if labels is not None:
            objects = labeled_objects(source, labels)
        else:
            assert job.network is not None, "without labels, it finds the objects"
            objects = detected_objects(
                source, job.network, job.settings.fix_input(source.size_wh, job.network))
        for found in objects:
            frame, boxes, names = select_objects(found, job.classes)
            counts.append(len(names))
            sizes.append(frame.size_wh)
            every_box.append(np.asarray(boxes, np.float64).reshape(-1, 4))
            every_name += names
        camera = name_camera(unit, whole)
    if frame is None:
        raise UserError(f"{unit.title}: no frame that can be used")
    known = sorted(set(every_name))
    out = io.BytesIO()
    np.savez_compressed(
        out, counts=np.array(counts, np.int32), sizes=np.array(sizes, np.int32), boxes=np.concatenate(every_box),
        names=np.array([known.index(name) for name in every_name], np.int32))
    facts = {**facts_of(unit), "camera": camera, "frames": len(counts), "objects": len(every_name), "classes": known,
             "input_size": [width, height], **reading.dropped.as_json()}
    return UnitResult(facts, {OBJECTS: out.getvalue(), IMAGE: encode_jpeg(frame.bgr(), frame.size_wh[0])})


def collect(journal: Journal, units: Sequence[Unit]) -> tuple[Calibration, Frame]:
    """Adds up the objects of units, one unit in memory at a time but for the boxes.

    Args:
        journal: Has their results.
        units: The units, in their order.

    Returns:
        The calibration, as of one process; and the last image.

    Raises:
        UserError: The sources have inputs of different sizes.
    """
    sizes = {unit.place.path: tuple(journal.facts(unit).facts["input_size"]) for unit in units}
    (first, size), *others = sizes.items()
    for path, other in others:
        if other != size:
            raise UserError(f"{path}: its network input is {other[0]}x{other[1]}, but that of {first} "
                            f"{size[0]}x{size[1]}; calibrate them one by one, or give --input-size")
    calibration = Calibration(RegionGrid.near_input((size[0], size[1])))
    for unit in units:
        for boxes, names, image_wh in _read_objects(journal, unit):
            calibration.add(boxes, names, image_wh)
    pixels = decode_color(journal.file(units[-1], IMAGE).read_bytes(), place=units[-1].title)
    return calibration, Frame(pixels, "bgr", 0, "")


def _read_objects(journal: Journal, unit: Unit) -> Iterator[tuple[np.ndarray, list[str], tuple[int, int]]]:
    known = journal.facts(unit).facts["classes"]
    try:
        with np.load(journal.file(unit, OBJECTS), allow_pickle=False) as arrays:
            counts, sizes, boxes, names = (arrays[name] for name in ("counts", "sizes", "boxes", "names"))
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{journal.file(unit, OBJECTS)}: cannot be read: delete it, and --resume makes it again"
                        ) from error
    ends = np.cumsum(counts)
    for count, end, (width, height) in zip(counts.tolist(), ends.tolist(), sizes.tolist()):
        rows = slice(end - count, end)
        yield boxes[rows], [known[kind] for kind in names[rows].tolist()], (width, height)
