"""Which detections of a frame are right: the matching of the COCO benchmark, one class at a time.

Detections take their turn by score. Each takes the best of the objects that overlap it enough and are still free. One
that finds none, but lies on an ignored region with at least the same share of its own area, is left out of the count;
ignored regions are never used up, as COCO's crowds.

Average precision of one class over a sequence, as COCO computes it, and over resampled frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..core.boxes import covered_fraction, iou_matrix

IOU = 0.5
MAX_DETECTIONS = 100
"""Of one class in one frame, the best ones; COCO counts no more."""

TALL_PX = 24
"""Smaller objects, in picture pixels, are labelled unevenly: accuracy is also told without them."""

FALSE, RIGHT, LEFT_OUT = 0, 1, 2
UNMATCHED = -1


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
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")[:MAX_DETECTIONS]
    boxes, scores = np.asarray(boxes, np.float64).reshape(-1, 4)[order], np.asarray(scores, np.float64)[order]
    overlap = iou_matrix(boxes, objects)
    on_ignored = covered_fraction(boxes, ignored).max(axis=1, initial=0.0) >= iou
    outcome = np.where(on_ignored, LEFT_OUT, FALSE).astype(np.int8)
    found_by = np.full(len(objects), UNMATCHED, np.int64)
    for detection in np.flatnonzero(overlap.max(axis=1, initial=0.0) >= iou):
        free = np.where(found_by == UNMATCHED, overlap[detection], -1.0)
        # From the back, so that the later one of equals is found, as COCO does.
        best = len(free) - 1 - int(free[::-1].argmax())
        if free[best] >= iou:
            found_by[best], outcome[detection] = detection, RIGHT
    return FrameMatches(scores, outcome, len(objects), found_by)


def match_tall(boxes: np.ndarray, scores: np.ndarray, objects: np.ndarray, ignored: np.ndarray) -> FrameMatches:
    """As ``match``, without objects lower than ``TALL_PX``: those are ignored, and so are false detections as low."""
    tall = objects[:, 3] - objects[:, 1] >= TALL_PX
    found = match(boxes, scores, objects[tall], np.concatenate([ignored, objects[~tall]]))
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")[:MAX_DETECTIONS]
    low = (boxes[:, 3] - boxes[:, 1] < TALL_PX)[order]
    found.outcome[low & (found.outcome == FALSE)] = LEFT_OUT
    return found


RECALLS = np.linspace(0.0, 1.0, 101)


class PrecisionCurve:
    """All detections of a class, best first, ready to be counted with any weights of the frames."""

    def __init__(self, frames: Sequence[FrameMatches]) -> None:
        scores = np.concatenate([f.scores for f in frames]) if frames else np.zeros(0)
        outcome = np.concatenate([f.outcome for f in frames]) if frames else np.zeros(0, np.int8)
        frame = np.repeat(np.arange(len(frames)), [len(f.scores) for f in frames])
        order = np.argsort(-scores, kind="stable")
        order = order[outcome[order] != LEFT_OUT]
        self._frame, self._right = frame[order], outcome[order] == RIGHT
        self._objects = np.array([f.objects for f in frames], np.int64)

    def average_precision(self, weights: np.ndarray | None = None) -> float:
        """0 to 100; nan where there is no object to find.

        weights: int [frames], how often each frame is counted; None: each once. Precision at a recall is the best one
        at that recall or any higher; the mean is over recalls 0, 0.01 ... 1.
        """
        each = np.ones(len(self._objects), np.int64) if weights is None else weights
        objects = int((self._objects * each).sum())
        if objects == 0:
            return float("nan")
        counted = each[self._frame]
        right, all_counted = np.cumsum(counted * self._right), np.cumsum(counted)
        precision = right / np.maximum(all_counted, 1)
        best_from_here = np.maximum.accumulate(precision[::-1])[::-1]
        places = np.searchsorted(right / objects, RECALLS, side="left")
        return 100.0 * float(np.append(best_from_here, 0.0)[places].mean())


def mean_over_classes(values: Sequence[float]) -> float:
    """The mean of those that are numbers; nan when none is."""
    present = [value for value in values if not np.isnan(value)]
    return float(np.mean(present)) if present else float("nan")
