"""How the C library's malloc keeps memory that is free."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping

ARENA_MAX = 2
_M_ARENA_MAX = -8
"""The number of the option in glibc's malloc.h."""


def limit_arenas(environment: Mapping[str, str]) -> bool:
    """Lets all threads share two of glibc's arenas. To be called before the process has threads.

    Every backend opens in a thread of its own. By default each such thread may get an arena of its own, up to eight for
    each core, and what was freed in one of them serves no other: the process grows with every change of the backend.

    Args:
        environment: Environment variables; ``MALLOC_ARENA_MAX`` is the user's own choice and is left alone.

    Returns:
        Whether there is such a limit now, by this function.
    """
    if "MALLOC_ARENA_MAX" in environment:
        return False
    # Other C libraries do not have it, or no arenas.
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    is_glibc = "CS_GNU_LIBC_VERSION" in os.confstr_names
    return bool(mallopt and is_glibc and mallopt(_M_ARENA_MAX, ARENA_MAX))
