"""Data sets in COCO's JSON format: ``images``, ``annotations`` and ``categories`` in one file.

Images are ordered by ``frame_id`` (or ``frame_index``) and ``id``. The images with a ``video_id`` form one sequence per
video, all others one sequence. Boxes are x, y, width, height in pixels. ``iscrowd`` (or ``ignore``) 1 means ignored.
``track_id`` or ``instance_id`` is the track. Class names are used as they are; vehicles are not merged.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from ..core.detections import UNTRACKED
from ..errors import InvalidFile, UserError
from ..files.paths import check_utf8, display_path
from ..sources.images import ImageFiles
from .labels import LabelledSequence, LabelRow, Labels, check_row, check_scored
from .text_formats import read_text

IMAGE_FOLDERS = ("", "images", "img", "data")
"""Folders where an image may be, relative to the JSON file's folder."""


def open_coco(path: str) -> list[LabelledSequence]:
    """Opens all sequences of a JSON file.

    Args:
        path: The JSON file, or a folder with exactly one.

    Returns:
        One sequence per video, or one of all images.

    Raises:
        UserError: Files are missing or damaged.
    """
    path = _find_json(path)
    with _translate_errors(path):
        content = _load(path)
        return [_sequence(path, name, images, content) for name, images in _groups(content["images"]).items()]


def read_coco(path: str) -> Labels:
    """Reads the labels of a file with one sequence. Frame n is its n-th image.

    Args:
        path: The JSON file, or a folder with exactly one.

    Returns:
        The labels.

    Raises:
        UserError: The file is missing or damaged, or has several sequences.
    """
    path = _find_json(path)
    with _translate_errors(path):
        content = _load(path)
        return _labels(_only_group(_groups(content["images"])), content)


def _load(path: str) -> Any:
    try:
        return json.loads(read_text(path))
    except RecursionError:
        raise InvalidFile("nested too deeply") from None


@contextlib.contextmanager
def _translate_errors(path: str) -> Iterator[None]:
    """Turns what damaged content raises inside the block into a UserError."""
    try:
        yield
    except InvalidFile as error:
        raise error.about(path) from None
    except KeyError as error:
        raise InvalidFile(f"not a COCO JSON file: no {error}").about(path) from None
    except (TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise InvalidFile(f"not a COCO JSON file: {error}").about(path) from None


def _find_json(path: str) -> str:
    if not os.path.isdir(path):
        return path
    files = [name for name in sorted(os.listdir(path)) if name.endswith(".json")]
    if len(files) != 1:
        raise UserError(f"{display_path(path)}: {len(files)} JSON files in this folder: give the one with the labels")
    return os.path.join(path, files[0])


def _groups(images: list[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """The images of each video in their order; those without a video under the name ""."""
    groups: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for image in images:
        groups[str(image["video_id"]) if "video_id" in image else ""].append(image)
    if not groups:
        raise InvalidFile("no image in it")
    for group in groups.values():
        group.sort(key=lambda image: (int(image.get("frame_id", image.get("frame_index", 0))), image["id"]))
    return groups


def _only_group(groups: dict[str, list[Mapping[str, Any]]]) -> list[Mapping[str, Any]]:
    if len(groups) != 1:
        raise InvalidFile(f"{len(groups)} videos in it, but labels for one sequence are needed")
    return next(iter(groups.values()))


def _sequence(path: str, video: str, images: list[Mapping[str, Any]], content: Mapping[str, Any]) -> LabelledSequence:
    labels = _labels(images, content)
    check_scored(path, labels)
    folder = os.path.dirname(os.path.abspath(path))
    files = [_find_image(folder, str(image["file_name"])) for image in images]
    stem = os.path.splitext(os.path.basename(path))[0]
    name = f"{stem}-{video}" if video else stem
    return LabelledSequence(name, labels, lambda: ImageFiles(files, name), (path, *{os.path.dirname(f) for f in files}))


def _find_image(folder: str, name: str) -> str:
    """The file of an image, which must be in the JSON file's folder or below it."""
    if os.path.isabs(name) or ".." in name.split("/"):
        raise InvalidFile(f"image {name!r} is outside of the folder of the JSON file")
    for subfolder in IMAGE_FOLDERS:
        file = os.path.join(folder, subfolder, name)
        if os.path.isfile(file):
            check_utf8(file)
            return file
    subfolders = ", ".join(filter(None, IMAGE_FOLDERS))
    raise InvalidFile(f"image {name!r} is neither in the JSON file's folder nor in its subfolders {subfolders}")


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
        rows.append(check_row(LabelRow(
            frames[one["image_id"]], names[one["category_id"]], x, y, width, height, ignore, track,
        )))
    return Labels.of_rows(rows, merge_vehicles=False)
