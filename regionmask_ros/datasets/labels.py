"""Labels: objects that people have marked in images, independent of the file format; and sequences that have them."""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from ..core.detections import UNTRACKED
from ..errors import InvalidFile, UserError
from ..files.paths import display_path
from ..sources import Source, open_source

ANY = "any"
"""Class of a region in which detections of every class are ignored."""

VEHICLES = ("car", "truck", "bus")
"""Data sets label vans and some larger vehicles as car. Therefore a detection of any of these counts as a car."""

MAX_FRAMES = 1_000_000
MAX_COORDINATE = 1e6
"""Pixels. No image is this wide: a box beyond it is a damaged number."""
MAX_TRACK = 2**63 - 1


@dataclass(frozen=True)
class LabelRow:
    """One object in one frame.

    Attributes:
        frame: Number of the frame, from 0.
        name: The object's class.
        x: Left edge in image pixels.
        y: Top edge in image pixels.
        width: Width in image pixels.
        height: Height in image pixels.
        ignore: Whether neither a match nor a miss is counted, and a detection on it is not a false one.
        track: Number of the object, the same in all frames; UNTRACKED when it has none.
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
    """The n objects of one frame.

    Attributes:
        boxes: float64 [n, 4], x0 y0 x1 y1 in image pixels.
        names: The classes.
        ignore: bool [n], as in ``LabelRow``.
        tracks: int64 [n], as in ``LabelRow``.
    """

    boxes: np.ndarray
    names: tuple[str, ...]
    ignore: np.ndarray
    tracks: np.ndarray

    @classmethod
    def of_rows(cls, rows: Iterable[LabelRow]) -> FrameLabels:
        """The labels of one frame; the rows' frame numbers are not used."""
        rows = list(rows)
        boxes = np.array([(r.x, r.y, r.x + r.width, r.y + r.height) for r in rows], np.float64).reshape(-1, 4)
        return cls(boxes, tuple(r.name for r in rows), np.array([r.ignore for r in rows], bool),
                   np.array([r.track for r in rows], np.int64))

    def of_class(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Selects the boxes that matter for one class.

        Args:
            name: The class.

        Returns:
            The boxes to be detected and the boxes to be ignored, float64 [., 4] each. Regions of ``ANY`` are ignored.
        """
        is_class = np.array([one == name for one in self.names], bool)
        is_any = np.array([one == ANY for one in self.names], bool)
        return self.boxes[is_class & ~self.ignore], self.boxes[(is_class & self.ignore) | is_any]


NO_LABELS = FrameLabels.of_rows(())


@dataclass(frozen=True)
class Labels:
    """All labels of a sequence.

    Attributes:
        frames: Labels by frame number, from 0. A frame that is not in it has no object.
        counted_class: For each class that is scored, the detected classes that count as it.
        notes: What the file has that is not used; lines for the user.
    """

    frames: Mapping[int, FrameLabels]
    counted_class: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @classmethod
    def of_rows(cls, rows: Iterable[LabelRow], merge_vehicles: bool = True) -> Labels:
        """Groups rows by frame. Every class with an object that is not ignored is scored.

        Args:
            rows: Rows of all frames, in any order.
            merge_vehicles: Whether a detected truck or bus counts as a car, unless it is a scored class itself.

        Returns:
            The labels.
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
        """Number of the last labeled frame, -1 without any."""
        return max(self.frames, default=-1)

    def renumber(self, positions: Mapping[int, int]) -> Labels:
        """Gives frames other numbers.

        Args:
            positions: New numbers by old ones. Frames that are not in it are left out.

        Returns:
            The labels. A class that has no object left is not scored.
        """
        frames = {positions[frame]: one for frame, one in self.frames.items() if frame in positions}
        left = {name for one in frames.values() for name, ignore in zip(one.names, one.ignore) if not ignore}
        scored = {name: counted for name, counted in self.counted_class.items() if name in left}
        return replace(self, frames=frames, counted_class=scored)

    def at(self, frame: int) -> FrameLabels:
        """The labels of a frame, empty ones when it has none."""
        return self.frames.get(frame, NO_LABELS)


class EmptyBox(InvalidFile):
    """A box has no area. The message is the same for all such boxes."""


def check_row(row: LabelRow, first_frame: int = 0) -> LabelRow:
    """Checks the numbers of a row.

    Args:
        row: Any row.
        first_frame: Number of the first frame in the file, for the message.

    Returns:
        The same row.

    Raises:
        InvalidFile: The frame number, the track or the box is impossible.
        EmptyBox: The box's width or height is zero or negative.
    """
    if not 0 <= row.frame < MAX_FRAMES:
        raise InvalidFile(f"frame {row.frame + first_frame} is not between {first_frame} and "
                          f"{first_frame + MAX_FRAMES - 1}")
    if not -MAX_TRACK <= row.track <= MAX_TRACK:
        raise InvalidFile(f"track {row.track} has more than 63 bits")
    numbers = (row.x, row.y, row.width, row.height)
    if not all(math.isfinite(number) and abs(number) <= MAX_COORDINATE for number in numbers):
        raise InvalidFile(f"a box of {numbers} is not in any image")
    if row.width <= 0.0 or row.height <= 0.0:
        raise EmptyBox("with a box of zero or negative size")
    return row


@dataclass(frozen=True)
class LabelledSequence:
    """A sequence of images with labels.

    Attributes:
        name: The sequence's name in results.
        labels: Labels by frame, in the order of the images.
        open: Opens a new source of the images. What reads a data set takes a ``Reading``, None for the default;
            ``open_dataset`` gives it the one of its caller.
        inputs: Files and folders that the sequence is read from.
        notes: What of the labels is not used; lines for the user.
        missing: The images that are missing, each with the file that names it.
    """

    name: str
    labels: Labels
    open: Callable[..., Source]
    inputs: tuple[str, ...]
    notes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def make_sequence(labels_path: str, images_path: str, name: str, labels: Labels) -> LabelledSequence:
    """Makes a sequence whose images are a video file or a folder.

    Args:
        labels_path: File of the labels.
        images_path: The video file or folder.
        name: The sequence's name.
        labels: What is in the file of the labels.

    Returns:
        The sequence.

    Raises:
        UserError: The images are missing, or no object is labeled that could be scored.
    """
    if not os.path.exists(images_path):
        raise UserError(
            f"{display_path(images_path)}: no such file or folder; the labels {display_path(labels_path)} need it")
    check_scored(labels_path, labels)
    return LabelledSequence(
        name, labels, lambda reading=None: open_source(images_path, reading=reading), (labels_path, images_path),
        labels.notes)


def check_scored(path: str, labels: Labels) -> None:
    """Raises UserError when no object is labeled that could be scored."""
    if not labels.classes:
        reasons = "; ".join(labels.notes[:3])
        raise UserError(f"{display_path(path)}: no object is labeled that could be scored{reasons and f' ({reasons})'}")
