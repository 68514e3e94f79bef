"""COCO's JSON format, as COCO itself and labeling tools (CVAT, Label Studio, Roboflow, FiftyOne) write it.

``images``, ``annotations`` and ``categories`` are in one file. Images are ordered by ``frame_id`` (or ``frame_index``)
if all have one, else by file name, in natural order. The images with a ``video_id`` form one sequence per video, all
others one sequence. Ids are numbers or texts: 7, 7.0 and "7" are the same. Boxes are x, y, width, height in pixels.
Objects with ``iscrowd`` (or ``ignore``) 1 are ignored: neither a match nor a miss counts. ``track_id`` or
``instance_id``, also in ``attributes``, is the track. Class names are used as they are; vehicles are not merged.

Annotations without a box that has a size, and images without a file, are left out and counted.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..core.detections import UNTRACKED
from ..errors import InvalidFile, UserError, quote_outside
from ..files.paths import NaturalKey, display_path
from ..sources.images import ImageFiles
from .formats import read_text
from .image_places import LABEL_FOLDERS, LONGEST_NAME, ImagePlaces, name_key
from .labels import EmptyBox, LabelledSequence, LabelRow, Labels, check_row, check_scored
from .left_out import LeftOut

_FIRST_NAMED_TRACK = 1 << 40
"""Tracks that are named by texts get numbers from here on, which no tool writes."""


@dataclass(frozen=True)
class _Image:
    """An entry of ``images``: its id, where it is in the list, its file's name, its video and its frame number."""

    key: str
    number: int
    name: str
    video: str
    frame: float | None

    @property
    def order(self) -> NaturalKey:
        return name_key(self.name)


@dataclass(frozen=True)
class _Content:
    """A file: its images by sequence, in order; the objects by the images' ids; and what is left out."""

    groups: dict[str, list[_Image]]
    rows: dict[str, list[LabelRow]]
    notes: tuple[str, ...]


def open_coco(path: str, images: str = "") -> list[LabelledSequence]:
    """Opens all sequences of a JSON file.

    Args:
        path: The JSON file, or a folder with exactly one.
        images: Folder of the images; empty: the usual places near the JSON file.

    Returns:
        One sequence per video, or one of all images.

    Raises:
        UserError: The file is missing or damaged, or no image is there.
    """
    path = _find_json(path)
    content = _read(path)
    if images and not os.path.isdir(images):
        raise UserError(f"--images {display_path(images)}: no such folder")
    places = ImagePlaces(path, images)
    return [_sequence(path, video, group, content, places) for video, group in content.groups.items()]


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
    content = _read(path)
    if len(content.groups) != 1:
        raise InvalidFile(f"{len(content.groups)} videos in it, but labels for one sequence are needed").about(path)
    (group,) = content.groups.values()
    return _labels(group, content)


def _find_json(path: str) -> str:
    if not os.path.isdir(path):
        return path
    files: list[str] = []
    for folder in (path, *(os.path.join(path, name) for name in LABEL_FOLDERS)):
        if not files and os.path.isdir(folder):
            files = [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if name.endswith(".json")]
    if len(files) != 1:
        raise UserError(f"{display_path(path)}: {len(files)} JSON files in this folder: give the one with the labels")
    return files[0]


def _read(path: str) -> _Content:
    left_out = LeftOut(display_path(path))
    try:
        content = _load(path)
        images = list(_images(_items(content, "images"), left_out))
        if not images:
            reasons = "; ".join(left_out.lines())
            raise InvalidFile(f"no image in it{reasons and f' ({reasons})'}")
        names = dict(_categories(_items(content, "categories"), left_out))
        rows = _rows(_items(content, "annotations"), {image.key for image in images}, names, left_out)
    except InvalidFile as error:
        raise error.about(path) from None
    return _Content(_groups(images), rows, left_out.lines())


def _load(path: str) -> Mapping[str, Any]:
    try:
        content = json.loads(read_text(path))
    except RecursionError:
        raise InvalidFile("nested too deeply") from None
    except json.JSONDecodeError as error:
        hint = ("; labels of YOLO, Pascal VOC and other formats that are no JSON: export or convert them as COCO"
                if not path.lower().endswith(".json") else "")
        raise InvalidFile(f"not a COCO JSON file: {error}{hint}") from None
    except ValueError:
        # Python's own text names a function of Python.
        raise InvalidFile("not a COCO JSON file: a number in it has thousands of digits") from None
    tool = _foreign_format(content)
    if tool:
        raise InvalidFile(f"{tool}, not COCO: export or convert it as COCO")
    if not isinstance(content, dict):
        raise InvalidFile("not a COCO JSON file: its content is not an object with images, annotations and categories")
    return content


def _foreign_format(content: Any) -> str:
    """Names what is no COCO file but another well-known JSON file of labels; empty for anything else."""
    first = content[0] if isinstance(content, list) and content else None
    if isinstance(first, dict):
        if "data" in first:
            return "Label Studio's own JSON"
        if {"image_id", "category_id", "score"} <= first.keys():
            return "a list of results, which has no names of images and categories"
        return "CreateML's JSON" if {"image", "annotations"} <= first.keys() else ""
    if not isinstance(content, dict) or "images" in content:
        return ""
    if "shapes" in content and "imagePath" in content:
        return "LabelMe's own JSON of one image"
    is_via = "_via_img_metadata" in content or any(
        isinstance(one, dict) and {"filename", "regions"} <= one.keys() for one in content.values())
    return "the own JSON of the VGG Image Annotator (VIA)" if is_via else ""


def _items(content: Mapping[str, Any], key: str) -> list[Any]:
    if key not in content:
        raise InvalidFile(f"not a COCO JSON file: no {key!r}")
    if not isinstance(content[key], list):
        raise InvalidFile(f"not a COCO JSON file: {key!r} is not a list")
    items: list[Any] = content[key]
    return items


def _objects(entries: Sequence[Any]) -> Iterator[Mapping[str, Any]]:
    """The entries of a list; what is no object counts as an empty one."""
    for entry in entries:
        yield entry if isinstance(entry, dict) else {}


def _key(value: Any) -> str | None:
    """An id as a text: 7, 7.0, "7" and "7.0" are the same; None for what is no id."""
    if isinstance(value, str):
        text = value.strip()
        whole, point, zeros = text.partition(".")
        return whole if point and whole.isdecimal() and not zeros.strip("0") else text or None
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else str(value)
    return str(value) if type(value) is int else None


def _categories(entries: Sequence[Any], left_out: LeftOut) -> Iterator[tuple[str, str]]:
    for number, entry in enumerate(_objects(entries)):
        key, name = _key(entry.get("id")), _key(entry.get("name"))
        if key is None or name is None:
            left_out.add("category without id or name", f"category {number}")
        else:
            yield key, str(entry["name"])


def _images(entries: Sequence[Any], left_out: LeftOut) -> Iterator[_Image]:
    seen: set[str] = set()
    for number, entry in enumerate(_objects(entries)):
        key, name = _key(entry.get("id")), entry.get("file_name")
        place = f"image {number}"
        if key is None or not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME:
            left_out.add("image without id or file_name", place)
        elif key in seen:
            left_out.add("image with the id of another one", f"{place} (id {_short(key)})")
        else:
            seen.add(key)
            yield _Image(key, number, name, _key(entry.get("video_id")) or "",
                         _number(entry.get("frame_id", entry.get("frame_index"))))


def _groups(images: Sequence[_Image]) -> dict[str, list[_Image]]:
    """The images of each video in their order; those without a video under the name ""."""
    groups: dict[str, list[_Image]] = defaultdict(list)
    for image in images:
        groups[image.video].append(image)
    for group in groups.values():
        has_frames = all(image.frame is not None for image in group)
        group.sort(key=lambda image: (image.frame if has_frames and image.frame is not None else 0.0, image.order))
    return groups


class _Skipped(Exception):
    """An annotation cannot be used; the message is the reason, the same for all of its kind."""


def _rows(entries: Sequence[Any], images: set[str], names: Mapping[str, str], left_out: LeftOut
          ) -> dict[str, list[LabelRow]]:
    """The objects by the id of their image. Frame numbers are added later, when the images are known."""
    rows: dict[str, list[LabelRow]] = defaultdict(list)
    track_of = _Tracks()
    for number, entry in enumerate(_objects(entries)):
        key = _key(entry.get("id"))
        place = f"annotation {number}" + (f" (id {_short(key)})" if key is not None else "")
        try:
            image = _key(entry.get("image_id"))
            if image is None or image not in images:
                raise _Skipped("of an image that is not in the file")
            row = _row(entry, names, track_of)
            rows[image].append(row)
            if row.ignore:
                left_out.add("crowd or object to be ignored, not scored", place)
        except (_Skipped, EmptyBox) as error:
            left_out.add(f"annotation {error}, left out", place)
        except InvalidFile as error:
            left_out.add("impossible annotation, left out", f"{place}: {error}")
    return rows


def _row(entry: Mapping[str, Any], names: Mapping[str, str], track_of: Callable[[Any], int]) -> LabelRow:
    category = _key(entry.get("category_id"))
    if category is None or category not in names:
        raise _Skipped("of a category that is not in the file")
    box = entry.get("bbox")
    if not box:
        kind = "a segmentation as RLE" if isinstance(entry.get("segmentation"), dict) else "no bbox"
        raise _Skipped(f"without a box ({kind})")
    numbers = [_number(side) for side in box] if isinstance(box, list) else []
    if len(numbers) != 4 or None in numbers:
        raise _Skipped("with a box that is not four numbers")
    x, y, width, height = (float(number) for number in numbers if number is not None)
    ignore = _number(entry.get("iscrowd")) == 1.0 or _number(entry.get("ignore")) == 1.0
    return check_row(LabelRow(0, names[category], x, y, width, height, ignore, track_of(entry)))


class _Tracks:
    """Numbers of tracks; those that are named by texts are numbered."""

    def __init__(self) -> None:
        self._named: dict[str, int] = {}

    def __call__(self, entry: Mapping[str, Any]) -> int:
        attributes = entry.get("attributes")
        for place in (entry, attributes if isinstance(attributes, dict) else {}):
            for name in ("track_id", "instance_id"):
                key = _key(place.get(name))
                if key is not None:
                    is_number = key.removeprefix("-").isdecimal() and len(key) < 4000
                    return int(key) if is_number else self._named.setdefault(key, _FIRST_NAMED_TRACK + len(self._named))
        return UNTRACKED


def _number(value: Any) -> float | None:
    """A number, also written as a text or as true and false; None for anything else."""
    if not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _short(key: str) -> str:
    return key if len(key) <= 40 and key.isprintable() else quote_outside(key)


def _sequence(path: str, video: str, images: Sequence[_Image], content: _Content, places: ImagePlaces,
              ) -> LabelledSequence:
    found = [(image, places.find(image.name)) for image in images]
    files = {image: file for image, file in found if file is not None}
    missing = [f"{quote_outside(image.name)} (image {image.number})" for image in images if image not in files]
    if not files:
        raise InvalidFile(f"none of its {len(images)} images is there, such as {missing[0]} (looked in "
                          f"{_in_words(places)}): give their folder with --images DIR").about(path)
    _check_different(path, files)
    labels = _labels(list(files), content)
    check_scored(path, labels)
    stem = os.path.splitext(os.path.basename(path))[0]
    name, paths = f"{stem}-{video}" if video else stem, list(files.values())
    return LabelledSequence(name, labels, lambda reading=None: ImageFiles(paths, name, reading),
                            (path, *map(os.path.dirname, paths)), labels.notes,
                            tuple(f"{display_path(path)}: {one}" for one in missing))


def _in_words(places: ImagePlaces) -> str:
    return ", ".join(map(display_path, places.folders[:4]))


def _check_different(path: str, files: Mapping[_Image, str]) -> None:
    """Raises UserError if two names lead to one file: then at least one of the two is another image's."""
    owner: dict[str, str] = {}
    for image, file in files.items():
        if owner.setdefault(file, image.name) != image.name:
            raise InvalidFile(f"the images {quote_outside(owner[file])} and {quote_outside(image.name)} are both found "
                              f"as {display_path(file)}: give the folder that has both with --images DIR").about(path)


def _labels(images: Sequence[_Image], content: _Content) -> Labels:
    labels = Labels.of_rows((replace(row, frame=frame) for frame, image in enumerate(images)
                             for row in content.rows.get(image.key, ())), merge_vehicles=False)
    return replace(labels, notes=content.notes)
