"""Rows of an output whose score is high enough, found before anything else is computed of them."""

from __future__ import annotations

import math

import numpy as np

from ...jit.cache import Whole, kernel


def select_objects(rows: np.ndarray, lowest: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Selects from rows of four box values, objectness, and one score for each class.

    Args:
        rows: float [n, 5 + classes], objectness and class scores of 0 to 1.
        lowest: Lowest score, objectness times the best class's, that is kept.

    Returns:
        Indices of the rows, their scores and their best classes, int32.
    """
    if rows.dtype == np.float32 and rows.flags.c_contiguous and rows.flags.writeable:
        found = np.empty(len(rows), np.int64), np.empty(len(rows), np.float32), np.empty(len(rows), np.int32)
        count = _find_objects(rows, np.float32(lowest), *found)
        return found[0][:count], found[1][:count], found[2][:count]
    # Reading one column of the whole output is the quick test: class scores only make a score smaller.
    index = np.flatnonzero(rows[:, 4] >= lowest)
    some = rows[index]
    classes = some[:, 5:].argmax(axis=1)
    scores = some[:, 4] * some[np.arange(len(some)), 5 + classes]
    kept = scores >= lowest
    return index[kept], scores[kept], classes[kept].astype(np.int32)


def select_best(scores: np.ndarray, lowest: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Selects from rows of one score for each class.

    Args:
        scores: float [n, classes], with any strides in memory.
        lowest: Lowest score of the best class that is kept.

    Returns:
        Indices of the rows, their scores and their best classes.
    """
    if scores.strides[0] < scores.strides[1]:
        # One class after the other in memory: the maximum over classes runs along whole rows of it.
        index = np.flatnonzero(scores.max(axis=1) >= lowest)
    elif scores.dtype == np.float32 and scores.flags.c_contiguous and scores.flags.writeable:
        index = np.empty(len(scores), np.int64)
        index = index[:_find_rows(scores, np.float32(lowest), index)]
    else:
        index = np.flatnonzero((scores >= lowest).any(axis=1))
    some = scores[index]
    classes = some.argmax(axis=1)
    best = some[np.arange(len(some)), classes]
    # A nan wins argmax, and compares false here.
    kept = best >= lowest
    return index[kept], best[kept], classes[kept]


def select_shares(logits: np.ndarray, nothing: int, lowest: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Selects from rows of one logit for each class and one for "nothing", all of which go through a softmax.

    Args:
        logits: float [n, classes + 1].
        nothing: Column of "nothing", the first or the last one.
        lowest: Lowest share of the best class that is kept.

    Returns:
        Indices of the rows, their shares and their best classes, which are counted without "nothing".
    """
    classes = logits[:, 1:] if nothing == 0 else logits[:, :-1]
    # The share cannot be greater than it would be with "nothing" alone.
    index = np.flatnonzero(classes.max(axis=1) - logits[:, nothing] >= logit(lowest))
    shares = softmax(np.ascontiguousarray(logits[index].T))
    shares = shares[1:] if nothing == 0 else shares[:-1]
    best = shares.max(axis=0)
    kept = best >= lowest
    return index[kept], best[kept], shares.argmax(axis=0)[kept]


@kernel
def _find_objects(rows: np.ndarray, lowest: np.float32, index: np.ndarray, scores: np.ndarray, classes: np.ndarray
                  ) -> int:
    """Writes what ``select_objects`` returns; returns how many."""
    count = np.int64(0)
    for row in range(rows.shape[0]):
        if rows[row, 4] >= lowest:
            best: Whole = np.int64(5)
            for c in range(6, rows.shape[1]):
                # As in NumPy's argmax, the first nan wins.
                if rows[row, c] > rows[row, best] or (np.isnan(rows[row, c]) and not np.isnan(rows[row, best])):
                    best = c
            score = rows[row, 4] * rows[row, best]
            if score >= lowest:
                index[count], scores[count], classes[count] = row, score, best - 5
                count += 1
    return int(count)


@kernel
def _find_rows(scores: np.ndarray, lowest: np.float32, index: np.ndarray) -> int:
    """Writes the indices of rows with a score that is high enough; returns how many. Three times as fast as NumPy."""
    count = np.int64(0)
    for row in range(scores.shape[0]):
        # Without a way out, the loop becomes vector code.
        high = False
        for c in range(scores.shape[1]):
            high |= scores[row, c] >= lowest
        if high:
            index[count] = row
            count += 1
    return int(count)


def sigmoid(values: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)), without overflow."""
    shares: np.ndarray = 0.5 * (1.0 + np.tanh(0.5 * values))
    return shares


def softmax(values: np.ndarray) -> np.ndarray:
    """Over the first axis, which NumPy reduces much faster than a short last one."""
    powers = np.exp(values - values.max(axis=0))
    shares: np.ndarray = powers / powers.sum(axis=0)
    return shares


def logit(score: float) -> float:
    """Inverse of ``sigmoid``; infinite at 0 and 1 and beyond."""
    if score <= 0.0:
        return -math.inf
    return math.inf if score >= 1.0 else math.log(score / (1.0 - score))


def are_scores(values: np.ndarray) -> bool:
    """Whether all values can be scores: 0 to 1, with some room for half precision."""
    return bool(values.size) and bool(values.min() >= -0.001 and values.max() <= 1.001)


def corners_of(centers: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """From centers and sizes, each [n, 2], to x0 y0 x1 y1, float32 [n, 4]."""
    corners = np.empty((len(centers), 4), np.float32)
    half = sizes * np.float32(0.5)
    np.subtract(centers, half, out=corners[:, :2], casting="same_kind")
    np.add(centers, half, out=corners[:, 2:], casting="same_kind")
    return corners
