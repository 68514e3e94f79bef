"""Folders with ``video.mp4`` and ``gt.csv``.

The table's first line names its columns: frame, class, x, y, w, h and, where there are some, ignore (0 or 1) and track.
``frame`` counts from 0 and is the index of the decoded frame; boxes are in pixels of the video; ``class`` is a COCO
name, or ``any`` for a region in which detections of every class are left out.
"""

from __future__ import annotations

import csv
import os

from ..core.detections import UNTRACKED
from ..errors import InvalidFile
from ..sources.images import SUFFIXES
from .labels import ANY, LabelledSequence, LabelRow, Labels, checked, folder_name, of_files
from .text_table import LINE_ERRORS, line_error, read_text

TABLE, VIDEO = "gt.csv", "video.mp4"
REQUIRED = ("frame", "class", "x", "y", "w", "h")


def sequences(path: str) -> list[LabelledSequence]:
    """The one sequence of a folder. Its pictures are ``video.mp4``, or image files in the folder itself."""
    table = os.path.join(path, TABLE)
    labels = read_labels(table)
    video = os.path.join(path, VIDEO)
    has_image_folder = not os.path.exists(video) and any(n.lower().endswith(SUFFIXES) for n in os.listdir(path))
    return [of_files(table, path if has_image_folder else video, folder_name(path), labels)]


def read_labels(path: str) -> Labels:
    """Labels of a table. A folder stands for the ``gt.csv`` in it. Raises UserError with file and line."""
    path = os.path.join(path, TABLE) if os.path.isdir(path) else path
    lines = csv.reader(read_text(path).splitlines())
    rows, columns = [], None
    try:
        for cells in lines:
            if not cells:
                continue
            if columns is None:
                columns = _columns(cells)
                continue
            rows.append(_row(cells, columns))
    except (*LINE_ERRORS, csv.Error) as error:
        raise line_error(path, lines.line_num, error) from None
    if columns is None:
        raise InvalidFile("empty table").about(path)
    return Labels.of_rows(rows)


def _columns(cells: list[str]) -> dict[str, int]:
    columns = {name.strip(): place for place, name in enumerate(cells)}
    missing = [name for name in REQUIRED if name not in columns]
    if missing:
        raise InvalidFile(f"no column {', '.join(missing)}; a table of labels begins with {','.join(REQUIRED)}")
    return columns


def _row(cells: list[str], columns: dict[str, int]) -> LabelRow:
    def cell(name: str, default: str = "") -> str:
        return cells[columns[name]].strip() if name in columns else default

    ignore = cell("ignore", "0")
    if ignore not in ("0", "1"):
        raise InvalidFile(f"ignore is {ignore!r}, expected 0 or 1")
    name = cell("class")
    if not name:
        raise InvalidFile("no class")
    return checked(LabelRow(
        int(cell("frame")), name, *(float(cell(side)) for side in ("x", "y", "w", "h")),
        ignore=ignore == "1" or name == ANY, track=int(cell("track", str(UNTRACKED))),
    ))
