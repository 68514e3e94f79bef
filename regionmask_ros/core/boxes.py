"""Overlap of boxes: float [n, 4], x0 y0 x1 y1, as arrays and as kernels that other kernels call."""

from __future__ import annotations

import numpy as np

from ..jit.cache import kernel

_TINY = float(np.finfo(np.float64).tiny)


def iou_matrix(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union, float64 [len(a), len(b)]; 0 where both are without area."""
    common = _intersection(a, b)
    union = _area(a)[:, None] + _area(b)[None] - common
    result: np.ndarray = common / np.maximum(union, _TINY)
    return result


def covered_fraction(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over the area of ``a``, float64 [len(a), len(b)]; 0 where that has none."""
    result: np.ndarray = _intersection(a, b) / np.maximum(_area(a), _TINY)[:, None]
    return result


def _intersection(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    width = np.minimum(a[:, None, 2], b[None, :, 2]) - np.maximum(a[:, None, 0], b[None, :, 0])
    height = np.minimum(a[:, None, 3], b[None, :, 3]) - np.maximum(a[:, None, 1], b[None, :, 1])
    result: np.ndarray = np.maximum(width, 0.0) * np.maximum(height, 0.0)
    return result


def _area(boxes: np.ndarray) -> np.ndarray:
    result: np.ndarray = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return result


@kernel
def intersection_and_union(a: np.ndarray, i: int, b: np.ndarray, j: int) -> tuple[float, float]:
    """Areas that box i of ``a`` and box j of ``b`` have in common and together. Both float64 [n, 4]."""
    across = min(a[i, 2], b[j, 2]) - max(a[i, 0], b[j, 0])
    down = min(a[i, 3], b[j, 3]) - max(a[i, 1], b[j, 1])
    common = max(across, 0.0) * max(down, 0.0)
    area = (a[i, 2] - a[i, 0]) * (a[i, 3] - a[i, 1]) + (b[j, 2] - b[j, 0]) * (b[j, 3] - b[j, 1])
    return common, area - common


@kernel
def iou(a: np.ndarray, i: int, b: np.ndarray, j: int) -> float:
    """As ``iou_matrix``, of box i of ``a`` and box j of ``b``."""
    common, union = intersection_and_union(a, i, b, j)
    return float(common / max(union, _TINY))


@kernel
def area_ratio(a: np.ndarray, i: int, b: np.ndarray, j: int) -> float:
    """As ``covered_fraction``, of box i of ``a`` and box j of ``b``."""
    common, _ = intersection_and_union(a, i, b, j)
    return float(common / max((a[i, 2] - a[i, 0]) * (a[i, 3] - a[i, 1]), _TINY))
