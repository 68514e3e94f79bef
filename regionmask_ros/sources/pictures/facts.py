"""What the readers of headers have in common."""

from __future__ import annotations

from typing import NamedTuple


class NeedsMore(Exception):
    """The bytes end inside the header."""


class Facts(NamedTuple):
    """What a header says, not yet compared with limits.

    Attributes:
        width: Columns.
        height: Rows.
        channels: Samples of a pixel.
        bits: Bits of a sample.
        least_bytes: A file of fewer bytes cannot hold so many pixels.
        orientation: How the camera was held, 1 to 8 as EXIF numbers it.
        start: Offset of the first byte of the first scan of a JPEG picture; else 0.
        progressive: Whether a JPEG picture has several scans of one component, each with more detail.
    """

    width: int
    height: int
    channels: int
    bits: int
    least_bytes: int
    orientation: int = 1
    start: int = 0
    progressive: bool = False


def part(data: bytes, start: int, length: int) -> bytes:
    """Bytes ``start`` to ``start + length``. Raises NeedsMore when the data end before."""
    found = data[start:start + length]
    if len(found) < length:
        raise NeedsMore
    return found
