"""Clips in memory: small images of every frame, and where objects are in them.

The detections of teacher and detector are kept on disk, so that they run only once over each clip.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ...core.frame import Frame
from ...datasets.labels import ANY, Labels
from ...errors import InvalidFile, UserError
from ...files.outputs import write_whole
from ...files.safe_read import open_regular, open_zip, read_array
from ...network.chain import Network
from ...progress import Progress
from ...sources import Reading, Source, open_source
from .teacher import COLUMNS, ClipLabels, run_detectors, select_labels

CUT_CHANGE = 28.0
"""Mean change of a thumbnail's gray values from which on a new shot begins; moving cameras stay below 20."""

FILE_KIND = "detections of a teacher"
_THUMBNAIL_WH = (16, 9)


@dataclass(frozen=True)
class TrainingClip:
    """A clip to train or to evaluate on.

    Attributes:
        name: Name of its source.
        images: uint8 [n, h, w, 3], RGB.
        labels: Boxes by frame.
        shot: int64 [n], number of the shot that each frame belongs to.
    """

    name: str
    images: np.ndarray
    labels: ClipLabels
    shot: np.ndarray


def read_clip(path: str, width: int, network: Network, labels: Labels | None, cache: Path,
              reading: Reading | None = None) -> TrainingClip:
    """Reads a clip with its objects: those of the labels or, without any, those that the teacher detects.

    Args:
        path: A video or a folder of images.
        width: Largest width of the images in memory, in pixels.
        network: The detector.
        labels: Labels of the clip, or None.
        cache: Folder in which detections are kept.
        reading: How images are read; None: as by default.

    Returns:
        The clip.

    Raises:
        UserError: The source cannot be read, or there is no object in it.
    """
    with open_source(path, reading=reading) as source:
        name = source.name
        with Progress(total=source.frame_count, unit="frame", desc=f"{name}: read", leave=False) as progress:
            numbers: list[int] = []
            images = shrink_frames(_note_numbers(source, numbers, progress.update), width)
        image_wh = source.size_wh
        teach = labels is None
        cached = cache / f"{Path(name).stem}.{_digest(path, network, teach)}.npz"
        found = _read_detections(cached) if cached.exists() else None
        if found is None:
            with Progress(total=len(images), unit="frame", desc=f"{name}: detect") as progress:
                found = run_detectors(network, source.frames(), progress.update, teach)
            content = io.BytesIO()
            np.savez_compressed(content, seen=found)
            write_whole(cached, content.getvalue())
    cuts = find_cuts(images)
    clip_labels = select_labels(found, len(images), cuts)
    if labels is not None:
        clip_labels = _of_labels(labels, numbers, clip_labels, image_wh)
    if not any(map(len, clip_labels.objects)):
        raise UserError(f"{path}: no object is {'detected' if teach else 'labeled'} in it; leave it out")
    return TrainingClip(name, images, clip_labels, label_shots(cuts, len(images)))


def shrink_frames(frames: Iterable[Frame], width: int) -> np.ndarray:
    """Resizes every frame to the first one's shape, and at most ``width`` pixels across: uint8 [n, h, w, 3], RGB."""
    small: list[np.ndarray] = []
    size = 0, 0
    for frame in frames:
        if not small:
            wide, high = frame.size_wh
            share = min(1.0, width / wide)
            size = round(wide * share), round(high * share)
        pixels = cv2.resize(frame.bgr(), size, interpolation=cv2.INTER_AREA)
        small.append(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))
    return np.stack(small)


def find_cuts(images: np.ndarray) -> np.ndarray:
    """First frames of new shots, without the very first one: int64 [m], from uint8 [n, h, w, 3]."""
    thumbs = np.stack([cv2.resize(image, _THUMBNAIL_WH, interpolation=cv2.INTER_AREA) for image in images])
    change = np.abs(np.diff(thumbs.astype(np.int16), axis=0)).mean(axis=(1, 2, 3))
    return np.flatnonzero(change >= CUT_CHANGE) + 1


def label_shots(cuts: np.ndarray, frames: int) -> np.ndarray:
    """Number of the shot that each frame belongs to, from 0: int64 [frames]."""
    starts = np.zeros(frames, np.int64)
    starts[cuts] = 1
    return np.cumsum(starts)


def _note_numbers(source: Source, numbers: list[int], tick: Callable[[], object]) -> Iterator[Frame]:
    """The frames; their numbers in the source are appended to ``numbers``."""
    for number, frame in source.numbered():
        numbers.append(number)
        yield frame
        tick()


def _of_labels(labels: Labels, numbers: Sequence[int], detected: ClipLabels, image_wh: tuple[int, int]) -> ClipLabels:
    """Objects of the labels of the frames with these numbers, with what the detector in use reports."""
    objects, uncertain = [], []
    for number in numbers:
        one = labels.at(number)
        boxes = np.clip(one.boxes / np.tile(image_wh, 2), 0.0, 1.0).astype(np.float32)
        unsure = one.ignore | np.array([name == ANY for name in one.names], bool)
        objects.append(boxes[~unsure])
        uncertain.append(boxes[unsure])
    return ClipLabels(tuple(objects), tuple(uncertain), detected.known)


def _digest(path: str, network: Network, teach: bool) -> str:
    """Differs when the file, the network or the use of the teacher does."""
    found = os.stat(path)
    text = f"{os.path.realpath(path)} {found.st_size} {found.st_mtime_ns} {network.digest} {teach}"
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _read_detections(path: Path) -> np.ndarray | None:
    """Detections that were kept. None for a damaged file, so that they are made again."""
    try:
        with open_regular(path) as file:
            found = read_array(open_zip(file), "seen", "f", FILE_KIND, max_side=1 << 26)
    except InvalidFile:
        return None
    return found if found.ndim == 2 and found.shape[1] == COLUMNS and np.isfinite(found).all() else None
