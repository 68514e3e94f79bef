"""Average precision at IoU 0.5 of one labelled sequence.

Labels are a file ``gt.csv`` with the columns frame, class, x, y, w, h and ignore; frames count from 0, boxes are in the
video's pixels. A box with ``ignore`` 1 is neither a match nor a miss, and a detection that lies on it is no false
positive; one of class ``any`` stands for every class.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Sequence

import numpy as np

from ..detection.detections import Detections
from ..errors import UserError

VIDEO, LABELS = "video.mp4", "gt.csv"
COLUMNS = ("frame", "class", "x", "y", "w", "h", "ignore")
ANY = "any"
ONE_CLASS = {"truck": "car", "bus": "car"}
"""Labels do not tell these apart."""
LEAST_IOU = LEAST_COVER = 0.5
RECALLS = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True)
class Labels:
    """frame: int64 [n]. boxes: float64 [n, 4], x0 y0 x1 y1. ignore: bool [n]. names: the class of each."""

    frame: np.ndarray
    boxes: np.ndarray
    ignore: np.ndarray
    names: np.ndarray

    @property
    def scored(self) -> list[str]:
        """The classes that are scored: those of boxes that are not ignored."""
        return sorted(set(self.names[~self.ignore].tolist()))


def read_labels(path: Path) -> Labels:
    """Raises UserError with the line that is wrong."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise UserError(f"{path}: no column {missing[0]}; it needs {', '.join(COLUMNS)}")
            rows = [_checked(row, f"{path}, line {reader.line_num}") for row in reader]
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not a table of labels: {error}") from None
    if all(ignore for *_, ignore, _ in rows):
        raise UserError(f"{path}: no box in it counts")
    frame, x, y, w, h, ignore, names = zip(*rows)
    boxes = np.stack([x, y, np.add(x, w), np.add(y, h)], axis=1)
    return Labels(np.array(frame), boxes, np.array(ignore), np.array(names))


def _checked(row: dict, place: str) -> tuple[int, float, float, float, float, bool, str]:
    try:
        x, y, w, h = (float(row[name]) for name in "xywh")
        frame, ignore = int(row["frame"]), int(row["ignore"])
    except (TypeError, ValueError):
        raise UserError(f"{place}: not a label: frame and ignore are whole numbers, x, y, w and h numbers") from None
    if not (all(map(math.isfinite, (x, y, w, h))) and w > 0 and h > 0 and frame >= 0 and ignore in (0, 1)):
        raise UserError(f"{place}: not a label: frame is at least 0, w and h are above 0, ignore is 0 or 1")
    return frame, x, y, w, h, bool(ignore), row["class"]


def mean_average_precision(found: Sequence[Detections], names: Sequence[str], labels: Labels) -> float:
    """0 to 1, the mean over the scored classes. found: one for each frame, from 0. names: of the class numbers."""
    one_class = np.array([ONE_CLASS.get(name, name) for name in names])
    return float(np.mean([average_precision(found, one_class == name, labels, name) for name in labels.scored]))


def average_precision(found: Sequence[Detections], wanted_ids: np.ndarray, labels: Labels, name: str) -> float:
    """Of one class. wanted_ids: bool [classes], those that count as ``name``. Labels of later frames are left out.

    Within a frame the best detection comes first and takes the free box that it overlaps most; one that finds none and
    lies on an ignored box is dropped. Precision is the best one at this recall or above, averaged over 101 recalls.
    """
    scores, hits, there = [], [], 0
    for frame, detections in enumerate(found):
        here = (labels.frame == frame) & np.isin(labels.names, (name, ANY))
        wanted, ignored = labels.boxes[here & ~labels.ignore], labels.boxes[here & labels.ignore]
        chosen = wanted_ids[detections.class_ids]
        match = _match(detections.boxes[chosen], wanted, ignored)
        scores.append(detections.scores[chosen][match >= 0])
        hits.append(match[match >= 0])
        there += len(wanted)
    hit = np.concatenate(hits)[np.argsort(-np.concatenate(scores), kind="stable")]
    if not (there and len(hit)):
        return 0.0
    right = np.cumsum(hit)
    precision = np.maximum.accumulate((right / np.arange(1, len(hit) + 1))[::-1])[::-1]
    at = np.searchsorted(right / there, RECALLS)
    return float(np.mean(np.where(at < len(hit), precision[np.minimum(at, len(hit) - 1)], 0.0)))


def _match(boxes: np.ndarray, wanted: np.ndarray, ignored: np.ndarray) -> np.ndarray:
    """int64 [n]: 1 for a hit, 0 for a false positive, -1 for a detection that does not count. boxes: best first."""
    overlap, area = _intersection(boxes, wanted), _area(boxes)
    iou = overlap / (area[:, None] + _area(wanted) - overlap)
    on_ignored = (_intersection(boxes, ignored) >= LEAST_COVER * area[:, None]).any(axis=1)
    match = np.where(on_ignored, -1, 0)
    for number in range(len(boxes) if len(wanted) else 0):
        best = iou[number].argmax()
        if iou[number, best] >= LEAST_IOU:
            match[number] = 1
            iou[:, best] = -1.0
    return match


def _area(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def _intersection(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """float64 [n, m]."""
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    return np.clip(high - low, 0.0, None).prod(axis=2)
