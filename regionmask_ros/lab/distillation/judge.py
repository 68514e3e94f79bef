"""How good a student is: agreement with its teacher on held-out pictures."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import cv2
import numpy as np

from ...core.detections import Detections
from ...core.frame import MAX_PIXELS, choose_input_size
from ...metrics.agreement import measure_agreement
from ...network.dense import DenseNetwork
from ...sources.spread import spread_indices
from ..quantization.detecting import Detector
from .pictures import Picture
from .teacher import usual_shape

MOST_PICTURES = 100


def choose_judged(pictures: Sequence[Picture]) -> list[Picture]:
    """At most ``MOST_PICTURES`` of them, spread evenly."""
    return [pictures[index] for index in spread_indices(len(pictures), MOST_PICTURES)]


def judge(network: DenseNetwork, pictures: Sequence[Picture], backend: str) -> float:
    """Agreement of a student with the labels, at the input size of use.

    Args:
        network: The student.
        pictures: With labels of its classes.
        backend: Name of the dense backend.

    Returns:
        Average precision at an overlap of 0.5, 0 to 100, with the labels as objects; nan if there are none.
    """
    found, expected = [], []
    detectors: dict[tuple[int, int], Detector] = {}
    with contextlib.ExitStack() as stack:
        for picture in pictures:
            pixels = picture.pixels()
            wh = pixels.shape[1], pixels.shape[0]
            size = network.fixed_wh or choose_input_size(usual_shape(*wh), MAX_PIXELS, network.alignment)
            if size not in detectors:
                detectors[size] = Detector(network, size, backend)
                stack.callback(detectors[size].close)
            found.append(detectors[size].detect(cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR), wh))
            rows = picture.labels
            expected.append(Detections(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int32)))
    return measure_agreement(expected, found)
