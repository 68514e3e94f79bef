"""Objects that people marked in pictures, whatever file they were written in.

A sequence of pictures with the labels that belong to it.
"""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from ..core.detections import UNTRACKED
from ..errors import InvalidFile, UserError
from ..files.paths import display_path
from ..sources import Source, open_source

ANY = "any"
"""Class of a region in which detections of every class are left out of the count."""

VEHICLES = ("car", "truck", "bus")
"""Sources put vans and some larger vehicles under car: a detection of any of these counts as a car."""

MAX_FRAMES = 1_000_000
LARGEST = 1e6
"""Pixels. No picture is that wide; a box beyond it is a damaged number."""


@dataclass(frozen=True)
class LabelRow:
    """One object in one frame. x, y: upper left corner in picture pixels.

    ignore: neither a match nor a miss is counted, and a detection that lies on it is not a false one.
    track: the object's number over the frames, UNTRACKED when there is none.
    """

    frame: int
    name: str
    x: float
    y: float
    width: float
    height: float
    ignore: bool = False
    track: int = UNTRACKED


@dataclass(frozen=True)
class FrameLabels:
    """n objects of one frame.

    boxes: float64 [n, 4], x0 y0 x1 y1 in picture pixels. names: the class of each. ignore: bool [n]. tracks: int64 [n].
    """

    boxes: np.ndarray
    names: tuple[str, ...]
    ignore: np.ndarray
    tracks: np.ndarray

    @classmethod
    def of_rows(cls, rows: Iterable[LabelRow]) -> FrameLabels:
        rows = list(rows)
        boxes = np.array([(r.x, r.y, r.x + r.width, r.y + r.height) for r in rows], np.float64).reshape(-1, 4)
        return cls(
            boxes, tuple(r.name for r in rows), np.array([r.ignore for r in rows], bool),
            np.array([r.track for r in rows], np.int64),
        )

    def of_class(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """(boxes to be found, boxes to be ignored) for a class, float64 [., 4] each; regions of ``any`` are ignored."""
        mine = np.array([one == name for one in self.names], bool)
        anywhere = np.array([one == ANY for one in self.names], bool)
        return self.boxes[mine & ~self.ignore], self.boxes[(mine & self.ignore) | anywhere]


NO_LABELS = FrameLabels.of_rows(())


@dataclass(frozen=True)
class Labels:
    """All frames of a sequence.

    frames: labels by frame number, from 0; a frame that is not in it shows no object.
    counted_as: for each class that is scored, the detected classes that count as it.
    """

    frames: Mapping[int, FrameLabels]
    counted_class: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of_rows(cls, rows: Iterable[LabelRow], merge_vehicles: bool = True) -> Labels:
        """Scored is every class that has an object which is not ignored.

        merge_vehicles: take a detected truck or bus for a car, unless it is a scored class of its own.
        """
        by_frame: dict[int, list[LabelRow]] = defaultdict(list)
        for row in rows:
            by_frame[row.frame].append(row)
        frames = {frame: FrameLabels.of_rows(group) for frame, group in sorted(by_frame.items())}
        scored = sorted({row.name for group in by_frame.values() for row in group if not row.ignore} - {ANY})
        others = [name for name in VEHICLES[1:] if name not in scored]
        merged = {"car": (VEHICLES[0], *others)} if merge_vehicles else {}
        return cls(frames, {name: merged.get(name, (name,)) for name in scored})

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes that are scored."""
        return tuple(self.counted_class)

    @property
    def last_frame(self) -> int:
        """Number of the last labelled frame, -1 without any."""
        return max(self.frames, default=-1)

    def at(self, frame: int) -> FrameLabels:
        return self.frames.get(frame, NO_LABELS)


def checked(row: LabelRow) -> LabelRow:
    """The row itself. Raises Refused for a frame or a box that no picture has."""
    if not 0 <= row.frame < MAX_FRAMES:
        raise InvalidFile(f"frame {row.frame} is not between 0 and {MAX_FRAMES}")
    numbers = (row.x, row.y, row.width, row.height)
    if not all(math.isfinite(number) and abs(number) <= LARGEST for number in numbers):
        raise InvalidFile(f"a box of {numbers} is not in any picture")
    if row.width < 0.0 or row.height < 0.0:
        raise InvalidFile(f"a box of negative size, {row.width} x {row.height}")
    return row


@dataclass(frozen=True)
class LabelledSequence:
    """name: what results call it. labels: by frame, in the order of the pictures. open: a new source of the pictures.

    inputs: files and folders that it is read from.
    """

    name: str
    labels: Labels
    open: Callable[[], Source]
    inputs: tuple[str, ...]


def of_files(labels_path: str, pictures: str, name: str, labels: Labels) -> LabelledSequence:
    """A sequence whose pictures are a video file or a folder.

    Raises UserError when the pictures are missing, or nothing is labelled that could be scored.
    """
    if not os.path.exists(pictures):
        raise UserError(f"{display_path(pictures)}: no such file or folder; the labels {display_path(labels_path)} belong to it")
    if not labels.classes:
        raise UserError(f"{display_path(labels_path)}: no object is labelled that could be scored")
    return LabelledSequence(name, labels, lambda: open_source(pictures), (labels_path, pictures))


def folder_name(path: str) -> str:
    """Last part of a path, whatever its spelling."""
    return os.path.basename(os.path.realpath(path))
