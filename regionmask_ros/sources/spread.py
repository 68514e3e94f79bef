"""Which of many pictures stand for all of them."""

from __future__ import annotations

import numpy as np


def spread_indices(length: int, count: int) -> list[int]:
    """Up to ``count`` of the numbers 0 to ``length`` - 1, evenly spread, rising."""
    return sorted(set(np.linspace(0, length - 1, min(length, count)).round().astype(int).tolist()))
