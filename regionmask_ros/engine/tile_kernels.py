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

from functools import lru_cache

import numpy as np

from .bits import count, lowest, pick
from .change_map import WORD
from .kernel_cache import kernel
from .tile_fire import LANES, TILE, fire_pixel, integrate_pixel
from .vector_ir import prefetch
from .tile_ir import add_products, clear_sums, configure, release, store_sums

SPAN = 3 * WORD
"""Pixels that the four words of a window hold beside the empty ones."""

_EVENTS_MASK, _WIDE_SHIFT = 0xFFFFFFFF, 32


@kernel
def spread(index, message, spikes, channels, width, frame, pitch, pixel_bytes, low, high, lines, words, fired,
           reach_y, reach_x, wide_index, wide_rest):
    """Events of an input into its map.

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
        nearest = min(max(message[e], -32768), 32767)
        at = ((y + frame) * pitch + x + frame) * pixel_bytes + channel
        low[at] = nearest & 255
        high[at] = nearest >> 8
        fired[(channel // 64 * lines + y + frame) * words + 1 + x // WORD] |= np.uint16(1 << x % WORD)
        reached += reach_y[y] * reach_x[x]
        if nearest != message[e]:
            wide_index[wide] = index[e]
            wide_rest[wide] = message[e] - nearest
            wide += 1
    return wide, reached


@kernel
def sweep(index, spikes, channels, width, frame, pitch, pixel_bytes, low, high, lines, words, fired):
    """Takes out again what ``spread`` has put in."""
    for e in range(spikes):
        position = index[e] // channels
        y = position // width
        x = position - y * width
        channel = index[e] - position * channels
        at = ((y + frame) * pitch + x + frame) * pixel_bytes + channel
        low[at] = 0
        high[at] = 0
        fired[(channel // 64 * lines + y + frame) * words + 1 + x // WORD] = 0


@kernel
def window_bits(fired, word):
    """64 pixels' bits, from the beginning of that word on."""
    return (np.uint64(fired[word]) | np.uint64(fired[word + 1]) << np.uint64(16)
            | np.uint64(fired[word + 2]) << np.uint64(32) | np.uint64(fired[word + 3]) << np.uint64(48))


@kernel
def find_blocks(fired, first_word, line_words, group_words, groups, size, per_block, shift, every, real,
                first_byte_of_line, pixel_bytes, offset, number):
    """The blocks of inputs below 16 outputs that hold an event.

    fired: uint16, see ``SpikeMap``; first_word: of the window's first line. per_block: taps that share a block of 64
    bytes. shift: bits before the window's first pixel. every: uint64, bit i * stride set for the 16 outputs; real:
    uint64, outputs that exist. first_byte_of_line: bytes from one line to the next.
    offset, number: int32, filled with each block's place in the map and in the weights.
    Returns (blocks found, bits of the outputs that an event reaches).
    """
    found = 0
    reached = np.uint64(0)
    blocks = (size + per_block - 1) // per_block
    for ky in range(size):
        for g in range(groups):
            bits = window_bits(fired, first_word + g * group_words + ky * line_words) >> shift
            if bits == 0:
                continue
            for j in range(blocks):
                here = np.uint64(0)
                for kx in range(j * per_block, min(size, (j + 1) * per_block)):
                    here |= pick(bits >> np.uint64(kx), every)
                here &= real
                if here != 0:
                    reached |= here
                    offset[found] = ky * first_byte_of_line + j * per_block * pixel_bytes + g * 64
                    number[found] = (ky * blocks + j) * groups + g
                    found += 1
    return found, reached


@kernel
def add_extra(total, first_total, extra, first, channels):
    """Adds to one pixel's sums what did not fit the map, and takes it out of ``extra``."""
    for o in range(channels):
        total[first_total + o // LANES * TILE + o % LANES] += extra[first + o]
        extra[first + o] = 0


@kernel
def set_aside(total, first_total, channels, first, wide, wide_index, wide_rest):
    """Keeps what the map lacks of one pixel's messages (in ``total``). Returns the new number kept."""
    for o in range(channels):
        told = total[first_total + o // LANES * TILE + o % LANES]
        rest = told - min(max(told, -32768), 32767)
        if rest != 0:
            wide_index[wide] = first + o
            wide_rest[wide] = rest
            wide += 1
    return wide


@kernel
def silence(low, high, bits, first, pixel_bytes):
    """Empties the pixels of the map whose bits are set."""
    while bits != 0:
        at = first + lowest(bits) * pixel_bytes
        low[at:at + pixel_bytes] = 0
        high[at:at + pixel_bytes] = 0
        bits &= bits - np.uint64(1)


@kernel
def ask_for(state, first, pixel_state):
    for line in range(0, pixel_state, 16):
        prefetch(state, first + line)


@lru_cache(maxsize=None)
def tile_layer_kernel(tiles, planes, carry, snap):
    """The kernel of one layer, for ``tiles`` tiles of 16 output channels at a time, ``planes`` of messages and a rule.

    settings: see ``tile_ir.configuration``. everywhere: neurons work though nothing reached them. weight: see
    ``tile_path.PackedConvolution``. in_low .. in_groups: the input's ``SpikeMap``. every, shift: see ``find_blocks``.
    extra: int32 [rows * cols * channels] when use_extra. state: int32 at 2**16, [line, block, pass, pixel, sigma or
    reference, channel], the head's sigma [line, block, pixel, channel]. out_low .. out_words: the output's map, unless head. reach_y, reach_x:
    int32 [rows], [cols], lines and columns of the next layer's outputs that a pixel reaches. offset, number, total:
    scratch.

    Tiles and vectors work at the same time: while one pass's products are summed, the neurons of the pass before fire.
    Their variables begin with ``p_``.

    Returns (events, events times the next layer's outputs that each reaches, messages beyond 16 bits).
    """

    @kernel
    def layer(settings, everywhere, head, weight, passes, window_blocks, per_block, size, stride, padding,
              in_low, in_high, in_frame, in_pitch, in_bytes, in_fired, in_lines, in_words, in_groups, every, shift,
              rows, cols, channels, use_extra, extra, bias, threshold, release_from, state,
              out_low, out_high, out_frame, out_pitch, out_bytes, out_fired, out_lines, out_words, out_groups,
              reach_y, reach_x, wide_index, wide_rest, offset, number, total):
        configure(settings)
        lanes = tiles * LANES
        blocks = (cols + WORD - 1) // WORD
        pixel_state = passes * lanes if head else 2 * lanes
        pass_state = lanes if head else WORD * pixel_state
        block_state = WORD * passes * (lanes if head else 2 * lanes)
        group_words = out_lines * out_words
        fired = 0
        reached = 0
        wide = 0
        p_due = np.uint64(0)
        p_total, p_channel, p_used, p_state, p_out, p_word, p_y, p_x = 0, 0, 0, 0, 0, 0, 0, 0
        for y in range(rows + 1):
            # One turn more than there are lines, for the last neurons to fire.
            if y == rows and p_due == 0:
                break
            in_line = y * stride - padding + in_frame
            out_line = y + out_frame
            for b in range(blocks if y < rows else 1):
                x = b * WORD
                found = 0
                due = np.uint64(0)
                if y < rows:
                    real = np.uint64((1 << min(WORD, cols - x)) - 1)
                    found, due = find_blocks(
                        in_fired, in_line * in_words + b * stride, in_words, in_lines * in_words, in_groups, size,
                        per_block, shift, every, real, in_pitch * in_bytes, in_bytes, offset, number)
                    if everywhere or use_extra:
                        due = real
                out_word = out_line * out_words + b + 1
                first_out = (out_line * out_pitch + out_frame + x) * out_bytes
                if y < rows and not head:
                    before = np.uint64(0)
                    for g in range(out_groups):
                        before |= np.uint64(out_fired[out_word + g * group_words])
                        out_fired[out_word + g * group_words] = 0
                    silence(out_low, out_high, before & ~due, first_out, out_bytes)
                if due == 0 and y < rows:
                    continue
                first_in = (in_line * in_pitch + x * stride - padding + in_frame) * in_bytes
                for q in range(passes if y < rows else 1):
                    first_weight = q * window_blocks * lanes * 64
                    first_state = (y * blocks + b) * block_state + q * pass_state
                    asked = due
                    share = (count(due) + found - 1) // max(found, 1)
                    clear_sums(tiles, planes)
                    for j in range(found):
                        add_products(in_low, in_high, first_in + offset[j], stride * in_bytes,
                                     weight, first_weight + number[j] * lanes * 64, tiles, planes)
                        for _ in range(share):
                            if asked != 0:
                                ask_for(state, first_state + lowest(asked) * pixel_state, pixel_state)
                                asked &= asked - np.uint64(1)
                    while p_due != 0:
                        p = lowest(p_due)
                        p_due &= p_due - np.uint64(1)
                        first_total = p_total + p * LANES
                        own = p_state + p * pixel_state
                        here = (p_y * cols + p_x + p) * channels + p_channel
                        if use_extra:
                            add_extra(total, first_total, extra, here, p_used)
                        if head:
                            integrate_pixel(total, first_total, state, own, tiles, planes)
                            continue
                        answer = fire_pixel(
                            total, first_total, bias, p_channel, threshold, release_from, state, own,
                            out_low, out_high, p_out + p * out_bytes, tiles, planes, carry, snap)
                        events = answer & _EVENTS_MASK
                        fired += events
                        reached += events * reach_y[p_y] * reach_x[p_x + p]
                        out_fired[p_word] |= np.uint16((events != 0) << p)
                        if answer >> _WIDE_SHIFT:
                            wide = set_aside(total, first_total, p_used, here, wide, wide_index, wide_rest)
                    p_total = planes * tiles * TILE - p_total
                    store_sums(total, p_total, tiles, planes)
                    p_due, p_y, p_x, p_channel = due, y, x, q * lanes
                    p_used = min(lanes, channels - p_channel)
                    p_state = first_state
                    p_out = first_out + p_channel
                    p_word = out_word + p_channel // 64 * group_words
        release()
        return fired, reached, wide

    return layer
