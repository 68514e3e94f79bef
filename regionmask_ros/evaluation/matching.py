"""Which detections of a frame are right: the matching of the COCO benchmark, one class at a time.

Detections take their turn by score. Each takes the best of the objects that overlap it enough and are still free. One
that finds none, but lies on an ignored region with at least the same share of its own area, is left out of the count;
ignored regions are never used up, as COCO's crowds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..detection.overlap import own_overlap, union_overlap

IOU = 0.5
MOST_DETECTIONS = 100
"""Of one class in one frame, the best ones; COCO counts no more."""

TALL_PX = 24
"""Smaller objects, in picture pixels, are labelled unevenly: accuracy is also told without them."""

FALSE, RIGHT, LEFT_OUT = 0, 1, 2
NOBODY = -1


@dataclass(frozen=True)
class FrameMatches:
    """One class in one frame.

    scores: float64 [n], falling. outcome: int8 [n], FALSE, RIGHT or LEFT_OUT. objects: how many there were to find.
    found_by: int64 [objects], the detection that found each, NOBODY where none did.
    """

    scores: np.ndarray
    outcome: np.ndarray
    objects: int
    found_by: np.ndarray


def match(boxes: np.ndarray, scores: np.ndarray, objects: np.ndarray, ignored: np.ndarray,
          iou: float = IOU) -> FrameMatches:
    """boxes: float [n, 4] and scores: float [n], the detections of a class. objects, ignored: float [m, 4].

    All boxes are x0 y0 x1 y1. An overlap of exactly ``iou`` is enough; of equal overlaps the later object is taken.
    """
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")[:MOST_DETECTIONS]
    boxes, scores = np.asarray(boxes, np.float64).reshape(-1, 4)[order], np.asarray(scores, np.float64)[order]
    overlap = union_overlap(boxes, objects)
    on_ignored = own_overlap(boxes, ignored).max(axis=1, initial=0.0) >= iou
    outcome = np.where(on_ignored, LEFT_OUT, FALSE).astype(np.int8)
    found_by = np.full(len(objects), NOBODY, np.int64)
    for detection in np.flatnonzero(overlap.max(axis=1, initial=0.0) >= iou):
        free = np.where(found_by == NOBODY, overlap[detection], -1.0)
        # From the back, so that the later one of equals is found, as COCO does.
        best = len(free) - 1 - int(free[::-1].argmax())
        if free[best] >= iou:
            found_by[best], outcome[detection] = detection, RIGHT
    return FrameMatches(scores, outcome, len(objects), found_by)


def match_tall(boxes: np.ndarray, scores: np.ndarray, objects: np.ndarray, ignored: np.ndarray) -> FrameMatches:
    """As ``match``, without objects lower than ``TALL_PX``: those are ignored, and so are false detections as low."""
    tall = objects[:, 3] - objects[:, 1] >= TALL_PX
    found = match(boxes, scores, objects[tall], np.concatenate([ignored, objects[~tall]]))
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")[:MOST_DETECTIONS]
    low = (boxes[:, 3] - boxes[:, 1] < TALL_PX)[order]
    found.outcome[low & (found.outcome == FALSE)] = LEFT_OUT
    return found
