"""COCO json: ``images``, ``annotations`` and ``categories`` in one file.

Images are taken in the order of ``frame_id`` (or ``frame_index``) and ``id``; those with a ``video_id`` make one
sequence a video, all others one together. Boxes are x, y, width, height in pixels; ``iscrowd`` (or ``ignore``) 1 means
ignored; ``track_id`` or ``instance_id`` is the track. Class names are used as they stand: nothing is merged.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from ..core.detections import UNTRACKED
from ..errors import InvalidFile, UserError
from ..files.paths import check_utf8, display_path
from ..sources.images import ImageFiles
from .labels import LabelledSequence, LabelRow, Labels, checked
from .text_table import read_text

IMAGE_FOLDERS = ("", "images", "img", "data")
"""Where an image may lie, seen from the folder of the json file."""

FORMAT_ERRORS = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, InvalidFile)


def sequences(path: str) -> list[LabelledSequence]:
    """One sequence for each video, or one of all images. ``path``: the json file, or a folder that holds just one."""
    path = _json_file(path)
    try:
        content = _load(path)
        groups = _groups(content["images"])
        found = [_sequence(path, name, images, content) for name, images in groups.items()]
    except FORMAT_ERRORS as error:
        raise _unreadable(path, error) from None
    if not found:
        raise InvalidFile("no image in it").about(path)
    return found


def read_labels(path: str) -> Labels:
    """Labels of a file with one sequence: frame n is its n-th image. Raises UserError."""
    path = _json_file(path)
    try:
        content = _load(path)
        groups = _groups(content["images"])
        if len(groups) != 1:
            raise InvalidFile(f"{len(groups)} videos in it; labels for one sequence are needed")
        return _labels(next(iter(groups.values())), content)
    except FORMAT_ERRORS as error:
        raise _unreadable(path, error) from None


def _load(path: str) -> Mapping[str, Any]:
    try:
        return json.loads(read_text(path))
    except RecursionError:
        raise InvalidFile("nested too deeply") from None


def _unreadable(path: str, error: Exception) -> UserError:
    if isinstance(error, InvalidFile):
        return error.about(path)
    what = f"no {error}" if isinstance(error, KeyError) else str(error)
    return InvalidFile(f"not COCO json: {what}").about(path)


def _json_file(path: str) -> str:
    if not os.path.isdir(path):
        return path
    files = [name for name in sorted(os.listdir(path)) if name.endswith(".json")]
    if len(files) != 1:
        raise UserError(f"{display_path(path)}: {len(files)} json files in this folder; name the one with the labels")
    return os.path.join(path, files[0])


def _groups(images: list[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    groups: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for image in images:
        groups[str(image["video_id"]) if "video_id" in image else ""].append(image)
    for group in groups.values():
        group.sort(key=lambda image: (int(image.get("frame_id", image.get("frame_index", 0))), image["id"]))
    return groups


def _sequence(path: str, video: str, images: list[Mapping[str, Any]], content: Mapping[str, Any]) -> LabelledSequence:
    labels = _labels(images, content)
    if not labels.classes:
        raise InvalidFile("no object is labelled that could be scored")
    folder = os.path.dirname(os.path.abspath(path))
    files = [_image(folder, str(image["file_name"])) for image in images]
    stem = os.path.splitext(os.path.basename(path))[0]
    name = f"{stem}-{video}" if video else stem
    return LabelledSequence(name, labels, lambda: ImageFiles(files, name), (path, *{os.path.dirname(f) for f in files}))


def _image(folder: str, name: str) -> str:
    """The file of an image, which must lie below the json's folder."""
    if os.path.isabs(name) or ".." in name.split("/"):
        raise InvalidFile(f"image {name!r} does not lie below the json's folder")
    for between in IMAGE_FOLDERS:
        file = os.path.join(folder, between, name)
        if os.path.isfile(file):
            check_utf8(file)
            return file
    raise InvalidFile(f"image {name!r} is neither beside it nor in {', '.join(filter(None, IMAGE_FOLDERS))}")


def _labels(images: list[Mapping[str, Any]], content: Mapping[str, Any]) -> Labels:
    names = {category["id"]: str(category["name"]) for category in content["categories"]}
    frames = {image["id"]: frame for frame, image in enumerate(images)}
    rows = []
    for number, one in enumerate(content["annotations"]):
        if one["image_id"] not in frames:
            continue
        if one["category_id"] not in names:
            raise InvalidFile(f"annotation {number} is of category {one['category_id']}, which is not in the file")
        ignore = bool(one.get("iscrowd", 0)) or bool(one.get("ignore", 0))
        track = int(one.get("track_id", one.get("instance_id", UNTRACKED)))
        x, y, width, height = map(float, one["bbox"])
        rows.append(checked(LabelRow(
            frames[one["image_id"]], names[one["category_id"]], x, y, width, height, ignore, track,
        )))
    return Labels.of_rows(rows, merge_vehicles=False)
