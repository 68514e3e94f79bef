"""Which Numba the kernels with vector instructions need."""

from __future__ import annotations

import logging
import re
from functools import lru_cache

import numba

OLDEST = (0, 55)
"""The first that knows Python 3.10 and LLVM 11; 0.55.2 with llvmlite 0.38 is tested and runs all paths."""


@lru_cache(maxsize=None)
def is_new_enough() -> bool:
    """Whether this Numba compiles vector code. Says once when it does not."""
    found = tuple(map(int, re.findall(r"\d+", numba.__version__)[:2]))
    if found < OLDEST:
        logging.getLogger(__name__).warning(
            "Numba %s is older than %d.%d: the event engine takes its portable path, which is slower",
            numba.__version__, *OLDEST)
    return found >= OLDEST
