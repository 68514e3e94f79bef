"""Bricks for processors with matrix tiles (Intel AMX): LLVM IR that Numba puts in place of a call.

A tile register holds 16 rows of 64 bytes. One instruction multiplies a tile of messages (16 pixels, 64 inputs each, one
byte an input) with a tile of weights (64 inputs, 16 outputs) and adds the products to a tile of sums (16 pixels, 16
outputs, int32).

Neurons that fire many at a time, from sums in tiles: the part of the twin's ``step`` behind the sums.
"""

from __future__ import annotations

import ctypes
import platform
from functools import cache

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from ...core.arithmetic import ACCUMULATOR_BITS, SPIKE_EXP
from ...jit.simd import I8, I32, I64, WIDTHS, bits_set, call, constant, load, pointer, shuffle, store
from ..simd.neurons import Neurons

ROWS = 16
DEPTH = 64
"""Inputs that one product takes: the bytes of a tile's row."""

_ARCH_PRCTL, _REQUEST_PERMISSION, _TILE_DATA = 158, 0x1023, 18
_SUMS, _MESSAGES, _WEIGHTS = 0, 4, 6
"""Numbers of the first register that each use has: four of sums, two of messages, two of weights."""


@cache
def permitted() -> bool:
    """Asks Linux for the use of tile registers, which are large and not every process's by right."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return False
    answer = ctypes.CDLL(None).syscall(*map(ctypes.c_long, (_ARCH_PRCTL, _REQUEST_PERMISSION, _TILE_DATA)))
    return answer == 0


def configuration(rows: int, depth: int) -> np.ndarray:
    """uint8 [64] for ``configure``: messages and sums of ``rows`` pixels (at most 16), ``depth`` inputs at a time (at
    most 64, a multiple of 4).
    """
    settings = np.zeros(64, np.uint8)
    settings[0] = 1
    row_bytes, row_counts = settings[16:32].view(np.uint16), settings[48:56]
    row_bytes[:] = DEPTH
    row_bytes[_MESSAGES:_WEIGHTS] = depth
    row_counts[:_WEIGHTS] = rows
    row_counts[_WEIGHTS:] = depth // 4
    return settings


@intrinsic
def configure(typing_context, settings):
    """Prepares this thread's tile registers, see ``configuration``."""

    def generate(context, builder, signature, arguments):
        address = pointer(context, builder, signature.args[0], arguments[0], ir.Constant(I64, 0), I8)
        call(builder, "llvm.x86.ldtilecfg", ir.VoidType(), [address])
        return context.get_dummy_value()

    return types.void(settings), generate


@intrinsic
def release(typing_context):
    """Gives the registers back: a thread without them is cheaper to switch."""

    def generate(context, builder, signature, arguments):
        call(builder, "llvm.x86.tilerelease", ir.VoidType(), [])
        return context.get_dummy_value()

    return types.void(), generate


def registers(tiles: int, planes: int, parts: int) -> int:
    """Registers of sums, see ``add_products``."""
    return tiles * planes if parts == 1 else planes + 1


@intrinsic(prefer_literal=True)
def clear_sums(typing_context, tiles, planes, parts):
    """Empties the tiles of sums. For tiles, planes and parts, here and below, see ``add_products``."""
    used = registers(tiles.literal_value, planes.literal_value, parts.literal_value)

    def generate(context, builder, signature, arguments):
        for register in range(used):
            _emit(builder, "tilezero", _SUMS + register)
        return context.get_dummy_value()

    return types.void(tiles, planes, parts), generate


@intrinsic(prefer_literal=True)
def add_products(typing_context, low, high, first, step, weight, first_weight, tiles, planes, parts):
    """Sums += messages of 64 inputs x weights, for 16 neighbouring pixels.

    low: uint8 and high: int8, the messages' bytes, of which high weighs 2**8; with one plane ``high`` alone is used.
    The first pixel's 64 bytes begin at ``first``, the next one's ``step`` bytes later.
    weight: int8 [tile or part, 64 / 4, 16, 4] from ``first_weight`` on. Weights of more than 8 bits come in two parts,
    of which the second weighs 2**8.
    tiles (of 16 outputs), planes, parts: literals, 1 or 2; parts are 2 only with one tile. The sums of plane p are, for
    each tile, in the registers from p * tiles on; with two parts the products that weigh 2**(8 * k) are in register k.
    """
    columns, depth, pieces = (literal.literal_value for literal in (tiles, planes, parts))
    signature = types.void(low, high, types.intp, types.intp, weight, types.intp, tiles, planes, parts)

    def generate(context, builder, signature, arguments):
        kinds, step_ = signature.args, arguments[3]
        sources = [pointer(context, builder, kinds[at], arguments[at], arguments[2], I8) for at in (0, 1)][2 - depth:]
        weights = pointer(context, builder, kinds[4], arguments[4], arguments[5], I8)
        for plane, address in enumerate(sources):
            _emit(builder, "tileloadd64", _MESSAGES + plane, address, step_)
        for at in range(columns * pieces):
            address = builder.gep(weights, [ir.Constant(I64, at * ROWS * DEPTH)])
            # With the hint that they will not be used again soon: messages shall stay in the first-level cache.
            _emit(builder, "tileloaddt164", _WEIGHTS + at, address, ir.Constant(I64, DEPTH))
        for at in range(columns * pieces):
            for plane in range(depth):
                # The last plane has the sign.
                name = "tdpbssd" if plane == depth - 1 else "tdpbusd"
                register = plane + at if pieces == 2 else plane * columns + at
                _emit(builder, name, _SUMS + register, _MESSAGES + plane, _WEIGHTS + at)
        return context.get_dummy_value()

    return signature, generate


@intrinsic(prefer_literal=True)
def store_sums(typing_context, total, first_total, tiles, planes, parts):
    """total[register, 16 pixels, 16 outputs] = the sums; total: int32, from first_total on."""
    used = registers(tiles.literal_value, planes.literal_value, parts.literal_value)
    signature = types.void(total, types.intp, tiles, planes, parts)

    def generate(context, builder, signature, arguments):
        sums = pointer(context, builder, signature.args[0], arguments[0], arguments[1], I32)
        for register in range(used):
            address = builder.bitcast(builder.gep(sums, [ir.Constant(I64, register * ROWS * ROWS)]), I8.as_pointer())
            _emit(builder, "tilestored64", _SUMS + register, address, ir.Constant(I64, DEPTH))
        return context.get_dummy_value()

    return signature, generate


def _emit(builder, name, *arguments):
    """A tile instruction; registers are given by their numbers."""
    constants = [ir.Constant(I8, value) if isinstance(value, int) else value for value in arguments]
    call(builder, f"llvm.x86.{name}", ir.VoidType(), constants)


LANES = 16
TILE = ROWS * LANES
_BYTE = 8
_WRAP_SHIFT = 32 - ACCUMULATOR_BITS
_WIDTH = WIDTHS[LANES]


class _Sums:
    """One pixel's sums in the tiles' scratch, [register, pixel, output]; see ``tile_ir.add_products``."""

    def __init__(self, builder, totals, tiles: int, planes: int, parts: int) -> None:
        self.builder, self.totals, self.tiles = builder, totals, tiles
        levels = planes if parts == 1 else planes + 1
        # A plane that is alone holds the encoder's changes: messages are 2**4 of them.
        base = SPIKE_EXP if planes == 1 else 0
        self.exponents = [base + _BYTE * level for level in range(levels)]

    def wrapped(self, tile):
        """The sums of one tile, wrapped to the accumulator's width: by a shift to the top and back."""
        b, vector, total = self.builder, _WIDTH.vector, None
        for level, exponent in enumerate(self.exponents):
            value = load(b, self.totals, vector, (level * self.tiles + tile) * TILE, 4)
            value = b.shl(value, constant(vector, exponent + _WRAP_SHIFT))
            total = value if total is None else b.add(total, value)
        return b.ashr(total, constant(vector, _WRAP_SHIFT))


class _State:
    """One pixel's neurons: sigmas, int32, and behind them what each keeps of its difference (activation - reference).

    That is less than the threshold once a frame has gone through, so that 16 bits usually hold it.
    """

    def __init__(self, builder, address, tiles: int, bits: int) -> None:
        self.builder, self.address, self.tiles = builder, address, tiles
        self.kind = ir.VectorType(ir.IntType(bits), LANES)

    def sigma(self, tile):
        return load(self.builder, self.address, _WIDTH.vector, 4 * LANES * tile, 4)

    def set_sigma(self, tile, value):
        store(self.builder, value, self.address, 4 * LANES * tile, 4)

    def _residual_at(self, tile):
        return 4 * LANES * self.tiles + tile * LANES * self.kind.element.width // 8

    def rest(self, tile):
        stored = load(self.builder, self.address, self.kind, self._residual_at(tile), 2)
        return self.builder.sext(stored, _WIDTH.vector) if self.kind.element.width < 32 else stored

    def set_rest(self, tile, value):
        value = self.builder.trunc(value, self.kind) if self.kind.element.width < 32 else value
        store(self.builder, value, self.address, self._residual_at(tile), 2)


@intrinsic(prefer_literal=True)
def integrate_pixel(typing_context, total, first_total, state, first, tiles, planes, parts):
    """The head's neurons of one pixel: they only add up. Arguments as for ``fire_pixel``."""
    columns, depth, pieces = (literal.literal_value for literal in (tiles, planes, parts))
    signature = types.void(total, types.intp, state, types.intp, tiles, planes, parts)

    def generate(context, builder, signature, arguments):
        totals = pointer(context, builder, signature.args[0], arguments[0], arguments[1], I32)
        address = pointer(context, builder, signature.args[2], arguments[2], arguments[3], I8)
        neurons = _State(builder, address, columns, 32)
        sums = _Sums(builder, totals, columns, depth, pieces)
        for tile in range(columns):
            neurons.set_sigma(tile, builder.add(neurons.sigma(tile), sums.wrapped(tile)))
        return context.get_dummy_value()

    return signature, generate


@intrinsic(prefer_literal=True)
def fire_pixel(typing_context, total, first_total, bias, first_channel, threshold, release, state, first,
               low, high, target, tiles, planes, parts, rest_bits, carry, snap):
    """16 * tiles neurons of one pixel: sigma, bias, ReLU, delta, threshold; writes their messages' bytes.

    total: int32 [register, 16, 16]; the pixel's row of the first one begins at first_total. bias: int32, from
    first_channel on. state: uint8, from ``first`` on the pixel's sigmas, int32, behind them what is left of its
    differences, of ``rest_bits`` (16 or 32) each. carry, snap: literals; they and ``release``: see ``arithmetic.Rule``.
    low, high: uint8 and int8, from ``target`` on.
    Returns the number of events, plus 1 << 32 when a message may not fit 16 bits: its bytes then are those of the
    nearest value that does, and the messages replace the sums of the first registers.
    """
    columns, depth, pieces, bits = (literal.literal_value for literal in (tiles, planes, parts, rest_bits))
    signature = types.int64(
        total, types.intp, bias, types.intp, types.int32, types.int32, state, types.intp, low, high, types.intp,
        tiles, planes, parts, rest_bits, carry, snap,
    )

    def generate(context, builder, signature, arguments):
        totals, biases = (
            pointer(context, builder, signature.args[at], arguments[at], arguments[at + 1], I32) for at in (0, 2))
        address = pointer(context, builder, signature.args[6], arguments[6], arguments[7], I8)
        lows, highs = (pointer(context, builder, signature.args[at], arguments[at], arguments[10], I8) for at in (8, 9))
        state = _State(builder, address, columns, bits)
        neurons = Neurons(builder, _WIDTH, *arguments[4:6], carry.literal_value, snap.literal_value)
        sums = _Sums(builder, totals, columns, depth, pieces)
        messages, sizes, masks = [], [], []
        for tile in range(columns):
            bias_ = load(builder, biases, _WIDTH.vector, tile * LANES, 4)
            before = state.sigma(tile)
            sigma = builder.add(before, sums.wrapped(tile))
            active = neurons.active(sigma, bias_)
            reference = builder.sub(neurons.active(before, bias_), state.rest(tile))
            delta = builder.sub(active, reference)
            fires, size = neurons.fires(active, delta, reference)
            state.set_sigma(tile, sigma)
            state.set_rest(tile, builder.select(fires, neurons.residual(delta), delta))
            messages.append(neurons.sent(fires, delta))
            sizes.append(size)
            masks.append(builder.icmp_signed("!=", messages[-1], neurons.zero))
        _store_bytes(builder, [neurons.cut(sent) for sent in messages], lows, highs)
        events = bits_set(builder, builder.bitcast(_concatenate(builder, masks), ir.IntType(columns * LANES)))
        wide = neurons.any_overflow(sizes)
        with builder.if_then(wide, likely=False):
            for tile, sent in enumerate(messages):
                store(builder, sent, totals, tile * TILE, 4)
        return builder.or_(events, builder.shl(builder.zext(wide, I64), ir.Constant(I64, 32)))

    return signature, generate


def _concatenate(builder, vectors):
    if len(vectors) == 1:
        return vectors[0]
    return shuffle(builder, *vectors, range(len(vectors) * LANES))


def _store_bytes(builder, messages, lows, highs):
    """Writes the low and the high bytes of messages, int16, a vector for each tile."""
    narrow = _concatenate(builder, messages)
    kind = ir.VectorType(I8, len(messages) * LANES)
    high = builder.ashr(narrow, constant(narrow.type, _BYTE))
    for value, address in ((narrow, lows), (high, highs)):
        store(builder, builder.trunc(value, kind), address, 0, 1)
