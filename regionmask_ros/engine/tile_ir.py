"""Bricks for processors with matrix tiles (Intel AMX): LLVM IR that Numba puts in place of a call.

A tile register holds 16 rows of 64 bytes. One instruction multiplies a tile of messages (16 pixels, 64 inputs each, one
byte an input) with a tile of weights (64 inputs, 16 outputs) and adds the products to a tile of sums (16 pixels, 16
outputs, int32).
"""

from __future__ import annotations

import ctypes
import platform
from functools import lru_cache

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from .vector_ir import I8, I32, I64, call, pointer

ROWS = 16
DEPTH = 64
"""Inputs that one product takes: the bytes of a tile's row."""

_ARCH_PRCTL, _REQUEST_PERMISSION, _TILE_DATA = 158, 0x1023, 18
_SUMS, _MESSAGES, _WEIGHTS = 0, 4, 6
"""Numbers of the first register that each use has: four of sums, two of messages, two of weights."""


@lru_cache(maxsize=None)
def permitted() -> bool:
    """Asks Linux for the use of tile registers, which are large and not every process's by right."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return False
    answer = ctypes.CDLL(None).syscall(*map(ctypes.c_long, (_ARCH_PRCTL, _REQUEST_PERMISSION, _TILE_DATA)))
    return answer == 0


def configuration(rows: int, depth: int) -> np.ndarray:
    """uint8 [64] for ``configure``: messages and sums of ``rows`` pixels (at most 16), ``depth`` inputs at a time (at
    most 64, a multiple of 4)."""
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
