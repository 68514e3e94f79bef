"""KITTI tracking: ``label_02/NNNN.txt`` and ``image_02/NNNN/`` below one folder.

A line is frame, track, type, truncated (0 to 2), occluded (0 to 3), alpha, left, top, right, bottom, and what belongs
to three dimensions. Frames and pixels count from 0.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from ..core.detections import UNTRACKED
from ..errors import InvalidFile, UserError
from ..files.paths import display_path, natural_key
from .labels import ANY, LabelledSequence, LabelRow, Labels, of_files
from .text_table import parse_rows

LABELS, IMAGES = "label_02", "image_02"

CLASSES = {"Car": "car", "Pedestrian": "person", "Truck": "truck", "Tram": "train"}
IGNORED_CLASSES = {"Van": "car", "Cyclist": "person", "Person": "person", "Person_sitting": "person",
                   "DontCare": ANY, "Misc": ANY}
"""A cyclist's box holds rider and bicycle; DontCare and Misc say nothing about the class."""

MOST_OCCLUDED, MOST_TRUNCATED = 1, 1
"""Beyond it (largely occluded, or unknown; strongly truncated) an object is ignored."""


def sequences(path: str) -> list[LabelledSequence]:
    """All sequences below a folder that holds ``label_02`` and ``image_02``, or the one whose pictures
    (``.../image_02/NNNN``) or labels (``.../label_02/NNNN.txt``) the path names.
    """
    folder = os.path.abspath(path)
    parent, last = os.path.split(folder)
    if os.path.basename(parent) in (LABELS, IMAGES):
        return [_sequence(os.path.dirname(parent), os.path.splitext(last)[0])]
    try:
        files = sorted(os.listdir(os.path.join(folder, LABELS)), key=natural_key)
    except OSError as error:
        raise UserError(f"{display_path(os.path.join(path, LABELS))}: cannot be read: {error.strerror}") from None
    names = [name[:-4] for name in files if name.endswith(".txt")]
    if not names:
        raise UserError(f"{display_path(os.path.join(path, LABELS))}: no .txt file with labels in it")
    return [_sequence(folder, name) for name in names]


def _sequence(root: str, name: str) -> LabelledSequence:
    table = os.path.join(root, LABELS, f"{name}.txt")
    return of_files(table, os.path.join(root, IMAGES, name), name, read_labels(table))


def read_labels(path: str) -> Labels:
    """Labels of one ``label_02/NNNN.txt``. Raises UserError with file and line."""
    return Labels.of_rows(parse_rows(path, None, _row))


def _row(cells: Sequence[str]) -> LabelRow:
    frame, track, kind = int(cells[0]), int(cells[1]), cells[2]
    truncated, occluded = float(cells[3]), int(cells[4])
    left, top, right, bottom = map(float, cells[6:10])
    if kind not in CLASSES and kind not in IGNORED_CLASSES:
        raise InvalidFile(f"type {kind!r} is none of KITTI's")
    hidden = truncated > MOST_TRUNCATED or occluded > MOST_OCCLUDED
    name = CLASSES.get(kind) or IGNORED_CLASSES[kind]
    ignore = kind in IGNORED_CLASSES or hidden
    return LabelRow(frame, name, left, top, right - left, bottom - top, ignore, UNTRACKED if track < 0 else track)
