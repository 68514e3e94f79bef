"""How many classes a file's metadata names, where the head's shape leaves it open."""

from __future__ import annotations

import ast
from collections.abc import Mapping

MOST_CHARACTERS = 100_000


def count_names(metadata: Mapping[str, str]) -> int:
    """Counts the class names that exporters such as Ultralytics' store under ``names``, as a list or a dict.

    Args:
        metadata: Texts in the file.

    Returns:
        The number; 0 if there are none or they cannot be read.
    """
    text = metadata.get("names", "")
    if not text or len(text) > MOST_CHARACTERS:
        return 0
    try:
        names = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return 0
    return len(names) if isinstance(names, (list, tuple, dict)) else 0
