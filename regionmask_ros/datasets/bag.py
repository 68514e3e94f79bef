"""Data sets in bags: images and, on a topic of vision_msgs/Detection2DArray, the objects in them.

A message labels the image with the same stamp; an empty message says that there is no object. An image without a
message is not labeled, and detections in it are ignored. ``class_id`` is a COCO name, or ``any`` for a region in which
detections of every class are ignored. Of several results the one with the best score counts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..core.detections import UNTRACKED
from ..errors import InvalidFile, UserError
from ..files.paths import display_path
from ..sources import Reading
from ..sources.bag import BagImages
from ..sources.bags.reader import Bag, choose_topic
from ..sources.image_message import stamp_ns
from .labels import ANY, EmptyBox, LabelledSequence, LabelRow, Labels, check_row, check_scored
from .left_out import LeftOut

DETECTIONS = "vision_msgs/msg/Detection2DArray"


@dataclass(frozen=True)
class BagTopics:
    """Topics of a labeled bag. An empty name stands for the only topic of its kind.

    Attributes:
        images: The topic of the images.
        truth: The topic of the labels.
    """

    images: str = ""
    truth: str = ""


ONLY_TOPICS = BagTopics()


def open_bag_sequences(
    path: str, topics: BagTopics = ONLY_TOPICS, reading: Reading | None = None,
) -> list[LabelledSequence]:
    """Opens the one sequence of a bag.

    Args:
        path: The bag's folder, or a file in it.
        topics: The topics of images and labels.
        reading: How the images are read that the labels are compared with.

    Returns:
        A list of one sequence.

    Raises:
        UserError: The labels cannot be used.
    """
    labels = read_bag_labels(path, topics, reading)
    check_scored(path, labels)
    with Bag(path) as bag:
        return [LabelledSequence(
            bag.name, labels, lambda reading=None: BagImages(path, topics.images, reading=reading), (path,),
            labels.notes)]


def read_bag_labels(path: str, topics: BagTopics = ONLY_TOPICS, reading: Reading | None = None) -> Labels:
    """Reads the labels of a bag, by the number of the image.

    Args:
        path: The bag's folder, or a file in it.
        topics: The topics of images and labels.
        reading: How images are read.

    Returns:
        The labels.

    Raises:
        UserError: The path is not a bag, there is no such topic, or no message has the stamp of an image.
    """
    with BagImages(path, topics.images, reading=reading) as images:
        stamps = images.stamps()
    topic, messages = _read_detections(path, topics.truth)
    place = f"{display_path(path)}: {topic}"
    left_out = LeftOut(place)
    for log_ns in [log_ns for message, log_ns in messages if isinstance(message, InvalidFile)]:
        left_out.add("damaged message, left out", f"{log_ns} ns")
    try:
        by_stamp = {stamp_ns(message.header.stamp): message for message, _ in messages
                    if not isinstance(message, InvalidFile)}
        rows = _all_rows(by_stamp, stamps, images.size_wh, place, left_out)
    # A bag has definitions of its own: those of older releases have other fields, and those of damaged bags any.
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise UserError(f"{place}: not as vision_msgs 4 (Humble and later) defines {DETECTIONS} ({error})") from error
    if by_stamp.keys().isdisjoint(stamps):
        raise UserError(f"{display_path(path)}: no message on {topic} has the stamp of an image on {images.topic}")
    return replace(Labels.of_rows(rows), notes=left_out.lines())


def _all_rows(by_stamp: Mapping[int, Any], stamps: Sequence[int], size_wh: tuple[int, int], place: str,
              left_out: LeftOut) -> list[LabelRow]:
    """The rows of all images; of an image without a message one for the whole of it, which is ignored."""
    rows: list[LabelRow] = []
    tracks: dict[str, int] = {}
    for number, stamp in enumerate(stamps):
        if stamp in by_stamp:
            rows += _rows(by_stamp[stamp], number, tracks, place, left_out)
        else:
            rows.append(LabelRow(number, ANY, 0.0, 0.0, *size_wh, ignore=True))
    return rows


def _read_detections(path: str, topic: str) -> tuple[str, list[tuple[Any, int]]]:
    """The topic of the labels, and what ``Bag.messages`` has of it."""
    with Bag(path) as bag:
        topic = choose_topic(bag, lambda one: one.msgtype == DETECTIONS and one.is_readable,
                             "detections (vision_msgs/Detection2DArray)", topic)
        return topic, list(bag.messages(topic, (DETECTIONS,)))


def _rows(message: Any, number: int, tracks: dict[str, int], place: str, left_out: LeftOut) -> Iterator[LabelRow]:
    """One row per object. New ids, which may be any text, are numbered in ``tracks``."""
    for one in message.detections:
        name, (width, height) = _class_of(one, place), _extent(one.bbox)
        center = one.bbox.center.position
        track = tracks.setdefault(one.id, len(tracks)) if one.id else UNTRACKED
        try:
            yield check_row(LabelRow(
                number, name, center.x - width / 2, center.y - height / 2, width, height, name == ANY, track))
        except EmptyBox as error:
            left_out.add(f"object {error}, left out", f"image {number}")
        except InvalidFile as error:
            raise UserError(f"{place}: {error}") from None


def _class_of(detection: Any, place: str) -> str:
    """The class with the best score. Raises UserError when its name is missing or a number."""
    best = max(detection.results, key=lambda result: result.hypothesis.score, default=None)
    name = best.hypothesis.class_id if best else ""
    if not name or name.isdecimal():
        raise UserError(f"{place}: class_id is {name!r}, expected the name of a class, such as 'person'")
    return name


def _extent(box: Any) -> tuple[float, float]:
    """Width and height of the upright box around a box that may be rotated."""
    theta = box.center.theta if math.isfinite(box.center.theta) else math.nan
    along, across = abs(math.cos(theta)), abs(math.sin(theta))
    return box.size_x * along + box.size_y * across, box.size_x * across + box.size_y * along
