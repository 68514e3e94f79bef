"""Cases of labels (CSV, MOTChallenge, KITTI, COCO) and of parameters."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from regionmask_ros.core.option_table import OPTIONS
from regionmask_ros.core.options import Value
from regionmask_ros.datasets import open_dataset, read_labels
from regionmask_ros.pipeline.settings import make_settings

from .kind import Files, Kind
from .mutations import INTEGERS, NUMBER_TEXTS, TEXTS, damage_text, damage_tree

_CSV = "frame,class,x,y,w,h,ignore,track\n" + "".join(
    f"{frame},{name},{10.5 + frame},20,30.25,40,{frame % 2},{frame}\n"
    for frame, name in enumerate(("person", "car", "any", "bus", "person")))
_MOT = "".join(f"{frame},{track},{100 + frame},50,20,40,1,{kind},0.8\n" for frame, track, kind in (
    (1, 1, 1), (1, 2, 3), (2, 1, 1), (3, 4, 8), (4, 4, 7)))
_KITTI = "".join(f"{frame} {track} {kind} 0 1 -1.5 100.0 50.5 150.0 90.0 1 1 1 0 0 10 0\n" for frame, track, kind in (
    (0, 1, "Car"), (0, 2, "Pedestrian"), (1, -1, "DontCare"), (2, 3, "Van")))
_COCO: dict[str, Any] = {
    "images": [{"id": number, "file_name": "000000.png", "frame_id": number, "width": 32, "height": 24}
               for number in range(3)],
    "annotations": [{"id": number, "image_id": number % 3, "category_id": 1 + number % 2, "bbox": [1, 2.5, 10, 8],
                     "iscrowd": 0, "track_id": number} for number in range(5)],
    "categories": [{"id": 1, "name": "person"}, {"id": 2, "name": "car"}],
}


@cache
def _picture() -> bytes:
    return bytes(cv2.imencode(".png", np.full((24, 32, 3), 90, np.uint8))[1])


def _make_csv(rng: random.Random) -> Files:
    return {"gt.csv": damage_text(rng, _CSV), "0.png": _picture()}


def _make_mot(rng: random.Random) -> Files:
    return {"gt/gt.txt": damage_text(rng, _MOT), "img1/000001.png": _picture()}


def _make_kitti(rng: random.Random) -> Files:
    return {"label_02/0000.txt": damage_text(rng, _KITTI, " "), "image_02/0000/000000.png": _picture()}


def _make_coco(rng: random.Random) -> Files:
    tree: Any = _COCO
    if rng.random() < 0.3:
        tree = {**tree, "images": [{**image, "video_id": image["id"] % 2} for image in tree["images"]]}
    return {"result.json": damage_tree(rng, tree), "images/000000.png": _picture()}


def _read_csv(_: Files, folder: Path) -> None:
    _read("csv", folder, "gt.csv")


def _read_mot(_: Files, folder: Path) -> None:
    _read("mot", folder, "gt/gt.txt")


def _read_kitti(_: Files, folder: Path) -> None:
    _read("kitti", folder, "label_02/0000.txt")


def _read_coco(_: Files, folder: Path) -> None:
    _read("coco", folder, "result.json")


def _read(kind: str, folder: Path, file: str) -> None:
    for sequence in open_dataset(f"{kind}:{folder}"):
        with sequence.open() as source:
            assert source.size_wh == (32, 24)
        for frame in sequence.labels.frames:
            sequence.labels.at(frame).of_class("person")
    read_labels(f"{kind}:{folder / file}")


def _make_options(rng: random.Random) -> dict[str, Any]:
    """Texts for some options, as the command line and launch files give them, or values of ROS types."""
    return {name: _draw_value(rng, OPTIONS[name].choices)
            for name in rng.sample(list(OPTIONS), rng.randint(1, 4))}


def _draw_value(rng: random.Random, choices: tuple[str, ...]) -> Any:
    source = rng.randrange(7)
    if source == 0 and choices:
        return rng.choice(choices)
    if source <= 2:
        return rng.choice(NUMBER_TEXTS)
    if source == 3:
        return rng.choice(TEXTS)
    if source == 4:
        return rng.choice((*INTEGERS, -1, -2**63, 0.5, 1e308, float("inf"), float("-inf"), float("nan"), True, False))
    if source == 5:
        return [rng.choice((*TEXTS, *NUMBER_TEXTS)) for _ in range(rng.randrange(4))]
    return rng.choice(_WORDS)


_WORDS = ("640x480", "0x0", "99999999999x32", "32x", "x", "320X192", "person:0.5", "person:nan", "person:1e309",
          "a:b:c", "3x2", "0x3", "1x999999999999", "static", "preset+static", "balanced", "cpu", "auto", "person,car",
          "person:" + "9" * 5000, "9" * 5000 + "x32")


def _read_options(case: dict[str, Any], _: Path) -> None:
    values: dict[str, Value] = {name: option.default for name, option in OPTIONS.items()}
    values |= {name: OPTIONS[name].parse(value) for name, value in case.items()}
    settings = make_settings(values)
    settings.input_wh((640, 480))


KINDS = (
    Kind("labels, CSV", 2, _make_csv, _read_csv),
    Kind("labels, MOTChallenge", 2, _make_mot, _read_mot),
    Kind("labels, KITTI", 2, _make_kitti, _read_kitti),
    Kind("labels, COCO", 2, _make_coco, _read_coco),
    Kind("parameters", 4, _make_options, _read_options),
)
