"""Each family's own decoding written once more: plain, cell by cell, slow, in double precision.

A decoder returns a list of (score, class, x0, y0, x1, y1) in input pixels, of the boxes at or above a score.
"""

from __future__ import annotations

import math

import numpy as np

from regionmask_ros.detection.heads.base import Candidates

Found = list[tuple[float, int, float, float, float, float]]


def same_candidates(found: Candidates, expected: Found) -> None:
    """Asserts that both hold the same boxes, in any order; scores at the limit may fall on either side of it."""
    assert found.boxes.dtype == found.scores.dtype == np.float32 and found.class_ids.dtype == np.int32
    mine = sorted(zip(found.scores.tolist(), found.class_ids.tolist(), *found.boxes.T.tolist()))
    other = sorted(expected)
    assert len(mine) == len(other)
    if mine:
        np.testing.assert_allclose(np.array(mine), np.array(other), rtol=1e-4, atol=2e-3)


def box_around(cx: float, cy: float, w: float, h: float) -> tuple[float, float, float, float]:
    return cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2


def plain_yolox(rows: np.ndarray, input_wh: tuple[int, int], strides: tuple[int, ...], lowest: float) -> Found:
    """Raw rows x y w h objectness scores: levels in order, each row by row."""
    found: Found = []
    at = 0
    for stride in strides:
        for gy in range(input_wh[1] // stride):
            for gx in range(input_wh[0] // stride):
                x, y, w, h, objectness, *scores = map(float, rows[at])
                at += 1
                score = objectness * max(scores)
                if score >= lowest:
                    box = box_around((x + gx) * stride, (y + gy) * stride, math.exp(w) * stride, math.exp(h) * stride)
                    found.append((score, scores.index(max(scores)), *box))
    return found


