"""A sequence of pictures with the labels that belong to it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Callable

from ..errors import UserError
from ..sources import Source, open_source
from ..sources.naming import shown
from .labels import Labels


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

    Raises UserError when the pictures are missing, or nothing is labelled that could be scored."""
    if not os.path.exists(pictures):
        raise UserError(f"{shown(pictures)}: no such file or folder; the labels {shown(labels_path)} belong to it")
    if not labels.classes:
        raise UserError(f"{shown(labels_path)}: no object is labelled that could be scored")
    return LabelledSequence(name, labels, lambda: open_source(pictures), (labels_path, pictures))


def folder_name(path: str) -> str:
    """Last part of a path, whatever its spelling."""
    return os.path.basename(os.path.realpath(path))
