"""Kernels of the sigma-delta input encoder. The reference implementation is ``engine.reference.ReferenceEncoder``.

An event is sent when |value - reference| reaches the threshold; it carries the difference, clipped to 8 bits, by which
the reference then advances. Masked regions send nothing and keep their reference.

Values come from a table over the 256 values of a byte. Normalization is affine before it is rounded, so usually vector
instructions can compute the table as a straight line in integers: for a byte ``v`` and 16-bit numbers of its channel ::

    value(v) = v * whole + base + ((v * slope >> 8) + offset >> 8)

``v * slope >> 8`` is the upper half of a 16-bit product, of ``v << 8``, and with ``slope`` below 2**16 and ``offset``
below 2**8 no sum behind it leaves 16 unsigned bits. As floors of floors are floors, this is a line with a slope of
``whole + slope / 2**16`` and an offset of ``base + offset / 2**8``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from ..core.arithmetic import MESSAGE_MAX, MESSAGE_MIN
from ..core.events import BLOCK, FRAME, WORD
from ..jit.cache import Whole, kernel
from ..jit.simd import I8, I16, I32, I64, bits_set, constant, load, pointer, shuffle, splat, store

Arrays = tuple[np.ndarray, ...]

SAMPLED_LINE, SAMPLED_PIXEL = 8, 2
"""Every eighth line, and in it every second pixel: 16 of a region's 256 pixels, chosen by where they lie."""


@kernel
def measure_change(image: np.ndarray, column: np.ndarray, channel: int, channels: int, threshold: int,
                   reference: np.ndarray, result: np.ndarray) -> None:
    """Measures the share of some pixels of each region whose value is away from its reference by the threshold or more.

    Args:
        image: uint8 [16 * rows, 16 * cols, channels], flat.
        column: int16 [256], the values of the channel that is used.
        channel: Number of that channel.
        channels: Number of channels.
        threshold: At least 1.
        reference: int16, flat, of the image's shape.
        result: float32 [rows, cols], 0 to 1, written.
    """
    rows, cols = result.shape
    part = np.float32(SAMPLED_LINE * SAMPLED_PIXEL) / np.float32(WORD * WORD)
    for row in range(rows):
        for region in range(cols):
            changed: Whole = 0
            for y in range(row * WORD + SAMPLED_LINE // 2, (row + 1) * WORD, SAMPLED_LINE):
                line = (y * cols + region) * WORD * channels + channel
                for x in range(0, WORD, SAMPLED_PIXEL):
                    at = line + x * channels
                    difference = np.int32(column[image[at]]) - np.int32(reference[at])
                    changed += abs(difference) >= threshold
            result[row, region] = np.float32(changed) * part


SLOPE_BITS, OFFSET_BITS = 16, 8

_SEARCH = 400
"""Slopes tried on each side of the line from the first to the last value: half a unit over 255 steps is 128."""


def affine_parameters(table: np.ndarray) -> np.ndarray | None:
    """Finds the straight lines that give a table.

    Args:
        table: int [256, channels].

    Returns:
        int16 [4, channels]: whole, slope, offset and base. None when there are none.
    """
    columns = [_find_line(table[:, channel].astype(np.int64)) for channel in range(table.shape[1])]
    if any(column is None for column in columns):
        return None
    # Numbers beyond 16 bits count modulo 2**16, and so does the sum: that is right, because a table has 15 bits.
    numbers: np.ndarray = np.array(columns, np.int64).T.astype(np.uint16).view(np.int16)
    return numbers


def _find_line(column: np.ndarray) -> tuple[int, int, int, int] | None:
    """The numbers of one channel, int64 [256]."""
    byte, unit = np.arange(len(column), dtype=np.int64), 1 << SLOPE_BITS
    middle = round((column[-1] - column[0]) * unit / (len(column) - 1))
    for steep in range(middle - _SEARCH, middle + _SEARCH + 1):
        # Offsets from the largest of these on, and below the smallest one plus a unit, give the column.
        least = (column << SLOPE_BITS) - byte * steep
        offset = -(-int(least.max()) >> OFFSET_BITS)
        if offset << OFFSET_BITS < least.min() + unit:
            (whole, slope), (base, rest) = divmod(steep, unit), divmod(offset, 1 << OFFSET_BITS)
            return whole, slope, rest, base
    return None


MAX_VECTOR_CHANNELS = 4
"""A region's line then has 64 stored values, whose bits share an integer."""


@intrinsic(prefer_literal=True)
def encode_run(typing_context: Any, image: Any, first: Any, line: Any, threshold: Any, reference: Any, value: Any,
               target: Any, spikes: Any, block: Any, channels: Any, stored: Any) -> Any:
    """Encodes the 16 pixels of a region's line: change = clip(value of the pixel - reference).

    Args:
        typing_context: Numba's.
        image: uint8, flat.
        first: Index of the first value in image and reference.
        line: int16 [4, 16 * channels], flat, see the module's equation.
        threshold: int16, at least 1.
        reference: int16, flat, updated.
        value: int8, flat; the changes are written, ``stored`` to a pixel.
        target: Index of the first change in ``value``.
        spikes: uint64; a bit is set for each change that is not 0.
        block: Index of its first element.
        channels: Literal.
        stored: Literal, channels with padding.

    Returns:
        Bits of the pixels that send anything, plus the number of events << 16.
    """
    each, width = channels.literal_value, stored.literal_value
    lanes = WORD * each
    signature = types.int64(image, types.intp, line, types.int16, reference, value, types.intp, spikes, types.intp,
                            channels, stored)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        b, kinds = builder, signature.args
        zero = ir.Constant(I64, 0)
        wide, half, narrow = (ir.VectorType(kind, lanes) for kind in (I32, I16, I8))
        pixels = load(b, pointer(context, b, kinds[0], arguments[0], arguments[1], I8), narrow, 0, 1)
        numbers = pointer(context, b, kinds[2], arguments[2], zero, I16)
        whole, slope, offset, base = (load(b, numbers, half, lanes * row, 2) for row in range(4))
        # The upper half of a 16-bit product: one instruction.
        high = b.mul(b.zext(b.shl(b.zext(pixels, half), constant(half, OFFSET_BITS)), wide), b.zext(slope, wide))
        part = b.trunc(b.lshr(high, constant(wide, SLOPE_BITS)), half)
        part = b.lshr(b.add(part, offset), constant(half, OFFSET_BITS))
        now = b.add(b.add(b.mul(b.zext(pixels, half), whole), base), part)
        references = pointer(context, b, kinds[4], arguments[4], arguments[1], I16)
        reference = load(b, references, half, 0, 2)
        change = _apply_threshold(b, b.sub(now, reference), splat(b, arguments[3], half))
        store(b, b.add(reference, change), references, 0, 2)
        change = b.trunc(change, narrow)
        order = [p * each + c if c < each else lanes for p in range(WORD) for c in range(width)]
        spread = shuffle(b, change, constant(narrow, 0), order)
        store(b, spread, pointer(context, b, kinds[5], arguments[5], arguments[6], I8), 0, 1)
        there = b.bitcast(b.icmp_signed("!=", spread, constant(spread.type, 0)), ir.IntType(WORD * width))
        store(b, there, pointer(context, b, kinds[7], arguments[7], arguments[8], I64), 0, 8)
        pixel = ir.VectorType(ir.IntType(8 * width), WORD)
        firing = b.bitcast(b.icmp_signed("!=", b.bitcast(spread, pixel), constant(pixel, 0)), ir.IntType(WORD))
        events = bits_set(b, there)
        return b.or_(b.zext(firing, I64), b.shl(events, ir.Constant(I64, WORD)))

    return signature, generate


def _apply_threshold(b: Any, change: Any, threshold: Any) -> Any:
    """Changes that reach the threshold, clipped to a message's range; the others 0."""
    kind = change.type
    minus = b.sub(constant(kind, 0), change)
    size = b.select(b.icmp_signed(">", change, minus), change, minus)
    sent = b.select(b.icmp_signed(">=", size, threshold), change, constant(kind, 0))
    top, bottom = constant(kind, MESSAGE_MAX), constant(kind, MESSAGE_MIN)
    sent = b.select(b.icmp_signed("<", sent, top), sent, top)
    return b.select(b.icmp_signed(">", sent, bottom), sent, bottom)


@kernel
def list_attended(keep: np.ndarray, row: int, stored: int, changes: Arrays, words: int, work: Arrays) -> int:
    """Lists the observed regions of one row of regions, and empties the masked ones that have sent before.

    Args:
        keep: bool [rows, regions].
        row: Number of the row.
        stored: Channels with padding.
        changes: value, fired and spikes of ``ChangeMap``; those of masked regions are set to 0.
        words: Words of a line of ``fired``.
        work: observed regions, int32 [regions], filled from the front; and filled, bool [rows, regions], regions whose
            changes may not be 0.

    Returns:
        How many regions are observed.
    """
    value, fired, spikes = changes
    attended, filled = work
    regions = keep.shape[1]
    pitch = regions * WORD + 2 * FRAME
    blocks = WORD * stored // BLOCK
    found = 0
    for region in range(regions):
        if keep[row, region]:
            attended[found] = region
            found += 1
            filled[row, region] = True
            continue
        if not filled[row, region]:
            continue
        filled[row, region] = False
        for y in range(row * WORD, (row + 1) * WORD):
            word = (y + FRAME) * words + 1 + region
            if fired[word] != 0:
                fired[word] = 0
                first = ((y + FRAME) * pitch + FRAME + region * WORD) * stored
                value[first:first + WORD * stored] = 0
                spikes[(y * regions + region) * blocks:(y * regions + region + 1) * blocks] = 0
    return found


@cache
def affine_encoder(channels: int, stored: int) -> Callable[..., int]:
    """Makes the kernel for few channels whose table is a straight line; it uses vectors."""

    @kernel
    def encode(image: np.ndarray, line: np.ndarray, threshold: int, keep: np.ndarray, reference: np.ndarray,
               changes: Arrays, words: int, work: Arrays) -> int:
        """Encodes an image.

        Args:
            image: uint8 [16 * rows, 16 * regions, channels], flat.
            line: See ``encode_run``.
            threshold: At least 1.
            keep: bool [rows, regions].
            reference: int16, flat, of the image's shape; updated.
            changes: value, fired and spikes of ``ChangeMap``; written.
            words: Words of a line of ``fired``.
            work: See ``list_attended``.

        Returns:
            The number of events.
        """
        value, fired, spikes = changes
        rows, regions = keep.shape
        run = WORD * channels
        pitch = regions * WORD + 2 * FRAME
        events = 0
        for row in range(rows):
            # A list, so that the lines of a region row have no branch that a processor could guess wrong.
            found = list_attended(keep, row, stored, changes, words, work)
            for y in range(row * WORD, (row + 1) * WORD):
                for i in range(found):
                    region = work[0][i]
                    outcome = encode_run(
                        image, (y * regions + region) * run, line, threshold, reference,
                        value, ((y + FRAME) * pitch + FRAME + region * WORD) * stored,
                        spikes, (y * regions + region) * WORD * stored // BLOCK, channels, stored)
                    fired[(y + FRAME) * words + 1 + region] = outcome & 0xFFFF
                    events += outcome >> 16
        return events

    return encode


@kernel
def encode_by_table(image: np.ndarray, table: np.ndarray, stored: int, threshold: int, keep: np.ndarray,
                    reference: np.ndarray, changes: Arrays, words: int, work: Arrays) -> int:
    """As the kernels of ``affine_encoder``, for any table: int16 [256, channels]."""
    value, fired, spikes = changes
    rows, regions = keep.shape
    channels = table.shape[1]
    pitch = regions * WORD + 2 * FRAME
    blocks = WORD * stored // BLOCK
    events = 0
    for row in range(rows):
        found = list_attended(keep, row, stored, changes, words, work)
        for y in range(row * WORD, (row + 1) * WORD):
            for region in work[0][:found]:
                word = (y + FRAME) * words + 1 + region
                target = ((y + FRAME) * pitch + FRAME + region * WORD) * stored
                block = (y * regions + region) * blocks
                fired[word] = 0
                spikes[block:block + blocks] = 0
                for i in range(WORD):
                    for c in range(channels):
                        at = ((y * regions + region) * WORD + i) * channels + c
                        change = np.int32(table[image[at], c]) - np.int32(reference[at])
                        change = change if abs(change) >= threshold else np.int32(0)
                        change = min(max(change, np.int32(MESSAGE_MIN)), np.int32(MESSAGE_MAX))
                        reference[at] += change
                        value[target + i * stored + c] = change
                        if change != 0:
                            bit = i * stored + c
                            fired[word] |= np.uint16(1 << i)
                            spikes[block + bit // BLOCK] |= np.uint64(1) << np.uint64(bit % BLOCK)
                            events += 1
    return events
