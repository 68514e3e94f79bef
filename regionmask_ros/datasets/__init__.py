"""Labelled sequences: pictures in order, and the objects that people marked in them.

A data set is written ``KIND:PATH``. Labels alone, for pictures that come from elsewhere, are written the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ..errors import UserError
from . import bag, coco, csv_table, kitti, mot
from .bag import BagTopics
from .labels import LabelledSequence, Labels

BAG = "bag"
"""The only kind that has topics."""

DATASETS: Mapping[str, Callable[..., list[LabelledSequence]]] = {
    "csv": csv_table.sequences,
    "mot": mot.sequences,
    "kitti": kitti.sequences,
    "coco": coco.sequences,
    BAG: bag.sequences,
}

LABEL_FILES: Mapping[str, Callable[..., Labels]] = {
    "csv": csv_table.read_labels,
    "mot": mot.read_labels,
    "kitti": kitti.read_labels,
    "coco": coco.read_labels,
    BAG: bag.read_labels,
}


def open_dataset(spelt: str, topics: BagTopics = BagTopics()) -> list[LabelledSequence]:
    """The sequences of ``KIND:PATH``, at least one. topics: of a bag.

    Raises UserError: unknown kind, missing or damaged files.
    """
    return _by_kind(DATASETS, spelt, topics, "data set")


def read_labels(spelt: str, topics: BagTopics = BagTopics()) -> Labels:
    """The labels of ``KIND:PATH``, for one sequence of pictures. Raises UserError as ``open_dataset`` does."""
    return _by_kind(LABEL_FILES, spelt, topics, "labels")


def has_bag(spelt: Sequence[str]) -> bool:
    """One of them is a bag."""
    return any(one.partition(":")[0] == BAG for one in spelt)


def _by_kind(kinds: Mapping[str, Callable], spelt: str, topics: BagTopics, what: str):
    kind, colon, path = spelt.partition(":")
    if not colon or not path or kind not in kinds:
        raise UserError(f"{what} {spelt!r}: write KIND:PATH, KIND one of {', '.join(kinds)}")
    return kinds[kind](path, topics) if kind == BAG else kinds[kind](path)
