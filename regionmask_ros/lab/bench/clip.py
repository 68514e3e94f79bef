"""Frames to measure on, decoded and resized before the clock runs, and the standard sequences."""

from __future__ import annotations

import filecmp
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from ...core.frame import MAX_PIXELS, choose_input_size, resize_frame
from ...datasets import is_dataset
from ...datasets.labels import LabelledSequence, Labels
from ...errors import UserError
from ...installed import installed_file
from ...sources import Reading, Source, open_source
from ...sources.spread import spread_indices

MAX_FRAMES = 2000
"""All frames of a clip are in memory, up to a megabyte each at the automatic size."""

STANDARD = ("vtest.avi", "bikes.mp4")
"""What the set-up installs: a static camera, and street scenes with cuts and large motion."""


@dataclass(frozen=True)
class Clip:
    """The first frames of a sequence as network inputs.

    Attributes:
        path: Path of the sequence, or ``KIND:PATH`` of a labeled one, as given.
        images: uint8 [height, width, 3], RGB, one for each frame.
        input_wh: Width and height of the images.
        image_wh: Width and height of the frames that they were resized from.
        fps: Frames per second of the sequence.
        labels: Of the images, by their place in the clip; None for a sequence without labels.
        inputs: Files and folders that it was read from.
    """

    path: str
    images: tuple[np.ndarray, ...]
    input_wh: tuple[int, int]
    image_wh: tuple[int, int]
    fps: float
    labels: Labels | None = None
    inputs: tuple[str, ...] = ()


def load_clip(path: str, input_size: str | tuple[int, int], frames: int, max_pixels: int = MAX_PIXELS,
              reading: Reading | None = None, labelled: LabelledSequence | None = None) -> Clip:
    """Loads the first frames of a sequence.

    All of them are decoded at once: the threads of a decoder must not run while processor time is measured.

    Args:
        path: A video, a folder of images or a bag; of a labeled sequence, what it is called in the result.
        input_size: ``auto``, or width and height of the network's input.
        frames: Number of frames at most.
        max_pixels: Largest number of pixels of an ``auto`` size.
        reading: How images are read; None: as by default.
        labelled: The sequence with its labels; None: the path has none.

    Returns:
        The clip.

    Raises:
        UserError: There are fewer than two frames.
    """
    with open_images(path, reading, labelled) as source:
        input_wh = choose_input_size(source.size_wh, max_pixels) if isinstance(input_size, str) else input_size
        images = {number: resize_frame(frame, input_wh) for number, frame in islice(source.numbered(), frames)}
        if len(images) < 2:
            raise UserError(f"{path}: the benchmark needs at least 2 frames, there is {len(images)}")
        places = {number: place for place, number in enumerate(images)}
        labels, inputs = (labelled.labels.renumber(places), labelled.inputs) if labelled else (None, (path,))
        return Clip(path, tuple(images.values()), input_wh, source.size_wh, source.fps, labels, inputs)


def open_images(path: str, reading: Reading | None, labelled: LabelledSequence | None) -> Source:
    """Opens the images of a sequence; the arguments are those of `load_clip`."""
    source: Source = labelled.open() if labelled else open_source(path, reading=reading)
    return source


def spread_images(path: str, input_wh: tuple[int, int], count: int) -> list[np.ndarray]:
    """Loads frames that are evenly spread over a whole sequence, its first and last frame included.

    Args:
        path: The sequence.
        input_wh: Width and height to resize to.
        count: Number of frames at most.

    Returns:
        uint8 [height, width, 3], RGB, for each frame.
    """
    with open_source(path) as source:
        wanted = set(spread_indices(source.frame_count or count, count))
        return [resize_frame(frame, input_wh) for index, frame in source.numbered() if index in wanted]


def standard_sequences() -> list[str]:
    """Returns the paths of those of ``STANDARD`` that the set-up has installed below this Python's prefix."""
    return [str(path) for path in map(installed_file, STANDARD) if path.is_file()]


def calibration_clip(*inputs: str) -> str:
    """Chooses a sequence to calibrate integer baselines on, another one than is measured.

    Args:
        inputs: Files and folders of the sequence that is measured. A copy of a file under another name is no other
            sequence.

    Returns:
        bikes.mp4, or else vtest.avi; "" without either.
    """
    for other in reversed(standard_sequences()):
        if not any(Path(one).is_file() and filecmp.cmp(one, other, shallow=False) for one in inputs):
            return other
    return ""


def sequence_name(path: str) -> str:
    """Returns the name for people: that of the file, or of the folder of a file that is just called video.

    >>> sequence_name("street/bikes.mp4"), sequence_name("data/pets09-s2l1/video.mp4"), sequence_name("frames/")
    ('bikes.mp4', 'pets09-s2l1', 'frames')
    >>> sequence_name("csv:data/pets09-s2l1")
    'pets09-s2l1'
    """
    place = Path(path.partition(":")[2] if is_dataset(path) else path)
    return place.parent.name if place.stem == "video" and place.parent.name else place.name
