"""Labeled sequences: images in order, and the objects that people have marked in them.

A data set is given as ``KIND:PATH``. Labels alone, for images from another source, are given in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from ..errors import UserError
from ..sources import Reading
from .bag import ONLY_TOPICS, BagTopics, open_bag_sequences, read_bag_labels
from .coco import open_coco, read_coco
from .formats import open_csv, open_kitti, open_mot, read_csv, read_kitti, read_mot
from .labels import LabelledSequence, Labels

BAG, COCO = "bag", "coco"
KINDS = ("csv", "mot", "kitti", COCO, BAG)

_Result = TypeVar("_Result")


def open_dataset(
    spec: str, topics: BagTopics = ONLY_TOPICS, images: str = "", reading: Reading | None = None,
) -> list[LabelledSequence]:
    """Opens a data set.

    Args:
        spec: ``KIND:PATH``, with the kind csv, mot, kitti, coco or bag.
        topics: For bags: the topics of images and labels.
        images: For COCO: the folder of the images; empty: the usual places near the file.
        reading: How images are read, and where dropped ones are counted; None: as by default.

    Returns:
        The sequences, at least one.

    Raises:
        UserError: The kind is unknown, or files are missing or damaged.
    """
    openers: dict[str, Callable[[str], list[LabelledSequence]]] = {
        "csv": open_csv, "mot": open_mot, "kitti": open_kitti,
        COCO: partial(open_coco, images=images), BAG: partial(open_bag_sequences, topics=topics, reading=reading),
    }
    return [replace(one, open=partial(one.open, reading)) for one in _read(openers, spec, "data set")]


def read_labels(spec: str, topics: BagTopics = ONLY_TOPICS, reading: Reading | None = None) -> Labels:
    """Reads the labels of one sequence, without its images.

    Args:
        spec: ``KIND:PATH``, with the kind csv, mot, kitti, coco or bag.
        topics: For bags: the topics of images and labels.
        reading: For bags: how images are read.

    Returns:
        The labels by frame.

    Raises:
        UserError: The kind is unknown, or the file is missing or damaged.
    """
    readers: dict[str, Callable[[str], Labels]] = {
        "csv": read_csv, "mot": read_mot, "kitti": read_kitti, COCO: read_coco,
        BAG: partial(read_bag_labels, topics=topics, reading=reading),
    }
    return _read(readers, spec, "labels")


def is_dataset(text: str) -> bool:
    """Whether a text is written as ``KIND:PATH``, and not as the path of a video or a folder."""
    kind, colon, _ = text.partition(":")
    return bool(colon) and kind in KINDS


def has_bag(specs: Sequence[str]) -> bool:
    """Whether one of the data sets is a bag."""
    return any(spec.partition(":")[0] == BAG for spec in specs)


def has_coco(specs: Sequence[str]) -> bool:
    """Whether one of the data sets is in COCO's format."""
    return any(spec.partition(":")[0] == COCO for spec in specs)


def _read(readers: Mapping[str, Callable[[str], _Result]], spec: str, what: str) -> _Result:
    kind, _, path = spec.partition(":")
    if not path or kind not in KINDS:
        raise UserError(f"{what} {spec!r}: write KIND:PATH, KIND one of {', '.join(KINDS)}")
    return readers[kind](path)
