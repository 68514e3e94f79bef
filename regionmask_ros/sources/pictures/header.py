"""What the header of an encoded picture says, and the limits that it must keep.

A few bytes can claim a picture of many gigabytes, and decoders allocate what a header claims. So every picture passes
``read_header`` first: it allocates nothing of the picture's size, and reads a few kilobytes at most.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import cast

from ...core.option_table import OPTIONS
from ...errors import EMPTY, TOO_LARGE, UNSUPPORTED, InvalidFile
from ...files.content import HEAD_BYTES, check_head, picture_kind
from .bitmap import read_bmp, read_pnm
from .facts import Facts, NeedsMore
from .jpeg import read_jpeg
from .png import read_png
from .tiff import read_tiff
from .webp import read_webp

MAX_IMAGE_PIXELS = cast(int, OPTIONS["max_image_pixels"].default)

JPEG, PNG, BMP, TIFF, WEBP, PNM = "JPEG", "PNG", "BMP", "TIFF", "WebP", "PNM"


@dataclass(frozen=True)
class PictureHeader:
    """What the header of a checked picture says.

    Attributes:
        kind: The format, such as "PNG".
        width: Columns.
        height: Rows.
        channels: Samples of a pixel.
        bits: Bits of a sample.
        orientation: How the camera was held, 1 to 8 as EXIF numbers it; 1, upright, for all formats but JPEG and WebP:
            OpenCV turns the others.
        start: Offset of the first byte of the first scan of a JPEG picture; 0 for the other formats.
        progressive: Whether it is a JPEG picture with progressive scans.
    """

    kind: str
    width: int
    height: int
    channels: int
    bits: int
    orientation: int
    start: int
    progressive: bool


READERS: Mapping[str, Callable[[bytes, int], Facts]] = {
    JPEG: read_jpeg, PNG: read_png, BMP: read_bmp, TIFF: read_tiff, WEBP: read_webp, PNM: read_pnm}
"""What reads the header of each format, from the first bytes of the picture and its size in bytes."""


def read_header(
    data: bytes, max_pixels: int = MAX_IMAGE_PIXELS, kinds: Collection[str] = tuple(READERS), size: int | None = None,
) -> PictureHeader | None:
    """Reads and checks the header of a picture.

    Args:
        data: The picture, or its first bytes.
        max_pixels: Largest number of pixels. Those with 16-bit colors count twice.
        kinds: The accepted formats.
        size: Bytes of the whole picture; None if ``data`` is the whole picture.

    Returns:
        The header. None when more bytes are needed, which happens with a part of a picture only.

    Raises:
        InvalidFile: This is no picture of these formats, its header is damaged or claims too much, or the picture is
            of a sort that is not read.
    """
    size = len(data) if size is None else size
    if not size:
        raise InvalidFile("empty file", EMPTY)
    kind = picture_kind(data)
    if kind is None:
        wanted = f"an image that can be decoded ({', '.join(kinds)})"
        check_head(data[:HEAD_BYTES], (), wanted)
        raise InvalidFile(f"not {wanted}", UNSUPPORTED)
    if kind not in kinds:
        raise InvalidFile(f"a {kind} image, where only {' and '.join(kinds)} can be used", UNSUPPORTED)
    try:
        facts = READERS[kind](data, size)
    except (NeedsMore, struct.error, IndexError):
        if size > len(data):
            return None
        raise InvalidFile(f"truncated or damaged {kind} image") from None
    width, height = facts.width, facts.height
    if width < 1 or height < 1:
        raise InvalidFile(f"damaged {kind} image: {width}x{height} pixels")
    is_deep = facts.bits > 8 and facts.channels > 1
    if width * height * (1 + is_deep) > max_pixels:
        note = "; 16-bit colors count twice" if is_deep else ""
        raise InvalidFile(
            f"{kind} image of {width}x{height}: more pixels than max_image_pixels allows, {max_pixels}{note}",
            TOO_LARGE)
    if facts.least_bytes > size:
        raise InvalidFile(
            f"truncated {kind} image: {width}x{height} pixels need {facts.least_bytes} bytes, it has {size}")
    return PictureHeader(kind, width, height, facts.channels, facts.bits, facts.orientation, facts.start,
                         facts.progressive)
