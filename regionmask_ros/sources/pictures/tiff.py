"""TIFF: the first directory, by TIFF 6.0. EXIF data are such a directory, too."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from ...errors import UNSUPPORTED, InvalidFile
from .facts import Facts, NeedsMore, part

TIFF_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
"""The byte order by the first bytes, as ``struct`` names it."""

WIDTH, HEIGHT, BITS, COMPRESSION, SAMPLES, TILE_WIDTH, TILE_HEIGHT, SAMPLE_FORMAT = (
    256, 257, 258, 259, 277, 322, 323, 339)
RATIOS = {1: 1, 5: 2048, 8: 1032, 32_773: 64, 32_946: 1032}
"""The most bytes that one stored byte stands for: none, LZW, deflate, PackBits, old deflate."""

ORIENTATION = 274
EXIF_MAGIC = b"Exif\0\0"

MAX_TILE_SIDE = 16_384
MAX_ENTRIES, MAX_VALUES = 1000, 16
_FORMATS = {1: "B", 3: "H", 4: "I"}
"""Bytes, shorts and longs. Entries of other types are passed over."""


def read_tiff(data: bytes, size: int) -> Facts:
    """The facts of the first image of a TIFF file.

    Args:
        data: The file, or its first bytes.
        size: Bytes of the whole file.

    Returns:
        The facts.

    Raises:
        InvalidFile: The header is damaged, or the image is of a sort that cameras do not write.
        NeedsMore: The data end before the end of the directory.
    """
    tags = read_directory(data)
    width, height, compression, channels = (
        _one(tags, tag, default) for tag, default in ((WIDTH, 0), (HEIGHT, 0), (COMPRESSION, 1), (SAMPLES, 1)))
    bits = set(tags.get(BITS, (1,)))
    if compression not in RATIOS:
        raise InvalidFile(f"TIFF image with compression {compression}: use none, LZW, deflate or PackBits", UNSUPPORTED)
    if len(bits) != 1 or not bits <= {1, 8, 16} or channels not in (1, 3, 4):
        raise InvalidFile(
            f"TIFF image of {channels} channels of {sorted(bits)} bits: 1, 3 or 4 of 8 or 16 are read", UNSUPPORTED)
    if set(tags.get(SAMPLE_FORMAT, (1,))) != {1}:
        raise InvalidFile("TIFF image with other samples than unsigned integers", UNSUPPORTED)
    if max(_one(tags, TILE_WIDTH, 1), _one(tags, TILE_HEIGHT, 1)) > MAX_TILE_SIDE:
        raise InvalidFile("damaged TIFF image (its tiles)")
    depth = bits.pop()
    return Facts(width, height, channels, depth, width * height * channels * depth // 8 // RATIOS[compression])


def read_directory(data: bytes) -> Mapping[int, tuple[int, ...]]:
    """Reads the first directory.

    Args:
        data: A TIFF file, or EXIF data from their byte order on.

    Returns:
        Integers by tag. Entries of other types, and those with many values, are left out.

    Raises:
        InvalidFile: The directory has too many entries.
        NeedsMore: The data end before its end.
    """
    order = TIFF_ORDERS[data[:4]]
    (start,) = struct.unpack(order + "I", part(data, 4, 4))
    (entries,) = struct.unpack(order + "H", part(data, start, 2))
    if entries > MAX_ENTRIES:
        raise InvalidFile("damaged TIFF image (its directory)")
    found: dict[int, tuple[int, ...]] = {}
    for tag, kind, count, stored in struct.iter_unpack(order + "HHI4s", part(data, start + 2, 12 * entries)):
        if kind not in _FORMATS or not 1 <= count <= MAX_VALUES:
            continue
        values = struct.Struct(f"{order}{count}{_FORMATS[kind]}")
        if values.size > 4:
            inside = part(data, struct.unpack(order + "I", stored)[0], values.size)
        else:
            inside = stored[:values.size]
        found[tag] = values.unpack(inside)
    return found


def _one(tags: Mapping[int, tuple[int, ...]], tag: int, default: int) -> int:
    values = tags.get(tag, (default,))
    if len(values) != 1:
        raise NeedsMore
    return values[0]


def read_orientation(exif: bytes) -> int:
    """How a camera was held, by the EXIF data of another format than TIFF.

    Args:
        exif: The data, with or without ``EXIF_MAGIC`` in front.

    Returns:
        1 to 8 as EXIF numbers it; 1 where the data do not say it, or are damaged.
    """
    directory = exif.removeprefix(EXIF_MAGIC)
    if directory[:4] not in TIFF_ORDERS:
        return 1
    try:
        found = read_directory(directory).get(ORIENTATION, (1,))
    except (NeedsMore, InvalidFile):
        return 1
    return found[0] if len(found) == 1 and 1 <= found[0] <= 8 else 1
