"""MOTChallenge folders: ``gt/gt.txt`` beside ``img1/``.

A line is frame (from 1), track, x, y, width, height, flag and, from MOT16 on, class and visibility. Boxes count pixels
from 1. MOT15 has no classes: every object is a person, and flag 0 means that it is not to be scored.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from ..errors import InvalidFile
from .labels import LabelledSequence, LabelRow, Labels, folder_name, of_files
from .text_table import parse_rows

TABLE, IMAGES = os.path.join("gt", "gt.txt"), "img1"

CLASSES = {1: "person", 3: "car", 4: "bicycle", 5: "motorcycle"}
IGNORED_CLASSES = {2: "person", 7: "person", 8: "person", 12: "person", 13: "person"}
"""Person on a vehicle, static person, distractor, reflection, crowd."""
OTHER_CLASSES = (6, 9, 10, 11)
"""Other vehicles without an engine, and what only hides others: no class that a detector could be scored with."""

PERSON = 1
MIN_VISIBLE = 0.25
"""An object of which less can be seen is ignored."""


def sequences(path: str) -> list[LabelledSequence]:
    """The one sequence of a folder that holds ``gt/gt.txt`` and ``img1/``."""
    table = os.path.join(path, TABLE)
    return [of_files(table, os.path.join(path, IMAGES), folder_name(path), read_labels(table))]


def read_labels(path: str) -> Labels:
    """Labels of a ``gt.txt``. A folder stands for the one in it. Raises UserError with file and line."""
    path = os.path.join(path, TABLE) if os.path.isdir(path) else path
    return Labels.of_rows(parse_rows(path, ",", _row))


def _row(cells: Sequence[str]) -> LabelRow | None:
    frame, track = int(float(cells[0])), int(float(cells[1]))
    x, y, width, height, flag = map(float, cells[2:7])
    number = int(float(cells[7])) if len(cells) > 8 else PERSON
    visible = float(cells[8]) if len(cells) == 9 else 1.0
    # MOT15 pads its lines with three coordinates of -1 where later releases have class and visibility.
    if number < 0 or len(cells) > 9:
        number, visible = PERSON, 1.0
    if number in OTHER_CLASSES:
        return None
    if number not in CLASSES and number not in IGNORED_CLASSES:
        raise InvalidFile(f"class {number} is none of MOTChallenge's")
    # The flag says whether the tracking challenge scores an object, which it does for pedestrians only.
    unscored = number == PERSON and flag == 0.0
    ignore = number in IGNORED_CLASSES or unscored or visible < MIN_VISIBLE
    name = CLASSES.get(number) or IGNORED_CLASSES[number]
    return LabelRow(frame - 1, name, x - 1.0, y - 1.0, width, height, ignore, track)
