"""Labelled sequences: pictures in order, and the objects that people marked in them.

A data set is written ``KIND:PATH``. Labels alone, for pictures that come from elsewhere, are written the same way.
"""

from __future__ import annotations

from typing import Callable, Mapping

from ..errors import UserError
from . import coco, csv_table, kitti, mot
from .labels import Labels
from .sequence import LabelledSequence

DATASETS: Mapping[str, Callable[[str], list[LabelledSequence]]] = {
    "csv": csv_table.sequences,
    "mot": mot.sequences,
    "kitti": kitti.sequences,
    "coco": coco.sequences,
}

LABEL_FILES: Mapping[str, Callable[[str], Labels]] = {
    "csv": csv_table.read_labels,
    "mot": mot.read_labels,
    "kitti": kitti.read_labels,
    "coco": coco.read_labels,
}


def open_dataset(spelt: str) -> list[LabelledSequence]:
    """The sequences of ``KIND:PATH``, at least one. Raises UserError: unknown kind, missing or damaged files."""
    return _by_kind(DATASETS, spelt, "data set")


def read_labels(spelt: str) -> Labels:
    """The labels of ``KIND:PATH``, for one sequence of pictures. Raises UserError as ``open_dataset`` does."""
    return _by_kind(LABEL_FILES, spelt, "labels")


def _by_kind(kinds: Mapping[str, Callable], spelt: str, what: str):
    kind, colon, path = spelt.partition(":")
    if not colon or not path or kind not in kinds:
        raise UserError(f"{what} {spelt!r}: write KIND:PATH, KIND one of {', '.join(kinds)}")
    return kinds[kind](path)
