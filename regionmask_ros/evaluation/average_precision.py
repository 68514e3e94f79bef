"""Average precision of one class over a sequence, as COCO computes it, and over resampled frames."""

from __future__ import annotations

from typing import Sequence

import numpy as np

from .matching import LEFT_OUT, RIGHT, FrameMatches

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
