"""Detections for tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from regionmask_ros.core.detections import Detections


def detections_of(*boxes, scores: float | Sequence[float] = 1.0, class_ids: int | Sequence[int] = 0) -> Detections:
    """Boxes x0 y0 x1 y1; one score and class for all of them, or one for each."""
    n = len(boxes)
    return Detections(
        np.array(boxes, np.float32).reshape(n, 4), np.full(n, scores, np.float32), np.full(n, class_ids, np.int32))
