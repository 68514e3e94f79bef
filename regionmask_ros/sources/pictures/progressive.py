"""Damage in progressive JPEG images that decoders do not notice: coefficients beyond the end of their band.

A progressive scan synchronizes again some hundred blocks after damage, with the right number of blocks, so that libjpeg
has nothing to warn of. Between, it reads nonsense, in which runs lead beyond the last coefficient of a block. libjpeg
accepts that; no encoder writes it, by ITU-T T.81, G.1.2. The scans of high coefficients, which hold nearly all data,
are followed without computing pixels.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

PROGRESSIVE_FRAME, TABLES, SCAN, RESTARTS, END = 0xC2, 0xC4, 0xDA, 0xDD, 0xD9
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_RESTART_MARKER = re.compile(rb"\xff[\xd0-\xd7]")

LONG, SHORT_BITS = 1 << 16, 9
"""See ``bands``, which is not imported here."""

LAST_COEFFICIENT = 63
PADDING = bytes(8)
"""Behind the data of a scan, so that the bits of any code can be looked up."""


class Band(NamedTuple):
    """A scan of coefficients of one component.

    Attributes:
        component: Its number in the image.
        first: The first coefficient, in zigzag order.
        last: The last one.
        refines: Whether the scan adds a bit to coefficients, rather than their first bits.
    """

    component: int
    first: int
    last: int
    refines: bool


def find_band_damage(data: bytes) -> bool:
    """Searches coefficients beyond the end of their band.

    Args:
        data: A whole JPEG image that a decoder has accepted.

    Returns:
        Whether there is one. False for images that are not progressive, and for those with restart markers, whose
        damage decoders notice.
    """
    # Numba takes long to load, and most images are not progressive.
    from .bands import follow_first_band, follow_refining_band

    masks: dict[int, np.ndarray] = {}
    for band, blocks, codes, bits in _bands(data):
        mask = masks.setdefault(band.component, np.zeros(blocks, np.uint64))
        follow = follow_refining_band if band.refines else follow_first_band
        if not follow(bits, codes, mask, band.first, band.last):
            return True
    return False


def _bands(data: bytes) -> Iterator[tuple[Band, int, np.ndarray, np.ndarray]]:
    """The bands in their order: the band, its number of blocks, its Huffman codes, and its bytes without stuffing."""
    tables: dict[int, np.ndarray] = {}
    blocks: dict[int, int] = {}
    position = 2
    while position + 4 <= len(data):
        marker, length = data[position + 1], int.from_bytes(data[position + 2:position + 4], "big")
        if data[position] != 0xFF or marker == END or length < 2:
            return
        if marker == 0xFF:
            position += 1
            continue
        segment, position = data[position + 4:position + 2 + length], position + 2 + length
        if marker == PROGRESSIVE_FRAME:
            blocks = blocks or _count_blocks(segment)
        elif marker == TABLES:
            _read_tables(segment, tables)
        elif marker == RESTARTS and any(segment):
            return
        elif marker == SCAN:
            found = _NEXT_MARKER.search(data, position)
            if not blocks or found is None or len(segment) < 6:
                return
            coded, position = data[position:found.start()], found.start()
            component, table, first, last, refines = segment[1], segment[2] & 15, *segment[-3:-1], segment[-1] >> 4
            if segment[0] != 1 or not first:
                continue
            known = table in tables and component in blocks and first <= last <= LAST_COEFFICIENT
            if not known or _RESTART_MARKER.search(coded):
                return
            bits = np.frombuffer(coded.replace(b"\xff\x00", b"\xff") + PADDING, np.uint8)
            yield Band(component, first, last, refines > 0), blocks[component], tables[table], bits


def _count_blocks(segment: bytes) -> dict[int, int]:
    """Blocks of each component in a scan of its own, from the frame's segment."""
    height, width = int.from_bytes(segment[1:3], "big"), int.from_bytes(segment[3:5], "big")
    parts = [(segment[at], segment[at + 1] >> 4, segment[at + 1] & 15) for at in range(6, len(segment) - 2, 3)]
    widest, highest = max((h for _, h, _ in parts), default=0), max((v for _, _, v in parts), default=0)
    if not widest or not highest:
        return {}
    return {name: math.ceil(math.ceil(width * h / widest) / 8) * math.ceil(math.ceil(height * v / highest) / 8)
            for name, h, v in parts}


def _read_tables(segment: bytes, tables: dict[int, np.ndarray]) -> None:
    """Adds tables of codes of high coefficients, as ``bands.follow_first_band`` takes them."""
    at = 0
    while at + 17 <= len(segment):
        kind, counts = segment[at], segment[at + 1:at + 17]
        symbols = segment[at + 17:at + 17 + sum(counts)]
        at += 17 + sum(counts)
        if kind >> 4:
            lengths = np.repeat(np.arange(1, 17), list(counts))[:len(symbols)]
            entries = (lengths << 8 | np.frombuffer(symbols, np.uint8)).astype(np.uint16)
            table = np.zeros(LONG + (1 << SHORT_BITS), np.uint16)
            known = np.repeat(entries, 1 << (16 - lengths))[:LONG]
            table[:len(known)] = known
            short = table[:LONG:LONG >> SHORT_BITS]
            table[LONG:] = np.where(short >> 8 <= SHORT_BITS, short, 0)
            tables[kind & 15] = table
