"""Names of classes: those of COCO, of a text file, or of an exporter's metadata."""

from __future__ import annotations

import ast
import json
import os
from collections.abc import Mapping
from typing import Any

from ..errors import InvalidFile, UserError
from ..files.safe_read import open_regular, read_limited

MAX_CLASSES = 10_000
_MAX_TEXT, _MAX_NAME = 1 << 16, 100
_MAX_LIST_BYTES = 1 << 20

# The names by their number in COCO's annotations, from 1; eleven of the 91 were never used.
_COCO_91 = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "street sign", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow",
    "elephant", "bear", "zebra", "giraffe", "hat", "backpack", "umbrella", "shoe", "eye glasses", "handbag", "tie",
    "suitcase", "frisbee", "skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard",
    "surfboard", "tennis racket", "bottle", "plate", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana",
    "apple", "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch",
    "potted plant", "bed", "mirror", "dining table", "window", "desk", "toilet", "door", "tv", "laptop", "mouse",
    "remote", "keyboard", "cell phone", "microwave", "oven", "toaster", "sink", "refrigerator", "blender", "book",
    "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush", "hair brush",
)
_UNUSED = frozenset((
    "street sign", "hat", "shoe", "eye glasses", "plate", "mirror", "window", "desk", "door", "blender", "hair brush"))
COCO = tuple(name for name in _COCO_91 if name not in _UNUSED)
"""The 80 classes of COCO that are in use."""

_BY_COUNT = {
    80: COCO,
    90: _COCO_91[:-1],
    91: ("background", *_COCO_91[:-1]),
    92: ("background", *_COCO_91),
}
COCO_WORD = "coco"


def choose_labels(wanted: str, metadata: Mapping[str, str], num_classes: int) -> tuple[tuple[str, ...], str]:
    """Chooses the names of a network's classes.

    Args:
        wanted: "coco", a text file with one name on each line, or empty: metadata, else COCO where the number fits.
        metadata: Texts in the network's file.
        num_classes: Of the network's head.

    Returns:
        The names, and a line for the user where they are a guess, else an empty text.

    Raises:
        UserError: The file cannot be used, or the number of names does not fit.
    """
    if wanted == COCO_WORD:
        if num_classes not in _BY_COUNT:
            raise UserError(f"--labels coco: COCO has 80 classes, this network has {num_classes}: give a file with "
                            "one name on each line")
        return _BY_COUNT[num_classes], ""
    if wanted:
        names = read_labels(wanted)
        if len(names) != num_classes:
            raise UserError(f"{wanted}: {len(names)} names, but the network has {num_classes} classes")
        return names, ""
    names = names_in_metadata(metadata)
    if len(names) == num_classes:
        return names, ""
    if num_classes in _BY_COUNT:
        return _BY_COUNT[num_classes], f"labels: those of COCO, because there are {num_classes} classes"
    return (tuple(f"class_{index}" for index in range(num_classes)),
            f"labels: class_0 to class_{num_classes - 1}; give their names with --labels FILE")


def read_labels(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Reads a text file with one name on each line. Empty lines at the end do not count.

    Args:
        path: The file, UTF-8.

    Returns:
        The names.

    Raises:
        UserError: The file cannot be used.
    """
    try:
        with open_regular(path) as file:
            return _parse_lines(read_limited(file))
    except InvalidFile as error:
        raise error.about(path) from error


def _parse_lines(data: bytes) -> tuple[str, ...]:
    if len(data) > _MAX_LIST_BYTES:
        raise InvalidFile("too large for names of classes")
    try:
        lines = data.decode("utf-8-sig").rstrip().splitlines()
    except UnicodeDecodeError:
        raise InvalidFile("not a text in UTF-8") from None
    names = tuple(line.strip() for line in lines)
    reason = check_names(names)
    if reason:
        raise InvalidFile(f"{reason}: one name on each line is needed")
    return names


def check_names(names: tuple[str, ...]) -> str:
    """What is wrong with names of classes, or an empty text."""
    if not 1 <= len(names) <= MAX_CLASSES:
        return f"{len(names)} names"
    for line, name in enumerate(names, 1):
        if not name or len(name) > _MAX_NAME or not name.isprintable():
            return f"name {line} is empty, too long or not printable"
    return ""


def names_in_metadata(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """The names that Ultralytics and others write into a file: a list, or names by number; empty if there are none."""
    for key in ("names", "labels", "classes"):
        names = _as_names(_parse_literal(metadata.get(key, "")))
        if names and not check_names(names):
            return names
    return ()


def _parse_literal(text: str) -> Any:
    if not text or len(text) > _MAX_TEXT:
        return None
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
    return None


def _as_names(value: Any) -> tuple[str, ...]:
    if isinstance(value, dict):
        try:
            numbered = {int(key): name for key, name in value.items()}
        except (TypeError, ValueError):
            return ()
        if sorted(numbered) != list(range(len(numbered))):
            return ()
        value = [numbered[index] for index in range(len(numbered))]
    if isinstance(value, list | tuple) and all(isinstance(name, str) for name in value):
        return tuple(name.strip() for name in value)
    return ()
