"""Follows the codes of a progressive JPEG scan of one component's high coefficients, block by block.

Both kernels know which coefficients are not zero, one bit each, and update it. By ITU-T T.81, a code's symbol is a run
of zeros (high 4 bits) and a size (low 4 bits); a size of 0 ends the band of one block or of many, or skips 16 zeros.
"""

from __future__ import annotations

import numpy as np

from ...jit.cache import Whole, kernel

# Numba would not notice that a constant has changed in another file.
LONG, SHORT_BITS = 1 << 16, 9
"""Entries of a table by 16 bits. Behind them are those by 9 bits, which fit the cache; 0 for longer codes."""

ONE, ALL = np.uint64(1), np.uint64(0xFFFFFFFFFFFFFFFF)


@kernel
def _peek(bits: np.ndarray, at: Whole) -> Whole:
    """The 16 bits from bit ``at`` on."""
    byte = at >> 3
    three = np.int64(bits[byte]) << 16 | np.int64(bits[byte + 1]) << 8 | np.int64(bits[byte + 2])
    return (three >> (8 - (at & 7))) & 0xFFFF


@kernel
def _look_up(codes: np.ndarray, word: Whole) -> Whole:
    return np.int64(codes[LONG + (word >> (16 - SHORT_BITS))] or codes[word])


@kernel
def _count_ones(word: np.uint64) -> Whole:
    word = word - ((word >> np.uint64(1)) & np.uint64(0x5555555555555555))
    word = (word & np.uint64(0x3333333333333333)) + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((word * np.uint64(0x0101010101010101)) >> np.uint64(56))


@kernel
def follow_first_band(bits: np.ndarray, codes: np.ndarray, mask: np.ndarray, first: int, last: int) -> bool:
    """Follows a scan with the first bits of coefficients.

    Args:
        bits: uint8, the scan's data without stuffing, and 8 bytes more.
        codes: uint16 [66048], 256 x length + symbol by the next 16 bits, and behind them by the next 9; 0: no code.
        mask: uint64 [blocks], which coefficients are not zero; updated.
        first: The first coefficient.
        last: The last one.

    Returns:
        False if a coefficient lies beyond the last one, or a code does not exist. The end of the data is no fault here.
    """
    end = 8 * (len(bits) - 8)
    at: Whole = 0
    block: Whole = 0
    while block < len(mask):
        k: Whole = first
        more: Whole = 0
        new = np.uint64(0)
        while k <= last and at < end:
            code = _look_up(codes, _peek(bits, at))
            run, size = (code >> 4) & 15, code & 15
            at += (code >> 8) + size
            k += run
            if not code or (size and k > last):
                return False
            if size:
                new |= ONE << np.uint64(k)
            elif run < 15:
                more = (1 << run) - 1 + (_peek(bits, at) >> (16 - run))
                at += run
                break
            k += 1
        mask[block] |= new
        block += 1 + more
    return True


@kernel
def follow_refining_band(bits: np.ndarray, codes: np.ndarray, mask: np.ndarray, first: int, last: int) -> bool:
    """Follows a scan that adds a bit to coefficients; arguments and result as those of ``follow_first_band``."""
    end = 8 * (len(bits) - 8)
    at: Whole = 0
    more: Whole = 0
    within = ALL >> np.uint64(63 - last)
    for block in range(len(mask)):
        old, new = mask[block] & within, np.uint64(0)
        k: Whole = first
        while not more and k <= last and at < end:
            code = _look_up(codes, _peek(bits, at))
            run, size = (code >> 4) & 15, code & 15
            at += (code >> 8) + size
            if not code or size > 1:
                return False
            if not size and run < 15:
                more = (1 << run) + (_peek(bits, at) >> (16 - run))
                at += run
                break
            # There is a bit for each coefficient that is not zero, up to the zero behind the run of zeros.
            behind = ALL << np.uint64(k)
            zeros = ~old & within & behind
            for _ in range(run):
                zeros &= zeros - ONE
            if size and not zeros:
                return False
            below = (zeros & (~zeros + ONE)) - ONE
            at += _count_ones(old & behind & below)
            new |= np.uint64(size) * (below + ONE)
            k = _count_ones(below) + 1
        mask[block] |= new
        if more:
            at += _count_ones(old >> np.uint64(k))
            more -= 1
    return True
