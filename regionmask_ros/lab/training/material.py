"""From videos to clips in memory. What the teacher said is kept on disk, so that it is asked only once."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ...core.frame import Frame
from ...datasets.labels import ANY, Labels
from ...errors import InvalidFile, UserError
from ...files.outputs import write_whole
from ...files.safe_read import open_regular, open_zip, read_array
from ...network.graph import Network
from ...sources import open_source
from .clips import Clip, find_cuts, label_shots, small_images
from .teacher import COLUMNS, TeacherLabels, select_labels, watch

FILE_KIND = "what a teacher said"


def read_clip(path: str, width: int, network: Network, labels: Labels | None, cache: Path) -> Clip:
    """A clip with its objects: those of the labels or, without any, those that the teacher sees.

    width: of its pictures in memory, at most. cache: folder for what the detector said. Raises UserError.
    """
    with open_source(path) as source:
        name = source.name
        with tqdm(total=source.frame_count, unit="frame", desc=f"{name}: read", disable=None, leave=False) as progress:
            images = small_images(_report_progress(source.frames(), progress.update), width)
        image_wh = source.size_wh
        teach = labels is None
        kept = cache / f"{Path(name).stem}.{_digest(path, network, teach)}.npz"
        seen = _read(kept) if kept.exists() else None
        if seen is None:
            with tqdm(total=len(images), unit="frame", desc=f"{name}: ask the detector", disable=None) as progress:
                seen = watch(network, source.frames(), progress.update, teach)
            content = io.BytesIO()
            np.savez_compressed(content, seen=seen)
            write_whole(kept, content.getvalue())
    cuts = find_cuts(images)
    taught = select_labels(seen, len(images), cuts)
    if labels is not None:
        taught = _of_labels(labels, taught, image_wh)
    if not any(map(len, taught.objects)):
        raise UserError(f"{path}: no object is {'detected' if teach else 'labelled'} in it, so it teaches nothing")
    return Clip(name, images, taught, label_shots(cuts, len(images)))


def _report_progress(frames: Iterable[Frame], tick: Callable[[], object]) -> Iterator[Frame]:
    for frame in frames:
        yield frame
        tick()


def _of_labels(labels: Labels, taught: TeacherLabels, image_wh: tuple[int, int]) -> TeacherLabels:
    """What labels say, and what the detector in use knows."""
    objects, uncertain = [], []
    for number in range(len(taught.known)):
        one = labels.at(number)
        boxes = np.clip(one.boxes / np.tile(image_wh, 2), 0.0, 1.0).astype(np.float32)
        unsure = one.ignore | np.array([name == ANY for name in one.names], bool)
        objects.append(boxes[~unsure])
        uncertain.append(boxes[unsure])
    return TeacherLabels(tuple(objects), tuple(uncertain), taught.known)


def _digest(path: str, network: Network, teach: bool) -> str:
    """Differs when the file, the network or the question does."""
    found = os.stat(path)
    told = f"{os.path.realpath(path)} {found.st_size} {found.st_mtime_ns} {network.digest} {teach}"
    return hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _read(kept: Path) -> np.ndarray | None:
    """What was kept; None for a damaged file, so that the detector is asked again."""
    try:
        with open_regular(kept) as file:
            seen = read_array(open_zip(file), "seen", "f", FILE_KIND, max_side=1 << 26)
    except InvalidFile:
        return None
    return seen if seen.ndim == 2 and seen.shape[1] == COLUMNS and np.isfinite(seen).all() else None
