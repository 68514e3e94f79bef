"""How well the detections of two versions of a network agree: average precision, one version's detections the truth."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..core.detections import Detections
from .average_precision import FrameMatches, PrecisionCurve, match

SURE, UNSURE = 0.4, 0.2
"""What the reference finds with this score or more must be found; what it finds with one between them may be."""

LOWEST_SCORE, NMS_IOU = 0.02, 0.45
"""Of the detections that are compared."""


def measure_agreement(reference: Iterable[Detections], found: Iterable[Detections]) -> float:
    """Average precision at an intersection over union of 0.5, with the reference's detections as the objects.

    A detection must have the class of its object; all classes are counted together, so that a rare one does not count
    more than the others.

    Args:
        reference: For each picture.
        found: For each picture, down to low scores.

    Returns:
        0 to 100; nan if the reference finds nothing.
    """
    return PrecisionCurve(list(map(match_picture, reference, found))).average_precision()


def match_picture(expected: Detections, got: Detections) -> FrameMatches:
    """Matches what a detector has found in one picture with what a reference has found, each class by itself.

    Args:
        expected: The reference's detections; those between ``UNSURE`` and ``SURE`` may be found.
        got: The detector's.

    Returns:
        The matches of all classes together.
    """
    parts, before = [], 0
    for class_id in np.union1d(expected.class_ids, got.class_ids):
        here, mine = expected.class_ids == class_id, got.class_ids == class_id
        sure, unsure = here & (expected.scores >= SURE), here & (expected.scores >= UNSURE) & (expected.scores < SURE)
        parts.append(match(got.boxes[mine], got.scores[mine], expected.boxes[sure], expected.boxes[unsure]))
        before += int(sure.sum())
    if not parts:
        return FrameMatches(np.zeros(0), np.zeros(0, np.int8), 0, np.zeros(0, np.int64))
    return FrameMatches(np.concatenate([part.scores for part in parts]),
                        np.concatenate([part.outcome for part in parts]), before,
                        np.concatenate([part.found_by for part in parts]))
