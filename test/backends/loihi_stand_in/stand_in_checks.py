"""Checks that the stand-in is used as the extension's interface allows."""

from __future__ import annotations

from typing import Any


class Misused(Exception):
    """The extension was called with a name, type, shape or value that is not part of its interface."""


def need(condition: Any, what: str) -> None:
    if not condition:
        raise Misused(what)


def need_type(value: Any, kind: type, what: str) -> None:
    need(type(value) is kind, f"{what} is a {type(value).__name__}, expected {kind.__name__}")


def need_shape(shape: Any, what: str) -> None:
    """A tuple of three positive ints, (x, y, channel)."""
    need(type(shape) is tuple and len(shape) == 3 and all(int(side) > 0 for side in shape), f"{what} is {shape!r}")
