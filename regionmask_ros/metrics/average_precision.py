"""Average precision as the COCO benchmark computes it, one class at a time, and confidence intervals.

Matching: detections are taken in the order of their scores. Each is matched with the free object of the largest
overlap, if that is enough. A detection without a match that lies on an ignored region with at least the same share of
its own area is not counted. An ignored region can be matched any number of times, like the crowds of COCO.

Source: COCO evaluation, https://cocodataset.org/#detection-eval; results are compared with pycocotools in the tests.

Intervals: the circular block bootstrap. Neighboring frames are nearly equal, so single frames must not be drawn.
Instead blocks of consecutive frames are drawn with replacement, until there are as many frames as before. A block that
reaches the end continues at the start.

Source: Politis and Romano, "A circular block-resampling procedure for stationary data", 1992.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..core.boxes import covered_fraction, iou_matrix

IOU = 0.5
MAX_DETECTIONS = 100
"""Detections of one class in one frame that are counted, those of the highest scores."""

TALL_PX = 24
"""Lower objects, in image pixels, are not labeled consistently: accuracy is also given without them."""

FALSE, RIGHT, LEFT_OUT = 0, 1, 2
UNMATCHED = -1


@dataclass(frozen=True)
class FrameMatches:
    """Matches of one class in one frame.

    Attributes:
        scores: float64 [n], in descending order.
        outcome: int8 [n], ``FALSE``, ``RIGHT`` or ``LEFT_OUT``.
        objects: Number of objects to find.
        found_by: int64 [objects], the detection that matches each, or ``UNMATCHED``.
    """

    scores: np.ndarray
    outcome: np.ndarray
    objects: int
    found_by: np.ndarray


def match(boxes: np.ndarray, scores: np.ndarray, objects: np.ndarray, ignored: np.ndarray,
          iou: float = IOU) -> FrameMatches:
    """Matches the detections of one class in one frame with its objects. All boxes are x0, y0, x1, y1.

    Args:
        boxes: float [n, 4], the detections.
        scores: float [n].
        objects: float [m, 4].
        ignored: float [k, 4], the ignored regions.
        iou: Intersection over union that is enough. Of equal overlaps the later object is taken.

    Returns:
        The matches.
    """
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")[:MAX_DETECTIONS]
    boxes, scores = np.asarray(boxes, np.float64).reshape(-1, 4)[order], np.asarray(scores, np.float64)[order]
    overlap = iou_matrix(boxes, objects)
    on_ignored = covered_fraction(boxes, ignored).max(axis=1, initial=0.0) >= iou
    outcome = np.where(on_ignored, LEFT_OUT, FALSE).astype(np.int8)
    found_by = np.full(len(objects), UNMATCHED, np.int64)
    for detection in np.flatnonzero(overlap.max(axis=1, initial=0.0) >= iou):
        free = np.where(found_by == UNMATCHED, overlap[detection], -1.0)
        # From the back: among equals COCO takes the later object.
        best = len(free) - 1 - int(free[::-1].argmax())
        if free[best] >= iou:
            found_by[best], outcome[detection] = detection, RIGHT
    return FrameMatches(scores, outcome, len(objects), found_by)


def match_tall(boxes: np.ndarray, scores: np.ndarray, objects: np.ndarray, ignored: np.ndarray) -> FrameMatches:
    """Matches as `match` does, but ignores objects lower than ``TALL_PX`` and false detections as low.

    Args:
        boxes: float [n, 4], the detections.
        scores: float [n].
        objects: float [m, 4].
        ignored: float [k, 4].

    Returns:
        The matches.
    """
    tall = objects[:, 3] - objects[:, 1] >= TALL_PX
    found = match(boxes, scores, objects[tall], np.concatenate([ignored, objects[~tall]]))
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")[:MAX_DETECTIONS]
    low = (boxes[:, 3] - boxes[:, 1] < TALL_PX)[order]
    found.outcome[low & (found.outcome == FALSE)] = LEFT_OUT
    return found


RECALLS = np.linspace(0.0, 1.0, 101)


class PrecisionCurve:
    """All detections of a class in the order of their scores, to be counted with any weights of the frames.

    Args:
        frames: The matches of each frame.
    """

    def __init__(self, frames: Sequence[FrameMatches]) -> None:
        scores = np.concatenate([f.scores for f in frames]) if frames else np.zeros(0)
        outcome = np.concatenate([f.outcome for f in frames]) if frames else np.zeros(0, np.int8)
        frame = np.repeat(np.arange(len(frames)), [len(f.scores) for f in frames])
        order = np.argsort(-scores, kind="stable")
        order = order[outcome[order] != LEFT_OUT]
        self._frame, self._right = frame[order], outcome[order] == RIGHT
        self._objects = np.array([f.objects for f in frames], np.int64)

    def average_precision(self, weights: np.ndarray | None = None) -> float:
        """Computes the mean precision over the recalls 0, 0.01, ... 1.

        The precision at a recall is the highest one at that recall or above.

        Args:
            weights: int [frames], how often each frame is counted; None: each once.

        Returns:
            From 0 to 100; nan if there is no object to find.
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
    """Returns the mean of those values that are not nan; nan if all are."""
    present = [value for value in values if not np.isnan(value)]
    return float(np.mean(present)) if present else float("nan")


RESAMPLES = 400
MAX_BLOCK = 25
MIN_BLOCKS = 5
LOW, HIGH = 5.0, 95.0
"""Percentiles of a 90 % interval."""


def block_length(frames: int) -> int:
    """Returns the frames of a block: up to 25, about a second of video, but at least five blocks per sequence."""
    return max(1, min(MAX_BLOCK, frames // MIN_BLOCKS))


def frame_weights(frames: int, seed_text: str, resamples: int = RESAMPLES) -> np.ndarray:
    """Draws frames.

    Args:
        frames: Number of frames of the sequence.
        seed_text: The same text draws the same frames, so that settings of one sequence are compared on equal draws.
        resamples: Number of draws.

    Returns:
        int64 [resamples, frames], how often each frame is drawn.
    """
    length = block_length(frames)
    blocks = -(-frames // length)
    rng = np.random.default_rng(zlib.crc32(seed_text.encode()))
    starts = rng.integers(0, frames, (resamples, blocks))
    drawn = ((starts[:, :, None] + np.arange(length)) % frames).reshape(resamples, -1)[:, :frames]
    return np.stack([np.bincount(one, minlength=frames) for one in drawn]) if frames else np.zeros((resamples, 0), int)


def confidence_interval(values: Sequence[float]) -> tuple[float, float]:
    """Computes the 90 % interval of resampled values.

    Args:
        values: nan is left out.

    Returns:
        Lower and upper end; nan, nan if there is no value.
    """
    numbers = np.asarray(values, np.float64)
    numbers = numbers[~np.isnan(numbers)]
    if not len(numbers):
        return float("nan"), float("nan")
    low, high = np.percentile(numbers, [LOW, HIGH])
    return float(low), float(high)
