"""Each family's own decoding written once more: plain, cell by cell, slow, in double precision.

A decoder returns a list of (score, class, x0, y0, x1, y1) in input pixels, of the boxes at or above a score.
"""

from __future__ import annotations

import math

import numpy as np

from regionmask_ros.detection.heads.base import Candidates

Found = list[tuple[float, int, float, float, float, float]]


def same_candidates(found: Candidates, expected: Found, lowest: float) -> None:
    """Asserts that both hold the same boxes in the order of the cells; a score at the limit may fall on either side."""
    assert found.boxes.dtype == found.scores.dtype == np.float32 and found.class_ids.dtype == np.int32
    mine = np.column_stack([found.scores, found.class_ids, found.boxes]).astype(float)
    other = np.array(expected).reshape(-1, 6)
    assert (mine[:, 0] >= lowest - 1e-6).all()
    np.testing.assert_allclose(mine[mine[:, 0] > lowest + 1e-5], other[other[:, 0] > lowest + 1e-5],
                               rtol=1e-4, atol=2e-3)


def is_square(output: np.ndarray) -> bool:
    """Whether the shape of an output [1, a, b] does not tell which axis is that of the cells; heads take the usual."""
    return output.shape[1] == output.shape[2]


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




def plain_yolov5(rows: np.ndarray, lowest: float) -> Found:
    """Rows x y w h objectness scores in input pixels."""
    found: Found = []
    for x, y, w, h, objectness, *scores in rows.astype(float).tolist():
        score = objectness * max(scores)
        if score >= lowest:
            found.append((score, scores.index(max(scores)), *box_around(x, y, w, h)))
    return found


def mean_of_distribution(numbers: np.ndarray) -> float:
    powers = [math.exp(float(number) - float(max(numbers))) for number in numbers]
    return sum(place * power for place, power in enumerate(powers)) / sum(powers)


def plain_distances(scores: list[np.ndarray], distances: list[np.ndarray], input_wh: tuple[int, int],
                    strides: tuple[int, ...], offset: float, lowest: float) -> Found:
    """Scores (after a sigmoid) and distances of each level, [cells, classes] and [cells, 4 * bins] or [cells, 4]."""
    found: Found = []
    for stride, of_cells, sides in zip(strides, scores, distances):
        at = 0
        for gy in range(math.ceil(input_wh[1] / stride)):
            for gx in range(math.ceil(input_wh[0] / stride)):
                values, numbers = of_cells[at].astype(float).tolist(), sides[at]
                at += 1
                if max(values) < lowest:
                    continue
                if len(numbers) == 4:
                    left, top, right, bottom = map(float, numbers)
                else:
                    left, top, right, bottom = (mean_of_distribution(side) for side in numbers.reshape(4, -1))
                x, y = gx + offset, gy + offset
                box = (x - left) * stride, (y - top) * stride, (x + right) * stride, (y + bottom) * stride
                found.append((max(values), values.index(max(values)), *box))
    return found


def plain_fastestdet(output: np.ndarray, input_wh: tuple[int, int], trained_wh: tuple[int, int], lowest: float
                     ) -> Found:
    """A map [5 + classes, rows, cols]."""
    found: Found = []
    _, rows, cols = output.shape
    for gy in range(rows):
        for gx in range(cols):
            objectness, x, y, w, h, *scores = output[:, gy, gx].astype(float).tolist()
            score = objectness ** 0.6 * max(scores) ** 0.4
            if score >= lowest:
                cx, cy = (math.tanh(x) + gx) / cols * input_wh[0], (math.tanh(y) + gy) / rows * input_wh[1]
                w, h = trained_wh[0] / (1 + math.exp(-w)), trained_wh[1] / (1 + math.exp(-h))
                found.append((score, scores.index(max(scores)), *box_around(cx, cy, w, h)))
    return found


def softmax(values: list[float]) -> list[float]:
    powers = [math.exp(value - max(values)) for value in values]
    return [power / sum(powers) for power in powers]


def plain_default_boxes(input_wh: tuple[int, int], name: str) -> list[tuple[float, float, float, float]]:
    """torchvision's default boxes: centers and sizes in shares of the input."""
    if name == "ssdlite":
        grids = [(math.ceil(input_wh[0] / s), math.ceil(input_wh[1] / s)) for s in (16, 32, 64, 128, 256, 512)]
        scales, ratios = [0.2 + 0.75 * k / 5 for k in range(6)] + [1.0], [[2, 3]] * 6
        cells = [(1 / cols, 1 / rows) for cols, rows in grids]
    else:
        grids = [(n, n) for n in (38, 19, 10, 5, 3, 1)]
        scales, ratios = [0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05], [[2], [2, 3], [2, 3], [2, 3], [2], [2]]
        cells = [(s / 300, s / 300) for s in (8, 16, 32, 64, 100, 300)]
    found, trained = [], 320 if name == "ssdlite" else 300
    for k, (cols, rows) in enumerate(grids):
        sizes = [(scales[k], scales[k]), (math.sqrt(scales[k] * scales[k + 1]),) * 2]
        for ratio in ratios[k]:
            w, h = scales[k] * math.sqrt(ratio), scales[k] / math.sqrt(ratio)
            sizes += [(w, h), (h, w)]
        for y in range(rows):
            for x in range(cols):
                found += [((x + 0.5) * cells[k][0], (y + 0.5) * cells[k][1],
                           min(w, 1.0) * trained / input_wh[0], min(h, 1.0) * trained / input_wh[1])
                          for w, h in sizes]
    return found


def plain_offsets(default: tuple[float, float, float, float], offsets: np.ndarray) -> tuple[float, ...]:
    """Center and size of the box that lies at these offsets from a default box."""
    (cx, cy, w, h), (dx, dy, dw, dh) = default, offsets.astype(float).tolist()
    most = math.log(1000 / 16)
    return cx + dx / 10 * w, cy + dy / 10 * h, w * math.exp(min(dw / 5, most)), h * math.exp(min(dh / 5, most))


def plain_suppression(found: Found, nms_iou: float) -> Found:
    """Best first; a box goes when it overlaps one of its class that stays."""
    kept: Found = []
    for score, number, *box in sorted(found, reverse=True):
        if all(number != other or overlap(box, rest) <= nms_iou for _, other, *rest in kept):
            kept.append((score, number, *box))
    return kept


def overlap(a: list[float], b: list[float]) -> float:
    """Intersection over union."""
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    both = max(w, 0.0) * max(h, 0.0)
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both) if both else 0.0
