"""The layer kernel for processors with matrix tiles: dense products where something fired, nothing where not.

Messages lie in dense maps, one plane of bytes for their low 8 bits and one for the high ones, and beside each map, for
16 pixels of a line and 64 channels at a time, a word of 16 bits says which pixels fired. A window of 16 neighbouring
outputs is cut into blocks of 64 inputs; blocks in which no pixel fired are left out, and only pixels whose own window
holds an event let their neurons work. So the kernel is the event kernel and the dense one in one: its cost grows with
the blocks that fired and ends at the dense work.

A message beyond 16 bits, which no trained network has shown, sends its nearest value through the map; the rest is kept
aside (``wide``) and added by the portable kernel (``extra``).
"""

from __future__ import annotations

from functools import cache

import numpy as np

from ...core.events import WORD
from ...jit.cache import kernel
from ...jit.simd import clear_16_bytes, count, lowest, pick, prefetch, window
from ..layer import MAX_MESSAGE
from ..overflow import add_overflow_sums, store_overflow
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
"""int32 of scratch: sums of two places, each of two planes of two tiles, and a tile for nobody."""

AHEAD = 2
"""Places between the one whose products are summed and the one whose state is asked for: memory is that slow."""

MAX_REQUESTED = 512
"""Bytes of each plane of a place's outputs that are asked for: all of the shallow layers', whose maps are large."""

BREATH = 32
"""Products in a row without a store of a tile. Measured on a Sapphire Rapids: from 35 on, the next such store stops the
tiles for 0.3 us; a store to nowhere in between costs nothing."""

_EVENTS_MASK, _WIDE_SHIFT = 0xFFFFFFFF, 32


@kernel
def spread(index, message, spikes, channels, width, low, high, frame, pitch, pixel_bytes, fired, lines, words, groups,
           reach_y, reach_x, overflow_index, overflow_rest):
    """Events of an input into its map, which is empty.

    Returns (messages beyond 16 bits, whose rest goes to wide_index and wide_rest; outputs that the events reach, each
    event counted).
    """
    wide = 0
    reached = 0
    for e in range(spikes):
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
            overflow_index[wide] = index[e]
            overflow_rest[wide] = message[e] - nearest
            wide += 1
    return wide, reached


@kernel
def touched_bits(fired, line, words, first, last, stride):
    """uint64, for 16 outputs: bit i tells whether a pixel of first + i * stride .. last + i * stride has fired."""
    bits = np.uint64(0)
    for i in range(WORD):
        for x in range(first + i * stride, last + 1 + i * stride):
            if 0 <= x < words * WORD and fired[line + x // WORD] >> x % WORD & 1:
                bits |= np.uint64(1) << np.uint64(i)
    return bits


@cache
def plan_kernel(size, per_block, near):
    """The kernel that finds the work of one layer: places of 16 neighbouring outputs that an event reaches.

    size: side of the windows. per_block: taps that share a block of 64 inputs. near: 1 when the windows of 16 outputs
    lie within four words (see ``tile_packing.PackedConvolution.near``), else 0.
    """
    blocks = (size + per_block - 1) // per_block

    @kernel
    def plan(stride, padding, groups, in_frame, in_pitch, in_bytes, in_fired, in_lines, in_words,
             rows, cols, place, due, first, offset, number, everywhere):
        """groups: blocks that share a tap. in_frame .. in_words: of the input's ``MapView``. everywhere: all outputs
        are due.

        place: int32, y * ceil(cols / 16) + x // 16 of each place. due: uint64, bits of its outputs that are due. first:
        int32, its first entry in offset and number, int32: where a block of inputs lies behind the window's beginning,
        and the number of its weights. Returns the number of places.
        """
        row_places = (cols + WORD - 1) // WORD
        # Near windows keep the bits of outputs at the places of the pixels where they begin until a place is complete.
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
                            bits = window(in_fired, word + b * stride) >> np.uint64(WORD - padding)
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
                    due[places] = pick(reached, every)
                    places += 1
        first[places] = found
        return places

    return plan


@kernel
def silence(low, high, frame, pitch, pixel_bytes, fired, lines, words, groups, rows, cols, place, due, places):
    """Takes the last step's messages out of a map; pixels that are due now are written anew anyway."""
    blocks = (cols + WORD - 1) // WORD
    at = 0
    for y in range(rows):
        for b in range(blocks):
            now = np.uint64(0)
            if at < places and place[at] == y * blocks + b:
                now = due[at]
                at += 1
            before = np.uint64(0)
            for g in range(groups):
                word = (g * lines + y + frame) * words + b + 1
                before |= np.uint64(fired[word])
                fired[word] = 0
            before &= ~now
            while before != 0:
                pixel = ((y + frame) * pitch + frame + b * WORD + lowest(before)) * pixel_bytes
                # Of a smaller pixel's neighbours nothing is lost: they are emptied as well, or written anew.
                for part in range(pixel, pixel + pixel_bytes, 16):
                    clear_16_bytes(low, part)
                    clear_16_bytes(high, part)
                before &= before - np.uint64(1)


@kernel
def prefetch_bytes(memory, first, size):
    """Lets ``size`` bytes come into the cache while other work is done."""
    for line in range(0, size, 64):
        prefetch(memory, first + line)


@cache
def amx_layer_kernel(tiles, planes, parts, rest_bits, carry, snap):
    """The kernel of one layer, for ``tiles`` tiles of 16 output channels at a time, ``planes`` of messages, ``parts``
    of weights, what is left of differences in ``rest_bits``, and a rule.

    settings: see ``tile_ir.configuration``. chunk: places whose inputs stay in the cache while all channels are made.
    weight: see ``tile_packing.PackedConvolution``. in_low .. in_bytes: the input's ``MapView``. place .. number: see
    ``plan_kernel``. extra: int32 [rows * cols * channels] when use_extra. state: uint8, [pass, place of all, pixel, see
    ``fire_pixel``], the head's sigma [place of all, pixel, channel]. out_low .. out_words: the output's
    map, silenced, unless head. reach_y, reach_x: int32 [rows], [cols], lines and columns of the next layer's outputs
    that a pixel reaches. total: scratch.

    The neurons of a place fire while the tiles are busy with the next one; their variables begin with ``p_``. That is
    why both are one function: calls between them would cost more than the work of one pixel.

    Returns (events, events times the next layer's outputs that each reaches, messages beyond 16 bits).
    """
    used = registers(tiles, planes, parts) * TILE

    @kernel
    def layer(settings, head, chunk, weight, passes, window_blocks, stride, padding,
              in_low, in_high, in_frame, in_pitch, in_bytes, place, due, first, offset, number,
              rows, cols, channels, bias, threshold, release_from, state,
              out_low, out_high, out_frame, out_pitch, out_bytes, out_fired, out_lines, out_words,
              reach_y, reach_x, overflow_index, overflow_rest, total, places, use_extra, extra):
        configure(settings)
        lanes = tiles * LANES
        blocks = (cols + WORD - 1) // WORD
        pixel_state = 4 * passes * lanes if head else (4 + rest_bits // 8) * lanes
        pass_state = 4 * lanes if head else rows * blocks * WORD * pixel_state
        asked_bytes = pass_state if head else pixel_state
        fired = 0
        reached = 0
        wide = 0
        p_due = np.uint64(0)
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
                asked = due[ahead]
                share = (count(asked) + found - 1) // max(found, 1)
                asked_state = q * pass_state + place[ahead] * WORD * pixel_state
                if q == 0 and not head:
                    line = place[ahead] // blocks
                    asked_out = ((line + out_frame) * out_pitch + out_frame
                                 + (place[ahead] - line * blocks) * WORD) * out_bytes
                    prefetch_bytes(out_low, asked_out, min(WORD * out_bytes, MAX_REQUESTED))
                    prefetch_bytes(out_high, asked_out, min(WORD * out_bytes, MAX_REQUESTED))
                clear_sums(tiles, planes, parts)
                for entry in range(first[at], first[at + 1]):
                    add_products(in_low, in_high, first_in + offset[entry], stride * in_bytes,
                                 weight, (q * window_blocks + number[entry]) * parts * lanes * 64, tiles, planes, parts)
                    if (entry - first[at]) % BREATH == BREATH - 1:
                        store_sums(total, 2 * used, 1, 1, 1)
                    for _ in range(share):
                        if asked != 0:
                            prefetch_bytes(state, asked_state + lowest(asked) * pixel_state, asked_bytes)
                            asked &= asked - np.uint64(1)
            line = p_y + out_frame
            word = (p_channel // 64 * out_lines + line) * out_words + p_x // WORD + 1
            while p_due != 0:
                p = lowest(p_due)
                p_due &= p_due - np.uint64(1)
                own = p_state + p * pixel_state
                here = (p_y * cols + p_x + p) * channels + p_channel
                if use_extra:
                    add_overflow_sums(total, p_total + p * LANES, LANES, TILE, extra, here, min(lanes, channels - p_channel))
                if head:
                    integrate_pixel(total, p_total + p * LANES, state, own, tiles, planes, parts)
                    continue
                answer = fire_pixel(
                    total, p_total + p * LANES, bias, p_channel, threshold, release_from, state, own, out_low, out_high,
                    (line * out_pitch + out_frame + p_x + p) * out_bytes + p_channel, tiles, planes, parts,
                    rest_bits, carry, snap)
                events = answer & _EVENTS_MASK
                fired += events
                reached += events * reach_y[p_y] * reach_x[p_x + p]
                out_fired[word] |= np.uint16((events != 0) << p)
                if answer >> _WIDE_SHIFT:
                    wide = store_overflow(total, p_total + p * LANES, LANES, TILE, min(lanes, channels - p_channel), here,
                                     MAX_MESSAGE - 1, wide, overflow_index, overflow_rest)
            if last:
                break
            p_total = used - p_total
            store_sums(total, p_total, tiles, planes, parts)
            p_due, p_state, p_channel, p_y, p_x = due[at], first_state, q * lanes, y, x
            at += 1
            if at == end:
                q, at = q + 1, begin
            if q == passes:
                q, at, begin, end = 0, end, end, min(end + chunk, places)
        release()
        return fired, reached, wide

    return layer
