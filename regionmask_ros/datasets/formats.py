"""File formats of data sets that are text files with one object per line: CSV, MOTChallenge, KITTI tracking.

CSV: a folder with ``gt.csv`` and ``video.mp4`` or image files. The first line names the columns: frame, class, x, y, w,
h and optionally ignore (0 or 1) and track. ``frame`` is the index of the decoded frame, from 0. Boxes are in image
pixels. ``class`` is a COCO name, or ``any`` for a region in which detections of every class are ignored.

MOTChallenge: a folder with ``gt/gt.txt`` and ``img1/``. A line is frame (from 1), track, x, y, width, height, flag and,
from MOT16 on, class and visibility. Pixels count from 1. MOT15 has no classes: every object is a person, and flag 0
means that it is not scored.

KITTI tracking: a folder with ``label_02/NNNN.txt`` and ``image_02/NNNN/``. A line is frame, track, type, truncated (0
to 2), occluded (0 to 3), alpha, left, top, right, bottom, and values for three dimensions. Frames and pixels count from
0.

Objects whose box has no size are left out and counted, and so are labeled frames whose image is missing.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from ..core.detections import UNTRACKED
from ..errors import InvalidFile, UserError, quote_outside
from ..files.content import HEAD_BYTES, Family, check_head
from ..files.paths import display_path, natural_key
from ..files.safe_read import open_regular, read_limited
from ..sources.images import SUFFIXES
from .labels import ANY, EmptyBox, LabelledSequence, LabelRow, Labels, check_row, make_sequence
from .left_out import LeftOut
from .numbered_images import make_numbered_sequence

CSV_LABELS, CSV_VIDEO = "gt.csv", "video.mp4"
CSV_COLUMNS = ("frame", "class", "x", "y", "w", "h")

MOT_LABELS, MOT_IMAGES = os.path.join("gt", "gt.txt"), "img1"
MOT_FIRST_FRAME = 1
MOT_HEADERS = ("frame", "frame_id", "frameid", "frame_number")
"""What the first column is called where somebody has added names."""
MOT_PERSON = 1
MOT_CLASSES = {1: "person", 3: "car", 4: "bicycle", 5: "motorcycle"}
MOT_IGNORED = {2: "person", 7: "person", 8: "person", 12: "person", 13: "person"}
"""Person on a vehicle, static person, distractor, reflection, crowd."""
MOT_SKIPPED = (6, 9, 10, 11)
"""Other vehicles without an engine, and occluders: classes that no detection is scored with."""
MOT_MIN_VISIBLE = 0.25
"""An object with a smaller visible part is ignored."""

KITTI_LABELS, KITTI_IMAGES = "label_02", "image_02"
KITTI_CLASSES = {"Car": "car", "Pedestrian": "person", "Truck": "truck", "Tram": "train"}
KITTI_IGNORED = {"Van": "car", "Cyclist": "person", "Person": "person", "Person_sitting": "person",
                 "DontCare": ANY, "Misc": ANY}
"""The box of a cyclist contains rider and bicycle; DontCare and Misc can be of any class."""
KITTI_MAX_OCCLUDED, KITTI_MAX_TRUNCATED = 1, 1
"""Objects with a larger value (largely occluded or unknown; strongly truncated) are ignored."""


def open_csv(path: str) -> list[LabelledSequence]:
    """The one sequence of a CSV folder. Raises UserError for missing or damaged files."""
    table = os.path.join(path, CSV_LABELS)
    labels = read_csv(table)
    video = os.path.join(path, CSV_VIDEO)
    has_images = not os.path.exists(video) and any(name.lower().endswith(SUFFIXES) for name in os.listdir(path))
    return [make_sequence(table, path if has_images else video, _folder_name(path), labels)]


def read_csv(path: str) -> Labels:
    """Labels of a CSV file, or of ``gt.csv`` in a folder. Raises UserError with file and line."""
    path = os.path.join(path, CSV_LABELS) if os.path.isdir(path) else path
    columns: dict[str, int] = {}

    def parse(cells: Sequence[str]) -> LabelRow | None:
        if columns:
            return _parse_csv(cells, columns)
        columns.update((name, place) for place, name in enumerate(cells))
        missing = [name for name in CSV_COLUMNS if name not in columns]
        if missing:
            raise InvalidFile(f"no column {', '.join(missing)}; the first line must be {','.join(CSV_COLUMNS)}")
        return None

    labels = _read_lines(path, _split_csv(path), parse)
    if not columns:
        raise InvalidFile("empty table").about(path)
    return labels


def _parse_csv(cells: Sequence[str], columns: dict[str, int]) -> LabelRow:
    def cell(name: str, default: str = "") -> str:
        return cells[columns[name]] if name in columns else default

    ignore = cell("ignore", "0")
    if ignore not in ("0", "1"):
        raise InvalidFile(f"ignore is {ignore!r}, expected 0 or 1")
    name = cell("class")
    if not name:
        raise InvalidFile("no class")
    x, y, width, height = (_number(cell(side)) for side in ("x", "y", "w", "h"))
    return LabelRow(
        _whole(cell("frame")), name, x, y, width, height, ignore == "1" or name == ANY,
        _whole(cell("track", str(UNTRACKED))))


def open_mot(path: str) -> list[LabelledSequence]:
    """The one sequence of a MOTChallenge folder. Raises UserError for missing or damaged files."""
    if os.path.isfile(path):
        path = os.path.dirname(os.path.dirname(os.path.abspath(path)))
    table = os.path.join(path, MOT_LABELS)
    return [make_numbered_sequence(
        table, os.path.join(path, MOT_IMAGES), _folder_name(path), read_mot(table), MOT_FIRST_FRAME)]


def read_mot(path: str) -> Labels:
    """Labels of a MOTChallenge file, or of ``gt/gt.txt`` in a folder. Raises UserError with file and line."""
    path = os.path.join(path, MOT_LABELS) if os.path.isdir(path) else path
    return _read_lines(path, _split_mot(path), _parse_mot, MOT_FIRST_FRAME)


def _split_mot(path: str) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of every line; the values are separated by commas, semicolons, tabs or spaces."""
    for number, line in enumerate(read_text(path).splitlines(), 1):
        cells = next((line.split(one) for one in ",;" if one in line), line.split())
        is_header = number == 1 and cells and cells[0].strip(" #").lower() in MOT_HEADERS
        if line.strip() and not is_header:
            yield number, cells


def _parse_mot(cells: Sequence[str]) -> LabelRow | None:
    frame, track = _whole(cells[0]), _whole(cells[1])
    if frame == 0:
        raise InvalidFile("frame 0, but MOTChallenge counts frames from 1: add 1 to every frame number")
    x, y, width, height, flag = map(_number, cells[2:7])
    number = _whole(cells[7]) if len(cells) > 8 else MOT_PERSON
    visible = _number(cells[8]) if len(cells) == 9 else 1.0
    # MOT15 fills its lines with three coordinates of -1 where later releases have class and visibility.
    if number < 0 or len(cells) > 9:
        number, visible = MOT_PERSON, 1.0
    if number in MOT_SKIPPED:
        return None
    if number not in MOT_CLASSES and number not in MOT_IGNORED:
        raise InvalidFile(f"class {number} is not a class of MOTChallenge")
    # The flag says whether the tracking challenge scores an object, and it scores only pedestrians.
    is_unscored = number == MOT_PERSON and flag == 0.0
    ignore = number in MOT_IGNORED or is_unscored or visible < MOT_MIN_VISIBLE
    name = MOT_CLASSES.get(number) or MOT_IGNORED[number]
    return LabelRow(frame - MOT_FIRST_FRAME, name, x - 1.0, y - 1.0, width, height, ignore, track)


def open_kitti(path: str) -> list[LabelledSequence]:
    """Opens KITTI tracking sequences.

    Args:
        path: The folder with ``label_02`` and ``image_02``, for all sequences; or the images
            (``.../image_02/NNNN``) or labels (``.../label_02/NNNN.txt``) of one.

    Returns:
        The sequences, in the order of their numbers.

    Raises:
        UserError: Files are missing or damaged.
    """
    folder = os.path.abspath(path)
    parent, last = os.path.split(folder)
    if os.path.basename(parent) in (KITTI_LABELS, KITTI_IMAGES):
        return [_open_kitti_sequence(os.path.dirname(parent), os.path.splitext(last)[0])]
    labels = display_path(os.path.join(path, KITTI_LABELS))
    try:
        files = sorted(os.listdir(os.path.join(folder, KITTI_LABELS)), key=natural_key)
    except OSError as error:
        hint = ("; label_2 is of KITTI's detection data, which are no sequences: take the tracking data"
                if os.path.isdir(os.path.join(folder, "label_2")) else "")
        raise UserError(f"{labels}: cannot be read: {error.strerror}{hint}") from None
    names = [name[:-4] for name in files if name.endswith(".txt")]
    if not names:
        raise UserError(f"{labels}: no .txt file with labels in it")
    return [_open_kitti_sequence(folder, name) for name in names]


def _open_kitti_sequence(root: str, name: str) -> LabelledSequence:
    table = os.path.join(root, KITTI_LABELS, f"{name}.txt")
    return make_numbered_sequence(table, os.path.join(root, KITTI_IMAGES, name), name, read_kitti(table))


def read_kitti(path: str) -> Labels:
    """Labels of one ``label_02/NNNN.txt``. Raises UserError with file and line."""
    return _read_lines(path, _split_text(path), _parse_kitti)


def _parse_kitti(cells: Sequence[str]) -> LabelRow:
    frame, track, kind = _whole(cells[0]), _whole(cells[1]), cells[2]
    truncated, occluded = _number(cells[3]), _whole(cells[4])
    left, top, right, bottom = map(_number, cells[6:10])
    if kind not in KITTI_CLASSES and kind not in KITTI_IGNORED:
        raise InvalidFile(f"type {kind!r} is not a type of KITTI")
    is_hidden = truncated > KITTI_MAX_TRUNCATED or occluded > KITTI_MAX_OCCLUDED
    name = KITTI_CLASSES.get(kind) or KITTI_IGNORED[kind]
    ignore = kind in KITTI_IGNORED or is_hidden
    return LabelRow(frame, name, left, top, right - left, bottom - top, ignore, UNTRACKED if track < 0 else track)


def read_text(path: str) -> str:
    """Reads a whole text file within limits of size.

    Args:
        path: The file.

    Returns:
        Its text.

    Raises:
        UserError: The file cannot be read, or is not UTF-8.
    """
    try:
        with open_regular(path) as file:
            data = read_limited(file)
        check_head(data[:HEAD_BYTES], (Family.TEXT,), "a text file with labels")
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidFile("not a text file in UTF-8").about(path) from None
    except InvalidFile as error:
        raise error.about(path) from error


def _split_csv(path: str) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of every line of a CSV file that is not empty."""
    lines = csv.reader(read_text(path).splitlines())
    try:
        for cells in lines:
            if cells:
                yield lines.line_num, cells
    except csv.Error as error:
        raise InvalidFile(f"line {lines.line_num}: {error}").about(path) from None


def _split_text(path: str) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of every line that is not blank, split at white space."""
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if line.strip():
            yield number, line.split()


def _read_lines(path: str, lines: Iterable[tuple[int, list[str]]],
                parse: Callable[[Sequence[str]], LabelRow | None], first_frame: int = 0) -> Labels:
    """The labels of a file, whose frames count from ``first_frame``. ``parse`` returns None for lines to be skipped."""
    left_out = LeftOut(display_path(path))
    labels = Labels.of_rows(_parse_lines(path, lines, parse, first_frame, left_out))
    return replace(labels, notes=left_out.lines())


def _parse_lines(path: str, lines: Iterable[tuple[int, list[str]]], parse: Callable[[Sequence[str]], LabelRow | None],
                 first_frame: int, left_out: LeftOut) -> Iterator[LabelRow]:
    for number, cells in lines:
        try:
            row = parse([cell.strip() for cell in cells])
            if row is not None:
                yield check_row(row, first_frame)
        except EmptyBox as error:
            left_out.add(f"object {error}, left out", f"line {number}")
        except (IndexError, ValueError):
            raise InvalidFile(f"line {number}: too few values").about(path) from None
        except InvalidFile as error:
            raise InvalidFile(f"line {number}: {error}").about(path) from None


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        raise InvalidFile(f"{quote_outside(cell)} is not a number") from None


def _whole(cell: str) -> int:
    """A whole number; 7.0 is one, too."""
    try:
        return int(cell)
    except ValueError:
        number = _number(cell)
        if not number.is_integer():
            raise InvalidFile(f"{quote_outside(cell)} is not a whole number") from None
        return int(number)


def _folder_name(path: str) -> str:
    """Last part of the resolved path."""
    return os.path.basename(os.path.realpath(path))

