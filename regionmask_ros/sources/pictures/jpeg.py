"""JPEG: the segments up to the first scan, and the structure after it, by ITU-T T.81."""

from __future__ import annotations

import math
import struct

from ...errors import UNSUPPORTED, InvalidFile
from .facts import Facts, part
from .progressive import PROGRESSIVE_FRAME
from .tiff import read_orientation

JPEG_END = b"\xff\xd9"
SCAN = 0xDA
FRAMES = {0xC0: 2, 0xC1: 2, 0xC2: 1}
"""Baseline, extended and progressive Huffman coding, and the fewest bits of a block of 64 samples in each."""
OTHER_FRAMES = frozenset((0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF))
"""Lossless, hierarchical and arithmetic coding. Cameras do not use them."""

COMPONENTS = (1, 3, 4)
MAX_SCANS = 64
"""Encoders make 10 to 20. Each one can cost as much time as decoding a whole image."""


def read_jpeg(data: bytes, size: int) -> Facts:
    """The facts of a JPEG image.

    Args:
        data: Its first bytes.
        size: Bytes of the whole image.

    Returns:
        The facts.

    Raises:
        InvalidFile: The header is damaged, or the coding is none that cameras use.
        NeedsMore: The data end before the first scan.
    """
    position, orientation, progressive = 2, 1, False
    frame: tuple[int, int, int, int] | None = None
    while True:
        lead, marker = part(data, position, 2)
        if lead != 0xFF or marker in (0x00, 0x01) or 0xD0 <= marker <= 0xD9:
            raise InvalidFile("truncated or damaged JPEG image")
        if marker == 0xFF:
            position += 1
            continue
        length = int.from_bytes(part(data, position + 2, 2), "big")
        if length < 2 or position + 2 + length > size:
            raise InvalidFile("truncated or damaged JPEG image")
        if marker in OTHER_FRAMES:
            raise InvalidFile(
                "JPEG image with a coding that cameras do not use: baseline and progressive are read", UNSUPPORTED)
        if marker == SCAN:
            break
        if marker in FRAMES:
            if frame:
                raise InvalidFile("damaged JPEG image: it has two frames")
            progressive = marker == PROGRESSIVE_FRAME
            frame = _read_frame(part(data, position + 4, length - 2), FRAMES[marker])
        elif marker == 0xE1:
            orientation = read_orientation(part(data, position + 4, length - 2))
        position += 2 + length
    if frame is None:
        raise InvalidFile("damaged JPEG image: a scan before the frame")
    start = position + 2 + length
    width, height, components, least = frame
    return Facts(width, height, components, 8, start + least, orientation, start, progressive)


def find_jpeg_damage(data: bytes, start: int) -> str | None:
    """Searches the end of the image after the first scan's beginning, and counts the scans before it.

    Args:
        data: The whole image.
        start: Offset of the first byte of the first scan.

    Returns:
        What is wrong with it; None when nothing is.
    """
    # The end need not be that of the file: phones append a video. One before the scan may be that of the thumbnail.
    end = data.find(JPEG_END, start)
    if end < 0:
        return "truncated JPEG image"
    if data.count(b"\xff\xda", start, end) >= MAX_SCANS:
        return f"JPEG image with more than {MAX_SCANS} scans"
    return None


def _read_frame(segment: bytes, block_bits: int) -> tuple[int, int, int, int]:
    """Width, height, components, and the fewest bytes that can hold the blocks of the first component."""
    bits, height, width, components = struct.unpack(">BHHB", segment[:6])
    if bits != 8:
        raise InvalidFile(f"JPEG image of {bits} bits: only 8 are read", UNSUPPORTED)
    if components not in COMPONENTS:
        raise InvalidFile(
            f"JPEG image of {components} components: only {', '.join(map(str, COMPONENTS))} are read", UNSUPPORTED)
    if len(segment) != 6 + 3 * components:
        raise InvalidFile("damaged JPEG image (its frame)")
    factors = [(value >> 4, value & 15) for value in segment[7::3]]
    if not all(1 <= factor <= 4 for pair in factors for factor in pair):
        raise InvalidFile("damaged JPEG image (its sampling)")
    columns, rows = (
        math.ceil(math.ceil(side * factors[0][axis] / max(pair[axis] for pair in factors)) / 8)
        for axis, side in enumerate((width, height)))
    return width, height, components, columns * rows * block_bits // 8
