"""How much boxes overlap. Boxes are float [n, 4], x0 y0 x1 y1."""

from __future__ import annotations

import numpy as np


def iou_matrix(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union, float64 [len(a), len(b)]; 0 where both are without area."""
    common = _intersection(a, b)
    union = _area(a)[:, None] + _area(b)[None] - common
    return common / np.maximum(union, np.finfo(np.float64).tiny)


def covered_fraction(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over the area of ``a``, float64 [len(a), len(b)]; 0 where that has none."""
    return _intersection(a, b) / np.maximum(_area(a), np.finfo(np.float64).tiny)[:, None]


def _intersection(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    width = np.minimum(a[:, None, 2], b[None, :, 2]) - np.maximum(a[:, None, 0], b[None, :, 0])
    height = np.minimum(a[:, None, 3], b[None, :, 3]) - np.maximum(a[:, None, 1], b[None, :, 1])
    return np.maximum(width, 0.0) * np.maximum(height, 0.0)


def _area(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
