"""Is an image file whole? Decoders show what is left of a truncated one and call it a success."""

from __future__ import annotations

import re
import zlib

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
JPEG_MAGIC = b"\xff\xd8\xff"
JPEG_END = b"\xff\xd9"
JPEG_SCAN = 0xDA

PICTURE_MAGICS = (
    (PNG_MAGIC, "PNG"),
    (JPEG_MAGIC, "JPEG"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
)


def picture_kind(head: bytes) -> str | None:
    """The format of an image file by its first bytes, None for anything else."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    if re.match(rb"P[1-6]\s", head):
        return "PNM"
    return next((kind for magic, kind in PICTURE_MAGICS if head.startswith(magic)), None)


def damage_of(data: bytes) -> str | None:
    """What is wrong with the bytes of an image file, None when they look whole.

    Looks into JPEG and PNG; the other formats' decoders refuse a short file themselves.
    """
    if not data:
        return "empty file"
    if data.startswith(PNG_MAGIC):
        return _png_damage(data)
    if data.startswith(JPEG_MAGIC):
        return _jpeg_damage(data)
    return None


def pixel_maximum(head: bytes) -> int | None:
    """The value that stands for white in a PGM or PPM file, where it is not the usual one; None otherwise.

    OpenCV takes 4095, the white of a 12-bit camera, for a value out of 65535: nearly black.
    """
    match = re.match(rb"P[2356](?:\s|#[^\n]*\n)+\d+(?:\s|#[^\n]*\n)+\d+(?:\s|#[^\n]*\n)+(\d{1,5})\s", head)
    maximum = int(match.group(1)) if match else 255
    return maximum if maximum not in (0, 255, 65535) else None


def _png_damage(data: bytes) -> str | None:
    position = len(PNG_MAGIC)
    while position + 12 <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        end = position + 12 + length
        if end > len(data):
            break
        checksum = int.from_bytes(data[end - 4 : end], "big")
        if zlib.crc32(memoryview(data)[position + 4 : end - 4]) != checksum:
            return "damaged PNG image (a checksum does not match)"
        if data[position + 4 : position + 8] == b"IEND":
            return None
        position = end
    return "truncated PNG image"


def _jpeg_damage(data: bytes) -> str | None:
    """Follows the segments to the first scan and looks for the end marker behind it.

    Not at the end of the file: telephones append a video there. Not from the start: the thumbnail has its own marker.
    """
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:
            position += 1
        elif marker == JPEG_SCAN:
            return None if data.find(JPEG_END, position) >= 0 else "truncated JPEG image"
        else:
            position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return "truncated or damaged JPEG image"
