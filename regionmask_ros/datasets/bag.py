"""Bags with pictures and, on a topic of vision_msgs/Detection2DArray, the objects in them.

A message labels the picture whose stamp it has, an empty one as well: it says that there is no object. Pictures without
a message are not labelled, and detections in them are left out of the count. ``class_id`` is a COCO name, or ``any``
for a region in which detections of every class are left out; of several results the one with the best score counts.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..core.detections import UNTRACKED
from ..errors import InvalidFile, UserError
from ..files.paths import display_path
from ..sources.bag import BagImages, bag_folder, choose_topic, messages, opened
from ..sources.image_message import stamp_ns
from .labels import ANY, LabelledSequence, LabelRow, Labels, checked

DETECTIONS = "vision_msgs/msg/Detection2DArray"


@dataclass(frozen=True)
class BagTopics:
    """Topics of the pictures and of the labels; "": the only one of its kind that the bag has."""

    pictures: str = ""
    truth: str = ""


def sequences(path: str, topics: BagTopics = BagTopics()) -> list[LabelledSequence]:
    """The one sequence of a bag. Raises UserError when its labels cannot be used."""
    labels = read_labels(path, topics)
    if not labels.classes:
        raise UserError(f"{display_path(path)}: no object is labelled that could be scored")
    folder = bag_folder(path)
    name = os.path.basename(os.path.realpath(folder))
    return [LabelledSequence(name, labels, lambda: BagImages(path, topics.pictures), (str(folder),))]


def read_labels(path: str, topics: BagTopics = BagTopics()) -> Labels:
    """Labels of a bag, by number of the picture. Raises UserError: no bag, no such topic, no stamp that both have."""
    images = BagImages(path, topics.pictures)
    topic, found = _detections(path, topics.truth)
    by_stamp = {stamp_ns(message.header.stamp): message for message in found}
    (width, height), rows, labelled = images.size_wh, [], 0
    tracks: dict[str, int] = {}
    for number, stamp in enumerate(images.stamps()):
        if stamp in by_stamp:
            rows += _rows(by_stamp[stamp], number, tracks, f"{display_path(path)}: {topic}")
            labelled += 1
        else:
            rows.append(LabelRow(number, ANY, 0.0, 0.0, width, height, ignore=True))
    if not labelled:
        raise UserError(f"{display_path(path)}: nothing on {topic} has the stamp of a picture on {images.topic}")
    return Labels.of_rows(rows)


def _detections(path: str, topic: str) -> tuple[str, list[Any]]:
    """The topic, and the messages on it."""
    with opened(bag_folder(path)) as reader:
        known = {c.topic for c in reader.connections if c.msgtype == DETECTIONS}
        topic = choose_topic(known, "detections (vision_msgs/Detection2DArray)", topic, path)
        connections = [c for c in reader.connections if c.topic == topic and c.msgtype == DETECTIONS]
        return topic, [message for message, _ in messages(reader, connections, path)]


def _rows(message: Any, number: int, tracks: dict[str, int], place: str) -> Iterator[LabelRow]:
    """One for each object. tracks: numbers of ids, which may be any text; new ones are added."""
    for one in message.detections:
        name, (width, height) = _class_of(one, place), _extent(one.bbox)
        centre = one.bbox.center.position
        track = tracks.setdefault(one.id, len(tracks)) if one.id else UNTRACKED
        try:
            yield checked(LabelRow(
                number, name, centre.x - width / 2, centre.y - height / 2, width, height, name == ANY, track,
            ))
        except InvalidFile as refused:
            raise UserError(f"{place}: {refused}") from None


def _class_of(detection: Any, place: str) -> str:
    """Raises UserError for a detection that does not say what it is."""
    best = max(detection.results, key=lambda result: result.hypothesis.score, default=None)
    name = best.hypothesis.class_id if best else ""
    if not name or name.isdecimal():
        raise UserError(f"{place}: class_id is {name!r}, expected the name of a class, such as 'person'")
    return name


def _extent(box: Any) -> tuple[float, float]:
    """Width and height of the upright box around one that may be turned."""
    along, across = abs(math.cos(box.center.theta)), abs(math.sin(box.center.theta))
    return box.size_x * along + box.size_y * across, box.size_x * across + box.size_y * along
