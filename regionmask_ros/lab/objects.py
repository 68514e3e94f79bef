"""Objects from which static masks are made: those of labels, or what the unmasked detector finds."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import numpy as np

from ..core.frame import Frame
from ..datasets.labels import ANY, Labels
from ..errors import UserError
from ..mask.heat import Calibration
from ..network.dense import AnyNetwork
from ..pipeline.pipeline import Pipeline
from ..pipeline.settings import PipelineSettings
from ..sources import Source

Objects = tuple[Frame, np.ndarray, list[str]]
"""A frame with the boxes, float [n, 4] in image pixels, and the classes of its objects."""


def choose_classes(text: str, labels: Sequence[Labels], network: AnyNetwork | None) -> frozenset[str] | None:
    """Reads the option ``--classes``.

    Args:
        text: As the user wrote it.
        labels: Where the objects come from.
        network: Where they come from without labels.

    Returns:
        The classes that count, None for all.

    Raises:
        UserError: A class is not known.
    """
    if not text:
        return None
    wanted = [name.strip() for name in text.split(",")]
    known = set(network.labels) if network else {name for one in labels for name in one.classes}
    for name in wanted:
        if name not in known:
            source = "the network's" if network else "labeled"
            raise UserError(f"--classes {text!r}: {name!r} is none of the {source} classes")
    return frozenset(wanted)


def labeled_objects(source: Source, labels: Labels) -> Iterator[Objects]:
    """All frames of a source with their labeled objects."""
    for number, frame in source.numbered():
        one = labels.at(number)
        selected = [place for place, name in enumerate(one.names) if not one.ignore[place] and name != ANY]
        yield frame, one.boxes[selected], [one.names[place] for place in selected]


def detected_objects(source: Source, network: AnyNetwork, settings: PipelineSettings) -> Iterator[Objects]:
    """All frames of a source with what the unmasked detector finds in them."""
    with contextlib.closing(Pipeline(network, settings)) as detector:
        for frame in source.frames():
            (result,) = detector.process(frame)
            found = result.detections
            yield frame, found.boxes, [network.labels[kind] for kind in found.class_ids]


def select_objects(objects: Objects, classes: frozenset[str] | None) -> Objects:
    """The frame with those of its objects that are of these classes; None for all."""
    frame, boxes, names = objects
    selected = [place for place, name in enumerate(names) if classes is None or name in classes]
    return frame, boxes[selected], [names[place] for place in selected]


def add_objects(calibration: Calibration, objects: Objects, classes: frozenset[str] | None) -> int:
    """Adds the objects of a frame to a calibration.

    Args:
        calibration: Takes them.
        objects: The frame with its objects.
        classes: Those that count; None for all.

    Returns:
        How many of the objects count.
    """
    frame, boxes, names = select_objects(objects, classes)
    calibration.add(boxes, names, frame.size_wh)
    return len(names)
