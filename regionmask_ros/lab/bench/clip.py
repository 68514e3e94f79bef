"""Pictures to measure on: decoded and resized before the clock runs."""

from __future__ import annotations

import filecmp
import sys
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from ...core.frame import choose_input_size, make_view
from ...errors import UserError
from ...sources import open_source

MAX_FRAMES = 2000
"""All pictures of a clip are held in memory, up to a megabyte each at the automatic size."""

STANDARD = ("vtest.avi", "bikes.mp4")
"""What the set-up brings: a static camera, and street scenes with cuts and large motion."""


@dataclass(frozen=True)
class Clip:
    """The first frames of a sequence as network inputs.

    path: as given. images: uint8 [height, width, 3], RGB. picture_wh: size of the pictures that they were resized from.
    fps: frames a second at which they were taken.
    """

    path: str
    images: tuple[np.ndarray, ...]
    input_wh: tuple[int, int]
    image_wh: tuple[int, int]
    fps: float


def load_clip(path: str, input_size: str | tuple[int, int], frames: int) -> Clip:
    """The first ``frames`` frames, or all when there are fewer. input_size: ``auto`` or (width, height).

    Everything is decoded at once: a decoder's threads must not run while processor time is measured.
    Raises UserError when there are fewer than two frames.
    """
    with open_source(path) as source:
        input_wh = choose_input_size(source.size_wh) if input_size == "auto" else input_size
        images = tuple(make_view(frame, input_wh).image for frame in islice(source.frames(), frames))
        if len(images) < 2:
            raise UserError(f"{path}: the benchmark needs at least 2 frames, there is {len(images)}")
        return Clip(path, images, input_wh, source.size_wh, source.fps)


def spread_images(path: str, input_wh: tuple[int, int], count: int) -> list[np.ndarray]:
    """Up to ``count`` network inputs, evenly spread over the whole sequence, its first and last frame among them."""
    with open_source(path) as source:
        wanted = spread_indices(source.frame_count or count, count)
        return [make_view(frame, input_wh).image for index, frame in enumerate(source.frames()) if index in wanted]


def spread_indices(there: int, count: int) -> set[int]:
    """Up to ``count`` of the numbers 0 to ``there`` - 1, evenly spread."""
    return set(np.linspace(0, there - 1, min(there, count)).round().astype(int).tolist())


def standard_sequences() -> list[str]:
    """Those of ``STANDARD`` that the set-up has put below this Python's prefix."""
    folder = Path(sys.prefix) / "share" / "regionmask_ros"
    return [str(folder / name) for name in STANDARD if (folder / name).is_file()]


def calibration_clip(path: str) -> str:
    """Another sequence than ``path`` to calibrate integer peers on: bikes.mp4, or else vtest.avi; "" without either.

    A copy under another name is no other sequence.
    """
    for other in reversed(standard_sequences()):
        if not (Path(path).is_file() and filecmp.cmp(path, other, shallow=False)):
            return other
    return ""


def sequence_name(path: str) -> str:
    """For people: the file's name, or the folder's of a file that is just called video.

    >>> sequence_name("street/bikes.mp4"), sequence_name("data/pets09-s2l1/video.mp4"), sequence_name("frames/")
    ('bikes.mp4', 'pets09-s2l1', 'frames')
    """
    place = Path(path)
    return place.parent.name if place.stem == "video" and place.parent.name else place.name
