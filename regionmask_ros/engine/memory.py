"""Arrays for kernels."""

from __future__ import annotations

import numpy as np

_CACHE_LINE = 64


def aligned(count: int, dtype: type) -> np.ndarray:
    """Zeros that begin at a cache line: a vector then never lies across two."""
    size = count * np.dtype(dtype).itemsize
    memory = np.zeros(size + _CACHE_LINE, np.uint8)
    start = -memory.ctypes.data % _CACHE_LINE
    return memory[start:start + size].view(dtype)
