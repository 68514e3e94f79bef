"""Values of JSON from untrusted files: of the expected kind and within limits, or refused."""

from __future__ import annotations

from typing import Any


def require_list(value: Any, most: int, fewest: int = 0) -> list[Any]:
    """Returns a list.

    Args:
        value: Anything.
        most: Number of items, at most.
        fewest: Number of items, at least.

    Returns:
        The same.

    Raises:
        TypeError: It is something else, or has more or fewer items.
    """
    if not isinstance(value, list) or not fewest <= len(value) <= most:
        raise TypeError("a list is needed")
    return value


def require_text(value: Any, most: int) -> str:
    """Returns a text.

    Args:
        value: Anything.
        most: Number of characters, at most.

    Returns:
        The same.

    Raises:
        TypeError: It is something else, or longer.
    """
    if not isinstance(value, str) or len(value) > most:
        raise TypeError("a text is needed")
    return value


def require_whole(value: Any, lowest: int, highest: int) -> int:
    """Returns a whole number.

    Args:
        value: Anything.
        lowest: The smallest one that is allowed.
        highest: The largest one that is allowed.

    Returns:
        The same.

    Raises:
        ValueError: It is something else, or out of range.
    """
    if type(value) is not int or not lowest <= value <= highest:
        raise ValueError(f"a whole number from {lowest} up to {highest} is needed")
    return value
