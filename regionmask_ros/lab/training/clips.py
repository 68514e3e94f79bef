"""Clips in memory: small pictures of every frame, and where objects are in them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from ...core.frame import Frame
from .teacher import TeacherLabels

CUT_CHANGE = 28.0
"""Mean change of a thumbnail's grey values from which on a new shot begins; moving cameras stay below 20."""

_THUMBNAIL = (16, 9)


@dataclass(frozen=True)
class Clip:
    """pictures: uint8 [n, h, w, 3], RGB. taught: boxes by frame. shot: int64 [n], a number for each shot."""

    name: str
    pictures: np.ndarray
    taught: TeacherLabels
    shot: np.ndarray


def small_images(frames: Iterable[Frame], width: int) -> np.ndarray:
    """uint8 [n, h, width, 3], RGB: every frame, made smaller; one that is small already keeps its size."""
    small = []
    for frame in frames:
        wide, high = frame.size_wh
        share = min(1.0, width / wide)
        size = round(wide * share), round(high * share)
        pixels = cv2.resize(frame.bgr(), size, interpolation=cv2.INTER_AREA)
        small.append(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))
    return np.stack(small)


def find_cuts(pictures: np.ndarray) -> np.ndarray:
    """int64 [m]: first frames of new shots, the very first one excluded. pictures: uint8 [n, h, w, 3]."""
    thumbs = np.stack([cv2.resize(image, _THUMBNAIL, interpolation=cv2.INTER_AREA) for image in pictures])
    change = np.abs(np.diff(thumbs.astype(np.int16), axis=0)).mean(axis=(1, 2, 3))
    return np.flatnonzero(change >= CUT_CHANGE) + 1


def label_shots(cuts: np.ndarray, frames: int) -> np.ndarray:
    """int64 [frames]: 0 for the first shot, 1 for the next."""
    starts = np.zeros(frames, np.int64)
    starts[cuts] = 1
    return starts.cumsum()
