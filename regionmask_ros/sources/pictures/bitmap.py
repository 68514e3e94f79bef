"""Headers of the formats without compression: BMP, and PNM, which is PBM, PGM and PPM."""

from __future__ import annotations

import re
import struct

from ...errors import UNSUPPORTED, InvalidFile
from .facts import Facts, NeedsMore, part

BMP_DEPTHS = (1, 4, 8, 16, 24, 32)
BMP_STORED = (0, 3)
"""Plain pixels, and pixels with masks of their colors. Run lengths (1, 2) and embedded files (4, 5) are refused."""

MAX_PNM_HEADER = 4096
_GAP = rb"(?:\s|#[^\n]*\n)+"
_PNM = re.compile(rb"P[1-6]" + _GAP + rb"(\d{1,9})" + _GAP + rb"(\d{1,9})\s")
_PNM_WHITE = re.compile(rb"P[2356]" + _GAP + rb"\d{1,9}" + _GAP + rb"\d{1,9}" + _GAP + rb"(\d{1,5})\s")


def read_bmp(data: bytes, size: int) -> Facts:
    """The facts of a BMP image.

    Args:
        data: Its first bytes.
        size: Bytes of the whole image.

    Returns:
        The facts.

    Raises:
        InvalidFile: The header is damaged, or the pixels are compressed.
        NeedsMore: The data end inside the header.
    """
    start, header = struct.unpack("<II", part(data, 10, 8))
    if header == 12:
        width, height, _, bits = struct.unpack("<HHHH", part(data, 18, 8))
        stored = 0
    elif 40 <= header <= 256:
        width, height, _, bits, stored = struct.unpack("<iiHHI", part(data, 18, 16))
    else:
        raise InvalidFile("damaged BMP image (its header)")
    if bits not in BMP_DEPTHS or stored not in BMP_STORED:
        raise InvalidFile(
            f"BMP image of {bits} bits with compression {stored}: use 8, 24 or 32 bits without", UNSUPPORTED)
    height = abs(height)
    row = (width * bits + 31) // 32 * 4
    # The padding of the last row is missing in some files.
    return Facts(width, height, max(1, bits // 8), min(bits, 8), start + row * height - 3)


def read_pnm(data: bytes, size: int) -> Facts:
    """The facts of a PBM, PGM or PPM image.

    Args:
        data: Its first bytes.
        size: Bytes of the whole image.

    Returns:
        The facts.

    Raises:
        InvalidFile: The header is damaged.
        NeedsMore: The data end inside the header.
    """
    head = data[:MAX_PNM_HEADER]
    kind = head[1:2]
    found, white = _PNM.match(head), _PNM_WHITE.match(head)
    if not found or (kind not in b"14" and not white):
        if len(data) < MAX_PNM_HEADER:
            raise NeedsMore
        raise InvalidFile("damaged PNM image (its header)")
    width, height = int(found[1]), int(found[2])
    largest = int(white[1]) if white else 1
    if not 1 <= largest <= 65_535:
        raise InvalidFile(f"damaged PNM image: its white is {largest}")
    channels, samples = (3 if kind in b"36" else 1), width * height
    sample_bits = 16 if largest > 255 else 8
    if kind in b"123":
        # A digit each; bits of a PBM image may stand side by side, other numbers have a space between them.
        stored = samples * channels if kind == b"1" else 2 * samples * channels - 1
    else:
        stored = height * ((width + 7) // 8) if kind == b"4" else samples * channels * sample_bits // 8
    end = white.end() if white else found.end()
    return Facts(width, height, channels, sample_bits, end + stored)


def unusual_white(data: bytes) -> int | None:
    """The value of white in a PGM or PPM image when it is neither 255 nor 65535; None otherwise."""
    # OpenCV reads 4095, the white of a 12-bit camera, as 4095 of 65535, which is nearly black.
    match = _PNM_WHITE.match(data[:MAX_PNM_HEADER])
    white = int(match[1]) if match else 255
    return white if white not in (0, 255, 65_535) else None
