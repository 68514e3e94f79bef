"""How good a student is: agreement with its teacher on held-out pictures."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Protocol

import cv2
import numpy as np

from ...core.detections import Detections
from ...core.frame import MAX_PIXELS, choose_input_size
from ...metrics.agreement import measure_agreement
from ...sources.spread import spread_indices
from .pictures import Picture
from .teacher import usual_shape

MOST_PICTURES = 100


class Finder(Protocol):
    """A detector for one input size."""

    def detect(self, image: np.ndarray, image_wh: tuple[int, int]) -> Detections:
        """See ``lab.quantization.detecting.Detector``."""

    def close(self) -> None:
        """Frees what it holds."""


def choose_judged(pictures: Sequence[Picture]) -> list[Picture]:
    """At most ``MOST_PICTURES`` of them, spread evenly."""
    return [pictures[index] for index in spread_indices(len(pictures), MOST_PICTURES)]


def judge(open_finder: Callable[[tuple[int, int]], Finder], pictures: Sequence[Picture], alignment: int,
          fixed_wh: tuple[int, int] | None = None) -> float:
    """Agreement of a student with the labels, at the input size of use.

    Args:
        open_finder: Opens the student for an input size.
        pictures: With labels of its classes.
        alignment: Width and height of the input are multiples of this.
        fixed_wh: The only possible size of the input; None: any.

    Returns:
        Average precision at an overlap of 0.5, 0 to 100, with the labels as objects; nan if there are none.
    """
    found, expected = [], []
    detectors: dict[tuple[int, int], Finder] = {}
    with contextlib.ExitStack() as stack:
        for picture in pictures:
            pixels = picture.pixels()
            wh = pixels.shape[1], pixels.shape[0]
            size = fixed_wh or choose_input_size(usual_shape(*wh), MAX_PIXELS, alignment)
            if size not in detectors:
                detectors[size] = open_finder(size)
                stack.callback(detectors[size].close)
            found.append(detectors[size].detect(cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR), wh))
            rows = picture.labels
            expected.append(Detections(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int32)))
    return measure_agreement(expected, found)
