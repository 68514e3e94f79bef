"""Pairs a folder of numbered images with labels by frame number, so that a missing image does not shift the others."""

from __future__ import annotations

import os
import re

from ..errors import UserError
from ..files.paths import display_path
from ..sources.images import ImageFiles, list_images
from .labels import LabelledSequence, Labels, check_scored, make_sequence

_NUMBER = re.compile(r"([0-9]{1,18})[^0-9]*\Z")


def make_numbered_sequence(labels_path: str, images_path: str, name: str, labels: Labels, first_frame: int = 0
                           ) -> LabelledSequence:
    """Makes a sequence whose images are numbered files in a folder.

    Args:
        labels_path: File of the labels.
        images_path: The folder, or a video.
        name: The sequence's name.
        labels: What is in the file of the labels.
        first_frame: Number of the first frame in the file of the labels.

    Returns:
        The sequence. Labeled frames without an image are left out.

    Raises:
        UserError: The images are missing, or no object is labeled that could be scored.
    """
    if not os.path.isdir(images_path):
        return make_sequence(labels_path, images_path, name, labels)
    check_scored(labels_path, labels)
    files = list_images(images_path)
    frames = _frames(files, labels, first_frame)
    positions = {frame: position for position, frame in enumerate(frames)}
    missing = [f"frame {frame + first_frame}" for frame in labels.frames if frame not in positions]
    if len(missing) == len(labels.frames):
        raise UserError(f"{display_path(labels_path)}: its images are not those in {display_path(images_path)}: none "
                        f"of its {len(missing)} labeled frames is there, such as {missing[0]}")
    labels = labels.renumber(positions)
    check_scored(labels_path, labels)
    folder = os.path.basename(os.path.abspath(images_path))
    return LabelledSequence(name, labels, lambda reading=None: ImageFiles(files, folder, reading),
                            (labels_path, images_path),
                            labels.notes,
                            tuple(f"{display_path(labels_path)}: {one}" for one in missing))


def _frames(files: list[str], labels: Labels, first_frame: int) -> list[int]:
    """The frame of each image, from 0. Names without different numbers count in their order."""
    found = [_NUMBER.search(os.path.splitext(os.path.basename(file))[0]) for file in files]
    numbers = [int(match[1]) for match in found if match]
    if len(set(numbers)) != len(files):
        return list(range(len(files)))
    # The numbers are those of the labels, or begin elsewhere, as in a part of a sequence. What fits better is right.
    starts = (first_frame, numbers[0])
    start = min(starts, key=lambda start: len(labels.frames.keys() - {number - start for number in numbers}))
    return [number - start for number in numbers]
