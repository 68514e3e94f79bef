"""Pictures to train on, and held-out ones: compressed in memory, with the teacher's labels.

Labels are float32 [n, 6]: x0, y0, x1, y1 in pixels of the stored picture, score, and the student's class.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ...core.frame import Frame
from ...errors import InvalidFile, UserError
from ...files.outputs import write_whole
from ...files.safe_read import open_regular, open_zip, read_array
from ...progress import Progress
from ...sources import Reading, open_source
from .teacher import LABEL_COLUMNS, Teachers

LONGEST_SIDE = 640
"""Pixels of the longer side of a stored picture at most."""

HELD_OUT_SHARE = 0.15
"""Share of each source, its last part, that is not trained on."""

FILE_KIND = "labels of a teacher"
_JPEG_QUALITY = 93
_LARGEST_CACHE = 1 << 26


@dataclass(frozen=True)
class Picture:
    """A picture with its labels.

    Attributes:
        jpeg: The compressed picture.
        labels: float32 [n, 6], see the module.
        source: Number of its source.
    """

    jpeg: bytes
    labels: np.ndarray
    source: int

    def pixels(self) -> np.ndarray:
        """The picture: uint8 [height, width, 3], RGB."""
        return cv2.cvtColor(cv2.imdecode(np.frombuffer(self.jpeg, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


@dataclass(frozen=True)
class Collection:
    """The pictures of all sources.

    Attributes:
        names: Of the sources.
        learned: Pictures to train on.
        held_out: Pictures to evaluate on.
    """

    names: tuple[str, ...]
    learned: tuple[Picture, ...]
    held_out: tuple[Picture, ...]


def read_collection(paths: Sequence[str], every: int, teachers: Teachers, cache: Path, reading: Reading | None = None
                    ) -> Collection:
    """Reads all sources and has the teachers label them.

    Args:
        paths: Videos, folders of images or bags.
        every: Of a video or bag, each frame with a number divisible by this is used; of a folder all images are.
        teachers: They label the pictures.
        cache: Folder in which labels are kept.
        reading: How images are read; None: as by default.

    Returns:
        The pictures.

    Raises:
        UserError: A source cannot be read, or nothing is detected in any of them.
    """
    names: list[str] = []
    learned: list[Picture] = []
    held_out: list[Picture] = []
    for number, path in enumerate(paths):
        pictures = _read_source(path, number, 1 if os.path.isdir(path) else every, teachers, cache, reading)
        border = len(pictures) - max(1, round(HELD_OUT_SHARE * len(pictures)))
        names.append(os.path.basename(os.path.normpath(path)))
        learned.extend(pictures[:border])
        held_out.extend(pictures[border:])
    for pictures, what in ((learned, "training"), (held_out, "the held-out part")):
        if not any(len(picture.labels) for picture in pictures):
            raise UserError(f"{', '.join(paths)}: the teacher finds nothing in the pictures for {what}; give others")
    return Collection(tuple(names), tuple(learned), tuple(held_out))


def _read_source(path: str, number: int, every: int, teachers: Teachers, cache: Path, reading: Reading | None
                 ) -> list[Picture]:
    with open_source(path, reading=reading) as source:
        with Progress(total=source.frame_count, unit="frame", desc=f"{source.name}: read", leave=False) as progress:
            stored = [_compress(frame) for frame in _every(source.frames(), every, progress.update)]
        name = Path(source.name).stem
    cached = cache / f"{name}.{_digest(path, every, teachers)}.npz"
    rows = _read_labels(cached, teachers.classes) if cached.exists() else None
    if rows is None:
        found = []
        for index, jpeg in enumerate(Progress(stored, unit="picture", desc=f"{name}: label")):
            labels = teachers.label(Picture(jpeg, np.zeros((0, LABEL_COLUMNS), np.float32), number).pixels())
            found.append(np.concatenate([np.full((len(labels), 1), index, np.float32), labels], axis=1))
        rows = np.concatenate(found) if found else np.zeros((0, 1 + LABEL_COLUMNS), np.float32)
        content = io.BytesIO()
        np.savez_compressed(content, labels=rows)
        write_whole(cached, content.getvalue())
    return [Picture(jpeg, rows[rows[:, 0] == index, 1:], number) for index, jpeg in enumerate(stored)]


def _every(frames: Iterator[Frame], every: int, tick: Callable[[], object]) -> Iterator[Frame]:
    for number, frame in enumerate(frames):
        if number % every == 0:
            yield frame
        tick()


def _compress(frame: Frame) -> bytes:
    wide, high = frame.size_wh
    share = min(1.0, LONGEST_SIDE / max(wide, high))
    size = max(1, round(wide * share)), max(1, round(high * share))
    pixels = cv2.resize(frame.bgr(), size, interpolation=cv2.INTER_AREA)
    return bytes(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1])


def _digest(path: str, every: int, teachers: Teachers) -> str:
    """Differs when the source, the teachers or their settings do."""
    found = os.stat(path)
    listed = "\n".join(sorted(os.listdir(path))) if os.path.isdir(path) else ""
    text = f"{os.path.realpath(path)} {found.st_size} {found.st_mtime_ns} {listed} {every} {teachers.digest}"
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _read_labels(path: Path, classes: int) -> np.ndarray | None:
    """Labels that were kept. None for a damaged file, so that they are made again."""
    try:
        with open_regular(path) as file:
            rows = read_array(open_zip(file), "labels", "f", FILE_KIND, max_side=_LARGEST_CACHE)
    except InvalidFile:
        return None
    fits = rows.ndim == 2 and rows.shape[1] == 1 + LABEL_COLUMNS and np.isfinite(rows).all()
    return rows if fits and (len(rows) == 0 or 0 <= rows[:, 6].min() <= rows[:, 6].max() < classes) else None
