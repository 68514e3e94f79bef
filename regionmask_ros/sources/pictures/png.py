"""PNG: the header, and the chunks after it, by the PNG specification (ISO/IEC 15948)."""

from __future__ import annotations

import struct
import zlib

from ...errors import UNSUPPORTED, InvalidFile
from ...files.content import PNG_MAGIC
from .facts import Facts, part

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Samples of a pixel by the type of color."""
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
"""Bits of a sample by the type of color."""

DEFLATE_RATIO = 1032
"""The most bytes that one byte of a deflate stream can stand for."""

ANIMATION = frozenset((b"acTL", b"fcTL", b"fdAT"))
"""Chunks of animated PNG images. OpenCV 4.11 crashes on damaged ones."""

MAX_CHUNKS = 65_536
_HEADER = struct.Struct(">IIBBBBB")


def read_png(data: bytes, size: int) -> Facts:
    """The facts of a PNG image.

    Args:
        data: Its first bytes.
        size: Bytes of the whole image.

    Returns:
        The facts.

    Raises:
        InvalidFile: The header is damaged, or the image is animated.
        NeedsMore: The data end inside the header.
    """
    head = part(data, len(PNG_MAGIC), 8 + _HEADER.size + 4)
    if head[:8] != b"\0\0\0\x0dIHDR" or zlib.crc32(head[4:-4]) != int.from_bytes(head[-4:], "big"):
        raise InvalidFile("damaged PNG image (its header)")
    width, height, bits, color, compression, filtering, interlace = _HEADER.unpack(head[8:-4])
    if bits not in DEPTHS.get(color, ()) or compression or filtering or interlace > 1:
        raise InvalidFile(f"damaged PNG image: {bits} bits, type of color {color}")
    _refuse_animation(data)
    pixels = height * (1 + (width * bits * CHANNELS[color] + 7) // 8)
    return Facts(width, height, CHANNELS[color], bits, pixels // DEFLATE_RATIO)


def find_png_damage(data: bytes) -> str | None:
    """Follows the chunks to the last one and compares their checksums.

    Args:
        data: The whole image.

    Returns:
        What is wrong with it; None when nothing is.
    """
    position = len(PNG_MAGIC)
    view = memoryview(data)
    for _ in range(MAX_CHUNKS):
        end = position + 12 + int.from_bytes(data[position:position + 4], "big")
        if end > len(data):
            return "truncated PNG image"
        if zlib.crc32(view[position + 4:end - 4]) != int.from_bytes(data[end - 4:end], "big"):
            return "damaged PNG image (a checksum does not match)"
        if data[position + 4:position + 8] == b"IEND":
            return None
        position = end
    return f"damaged PNG image (more than {MAX_CHUNKS} chunks)"


def _refuse_animation(data: bytes) -> None:
    position = len(PNG_MAGIC)
    for _ in range(MAX_CHUNKS):
        name = data[position + 4:position + 8]
        if name in ANIMATION:
            raise InvalidFile("animated PNG image: only still ones are read", UNSUPPORTED)
        position += 12 + int.from_bytes(data[position:position + 4], "big")
        if name == b"IEND" or position + 8 > len(data):
            return
