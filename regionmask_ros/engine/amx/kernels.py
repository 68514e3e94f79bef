"""The layer kernel for processors with matrix tiles: dense products where something fired, none elsewhere.

Messages lie in dense maps, one plane of bytes for their low 8 bits and one for the high ones. Beside each map, for 16
pixels of a line and 64 channels at a time, a word of 16 bits says which pixels fired. A window of 16 neighboring
outputs is cut into blocks of 64 inputs. Blocks in which no pixel fired are left out, and only pixels whose own window
holds an event update their neurons. So the cost grows with the blocks that fired and ends at the dense work.

A message beyond 16 bits is split, see ``overflow``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from ...core.events import WORD
from ...jit.cache import kernel
from ...jit.simd import clear_16_bytes, count_bits, extract_bits, load_bits, lowest_bit, prefetch
from ..generic import add_overflow_sums, store_overflow
from ..layer import MAX_MESSAGE
from .neurons import (
    LANES,
    TILE,
    add_products,
    clear_sums,
    configure,
    fire_pixel,
    integrate_pixel,
    registers,
    release,
    store_sums,
)

TOTALS = (2 * 2 * 2 + 1) * TILE
"""int32 of scratch: sums of two places, each of two planes of two tiles, and a tile that is never read."""

AHEAD = 2
"""Places from the one whose products are summed to the one whose state is prefetched: memory is that slow."""

MAX_PREFETCH = 512
"""Bytes of each plane of a place's outputs that are prefetched: all of a shallow layer's, whose maps are large."""

STORE_INTERVAL = 32
"""Products in a row without a store of a tile. Measured on a Sapphire Rapids: from 35 on, the next such store stalls
the tiles for 0.3 us; a store to an unused place in between costs nothing."""

_EVENTS_MASK, _OVERFLOW_SHIFT = 0xFFFFFFFF, 32


@kernel
def write_events(index: np.ndarray, message: np.ndarray, source: tuple[int, int], target: tuple[Any, ...],
                 reach: tuple[np.ndarray, np.ndarray], overflow: tuple[np.ndarray, np.ndarray]) -> tuple[int, int]:
    """Writes events of an input into its map, which is empty.

    Args:
        index: int32 [n], positions in (y, x, channel), flat.
        message: int32 [n] at 2**10.
        source: (channels, columns) of the input.
        target: ``packing.MapView``.
        reach: int32 [rows], [columns]: rows and columns of outputs that a pixel reaches.
        overflow: (index, rest), int32: gets the parts of messages beyond 16 bits.

    Returns:
        Entries of ``overflow``; outputs that the events reach, each event counted.
    """
    channels, width = source
    low, high, frame, pitch, pixel_bytes, fired, lines, words, _ = target
    reach_y, reach_x = reach
    overflow_index, overflow_rest = overflow
    overflows = 0
    reached = 0
    for e in range(len(index)):
        position = index[e] // channels
        y = position // width
        x = position - y * width
        channel = index[e] - position * channels
        nearest = min(max(message[e], -MAX_MESSAGE), MAX_MESSAGE - 1)
        at = ((y + frame) * pitch + x + frame) * pixel_bytes + channel
        low[at] = nearest & 255
        high[at] = nearest >> 8
        fired[(channel // 64 * lines + y + frame) * words + 1 + x // WORD] |= np.uint16(1 << x % WORD)
        reached += reach_y[y] * reach_x[x]
        if nearest != message[e]:
            overflow_index[overflows] = index[e]
            overflow_rest[overflows] = message[e] - nearest
            overflows += 1
    return overflows, reached


@kernel
def touched_bits(fired: np.ndarray, line: int, words: int, first: int, last: int, stride: int) -> Any:
    """For 16 outputs: bit i is set when a pixel from ``first + i * stride`` to ``last + i * stride`` has fired."""
    bits = np.uint64(0)
    for i in range(WORD):
        for x in range(first + i * stride, last + 1 + i * stride):
            if 0 <= x < words * WORD and fired[line + x // WORD] >> x % WORD & 1:
                bits |= np.uint64(1) << np.uint64(i)
    return bits


@cache
def plan_kernel(size: int, per_block: int, near: int) -> Callable[..., int]:  # noqa: C901  see ``plan``
    """Makes the kernel that finds the work of one layer.

    Args:
        size: Side of the window, pixels.
        per_block: Taps that share a block of 64 inputs.
        near: 1 when the windows of 16 outputs lie within four words (see ``packing.AmxWeights.near``), else 0.

    Returns:
        The kernel ``plan``.
    """
    blocks = (size + per_block - 1) // per_block

    @kernel
    def plan(  # noqa: C901  nested loops over outputs, lines, groups and blocks, in the order that memory needs
            stride: int, padding: int, source: tuple[Any, ...], output: tuple[int, int],
            work: tuple[Any, ...], everywhere: bool) -> int:
        """Finds the places of 16 neighboring outputs that an event reaches, and their blocks of inputs that fired.

        Args:
            stride: Step between windows, pixels.
            padding: Zeros on each side, pixels.
            source: ``packing.MapView`` of the input.
            output: (rows, columns).
            work: ``packing.Plan``, filled.
            everywhere: Takes all outputs.

        Returns:
            Number of places.
        """
        _, _, in_frame, in_pitch, in_bytes, in_fired, in_lines, in_words, groups = source
        rows, cols = output
        place, pending_bits, first, offset, number = work
        row_places = (cols + WORD - 1) // WORD
        # Near windows keep the bits of outputs where their windows begin until a place is complete.
        apart = stride if near else 1
        every = np.uint64(0)
        for i in range(WORD):
            every |= np.uint64(1) << np.uint64(i * apart)
        places = 0
        found = 0
        for y in range(rows):
            line = y * stride - padding + in_frame
            for b in range(row_places):
                first[places] = found
                last = min(WORD, cols - b * WORD) - 1
                real = every & (np.uint64(2) << np.uint64(last * apart)) - np.uint64(1)
                reached = np.uint64(0)
                for ky in range(size):
                    for g in range(groups):
                        word = (g * in_lines + line + ky) * in_words
                        bits = np.uint64(0)
                        if near:
                            bits = load_bits(in_fired, word + b * stride) >> np.uint64(WORD - padding)
                            if bits == 0:
                                continue
                        for j in range(blocks):
                            here = np.uint64(0)
                            end = min(size, (j + 1) * per_block)
                            if near:
                                for kx in range(j * per_block, end):
                                    here |= bits >> np.uint64(kx)
                            else:
                                begin = (b * stride + 1) * WORD - padding
                                here = touched_bits(
                                    in_fired, word, in_words, begin + j * per_block, begin + end - 1, stride)
                            here &= real
                            if here != 0:
                                reached |= here
                                offset[found] = (ky * in_pitch + j * per_block) * in_bytes + g * 64
                                number[found] = (ky * groups + g) * blocks + j
                                found += 1
                if everywhere:
                    reached = real
                if reached != 0:
                    place[places] = y * row_places + b
                    pending_bits[places] = extract_bits(reached, every)
                    places += 1
        first[places] = found
        return places

    return plan


@kernel
def clear_map(target: tuple[Any, ...], output: tuple[int, int], place: np.ndarray, pending_bits: np.ndarray,
              places: int) -> None:
    """Removes the last step's messages from a map; pixels that have work now are written again anyway.

    Args:
        target: ``packing.MapView``.
        output: (rows, columns).
        place: See ``packing.Plan``.
        pending_bits: Likewise.
        places: Number of places.
    """
    low, high, frame, pitch, pixel_bytes, fired, lines, words, groups = target
    rows, cols = output
    blocks = (cols + WORD - 1) // WORD
    at = 0
    for y in range(rows):
        for b in range(blocks):
            now = np.uint64(0)
            if at < places and place[at] == y * blocks + b:
                now = pending_bits[at]
                at += 1
            before = np.uint64(0)
            for g in range(groups):
                word = (g * lines + y + frame) * words + b + 1
                before |= np.uint64(fired[word])
                fired[word] = 0
            before &= ~now
            while before != 0:
                pixel = ((y + frame) * pitch + frame + b * WORD + lowest_bit(before)) * pixel_bytes
                # Of a smaller pixel's neighbors nothing is lost: they are cleared as well, or written again.
                for part in range(pixel, pixel + pixel_bytes, 16):
                    clear_16_bytes(low, part)
                    clear_16_bytes(high, part)
                before &= before - np.uint64(1)


@kernel
def prefetch_bytes(memory: np.ndarray, first: int, size: int) -> None:
    """Moves ``size`` bytes into the cache while other work is done."""
    for line in range(0, size, 64):
        prefetch(memory, first + line)


@cache
def amx_layer_kernel(  # noqa: C901  see ``layer``
        tiles: int, planes: int, parts: int, residual_bits: int, carry: int, snap: int,
) -> Callable[..., tuple[int, int, int]]:
    """Makes the kernel of a layer.

    Args:
        tiles: Tiles of 16 output channels that are computed at a time.
        planes: Planes of the input's messages.
        parts: Parts of the weights.
        residual_bits: Bits of a neuron's residual, 16 or 32.
        carry: See ``core.arithmetic.Rule``.
        snap: Likewise.

    Returns:
        The kernel ``layer``.
    """
    used = registers(tiles, planes, parts) * TILE

    @kernel
    def layer(  # noqa: C901  one function, see below
            settings: np.ndarray, weights: tuple[Any, ...], source: tuple[Any, ...], target: tuple[Any, ...],
            neurons: tuple[Any, ...], output: tuple[int, int, int, bool, int],
            reach: tuple[np.ndarray, np.ndarray], work: tuple[Any, ...],
            scratch: tuple[np.ndarray, tuple[np.ndarray, np.ndarray]], places: int,
            overflow_sums: tuple[bool, np.ndarray]) -> tuple[int, int, int]:
        """Computes one step of a layer.

        The neurons of a place fire while the tiles are busy with the next place; their variables begin with ``p_``.
        That is why both are one function: calls between them would cost more than the work on one pixel.

        Args:
            settings: See ``neurons.configuration``.
            weights: ``packing.Weights``.
            source: ``packing.MapView`` of the input.
            target: ``packing.MapView`` of the output, cleared. Not used by a head.
            neurons: ``packing.NeuronState``.
            output: (rows, columns, channels, is_head, chunk): ``chunk`` is the number of places whose inputs stay in
                the cache while all channels are computed.
            reach: int32 [rows], [columns]: rows and columns of the next layer's outputs that a pixel reaches.
            work: ``packing.Plan``.
            scratch: (total, overflow): int32 [TOTALS], and (index, rest), int32, which get what the target lacks.
            places: Number of places.
            overflow_sums: (whether the source lacks parts of messages, int32 [rows * columns * channels]), see
                ``overflow``.

        Returns:
            Events; outputs of the next layer that they reach, each event counted; entries of ``overflow``.
        """
        weight, passes, window_blocks, stride, padding = weights
        in_low, in_high, in_frame, in_pitch, in_bytes, _, _, _, _ = source
        out_low, out_high, out_frame, out_pitch, out_bytes, out_fired, out_lines, out_words, _ = target
        _, _, _, _, state = neurons
        rows, cols, channels, is_head, chunk = output
        reach_y, reach_x = reach
        place, pending_bits, first, offset, number = work
        total, overflow = scratch
        has_overflow, sums_beyond = overflow_sums
        configure(settings)
        lanes = tiles * LANES
        blocks = (cols + WORD - 1) // WORD
        pixel_state = 4 * passes * lanes if is_head else (4 + residual_bits // 8) * lanes
        pass_state = 4 * lanes if is_head else rows * blocks * WORD * pixel_state
        prefetched_bytes = pass_state if is_head else pixel_state
        fired = 0
        reached = 0
        overflows = 0
        p_bits = np.uint64(0)
        p_total, p_channel, p_state, p_y, p_x = 0, 0, 0, 0, 0
        at, q, begin, end = 0, 0, 0, min(chunk, places)
        for turn in range(places * passes + 1):
            # One turn more than there is work, for the last neurons to fire.
            last = turn == places * passes
            if not last:
                y = place[at] // blocks
                x = (place[at] - y * blocks) * WORD
                first_in = ((y * stride - padding + in_frame) * in_pitch + x * stride - padding + in_frame) * in_bytes
                first_state = q * pass_state + place[at] * WORD * pixel_state
                found = first[at + 1] - first[at]
                ahead = min(at + AHEAD, end - 1)
                ahead_bits = pending_bits[ahead]
                share = (count_bits(ahead_bits) + found - 1) // max(found, 1)
                ahead_state = q * pass_state + place[ahead] * WORD * pixel_state
                if q == 0 and not is_head:
                    line = place[ahead] // blocks
                    ahead_out = ((line + out_frame) * out_pitch + out_frame
                                 + (place[ahead] - line * blocks) * WORD) * out_bytes
                    prefetch_bytes(out_low, ahead_out, min(WORD * out_bytes, MAX_PREFETCH))
                    prefetch_bytes(out_high, ahead_out, min(WORD * out_bytes, MAX_PREFETCH))
                clear_sums(tiles, planes, parts)
                for entry in range(first[at], first[at + 1]):
                    add_products(in_low, in_high, first_in + offset[entry], stride * in_bytes,
                                 weight, (q * window_blocks + number[entry]) * parts * lanes * 64, tiles, planes, parts)
                    if (entry - first[at]) % STORE_INTERVAL == STORE_INTERVAL - 1:
                        store_sums(total, 2 * used, 1, 1, 1)
                    for _ in range(share):
                        if ahead_bits != 0:
                            prefetch_bytes(state, ahead_state + lowest_bit(ahead_bits) * pixel_state, prefetched_bytes)
                            ahead_bits &= ahead_bits - np.uint64(1)
            line = p_y + out_frame
            word = (p_channel // 64 * out_lines + line) * out_words + p_x // WORD + 1
            while p_bits != 0:
                p = lowest_bit(p_bits)
                p_bits &= p_bits - np.uint64(1)
                own = p_state + p * pixel_state
                here = (p_y * cols + p_x + p) * channels + p_channel
                if has_overflow:
                    add_overflow_sums(total, (p_total + p * LANES, LANES, TILE), sums_beyond, here,
                                      min(lanes, channels - p_channel))
                if is_head:
                    integrate_pixel(total, p_total + p * LANES, state, own, tiles, planes, parts)
                    continue
                pixel = (line * out_pitch + out_frame + p_x + p) * out_bytes + p_channel
                answer = fire_pixel(total, neurons, target, (p_total + p * LANES, p_channel, own, pixel),
                                    tiles, planes, parts, residual_bits, carry, snap)
                events = answer & _EVENTS_MASK
                fired += events
                reached += events * reach_y[p_y] * reach_x[p_x + p]
                out_fired[word] |= np.uint16((events != 0) << p)
                if answer >> _OVERFLOW_SHIFT:
                    overflows = store_overflow(total, (p_total + p * LANES, LANES, TILE),
                                               min(lanes, channels - p_channel), here, MAX_MESSAGE - 1, overflows,
                                               overflow)
            if last:
                break
            p_total = used - p_total
            store_sums(total, p_total, tiles, planes, parts)
            p_bits, p_state, p_channel, p_y, p_x = pending_bits[at], first_state, q * lanes, y, x
            at += 1
            if at == end:
                q, at = q + 1, begin
            if q == passes:
                q, at, begin, end = 0, end, end, min(end + chunk, places)
        release()
        return fired, reached, overflows

    return layer
