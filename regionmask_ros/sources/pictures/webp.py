"""WebP: the first chunks of the file, by RFC 9649."""

from __future__ import annotations

from ...errors import UNSUPPORTED, InvalidFile
from .facts import Facts, part
from .tiff import read_orientation

ANIMATED = 0x02
MAX_CHUNKS = 64
"""Before the picture: color profile and transparency. Behind it: EXIF and XMP."""


def read_webp(data: bytes, size: int) -> Facts:
    """The facts of a still WebP image.

    Args:
        data: Its first bytes. EXIF data behind the picture count if these are all.
        size: Bytes of the whole image.

    Returns:
        The facts.

    Raises:
        InvalidFile: The header is damaged, or the image is animated.
        NeedsMore: The data end before the picture.
    """
    if int.from_bytes(part(data, 4, 4), "little") + 8 > size:
        raise InvalidFile("truncated WebP image")
    canvas, position = None, 12
    for _ in range(MAX_CHUNKS):
        name = part(data, position, 4)
        length = int.from_bytes(part(data, position + 4, 4), "little")
        if position + 8 + length > size:
            raise InvalidFile("truncated WebP image")
        if name in (b"ANIM", b"ANMF"):
            raise InvalidFile("animated WebP image: only still ones are read", UNSUPPORTED)
        if name == b"VP8X":
            head = part(data, position + 8, 10)
            if head[0] & ANIMATED:
                raise InvalidFile("animated WebP image: only still ones are read", UNSUPPORTED)
            canvas = (1 + int.from_bytes(head[4:7], "little"), 1 + int.from_bytes(head[7:10], "little"))
        elif name in (b"VP8 ", b"VP8L"):
            wh = _lossy_size(part(data, position + 8, 10)) if name == b"VP8 " else _lossless_size(
                part(data, position + 8, 5))
            if canvas not in (None, wh):
                raise InvalidFile("damaged WebP image: it has two sizes")
            return Facts(*wh, 3, 8, 0, _find_orientation(data, position))
        position += 8 + length + length % 2
    raise InvalidFile("damaged WebP image: no picture in it")


def _find_orientation(data: bytes, position: int) -> int:
    """The orientation that an EXIF chunk gives, from the picture's chunk on; 1 without one."""
    for _ in range(MAX_CHUNKS):
        length = int.from_bytes(data[position + 4:position + 8], "little")
        if data[position:position + 4] == b"EXIF":
            return read_orientation(data[position + 8:position + 8 + length])
        position += 8 + length + length % 2
    return 1


def _lossy_size(head: bytes) -> tuple[int, int]:
    if head[0] & 1 or head[3:6] != b"\x9d\x01\x2a":
        raise InvalidFile("damaged WebP image (its header)")
    return int.from_bytes(head[6:8], "little") & 0x3FFF, int.from_bytes(head[8:10], "little") & 0x3FFF


def _lossless_size(head: bytes) -> tuple[int, int]:
    if head[0] != 0x2F:
        raise InvalidFile("damaged WebP image (its header)")
    sides = int.from_bytes(head[1:5], "little")
    return (sides & 0x3FFF) + 1, (sides >> 14 & 0x3FFF) + 1
