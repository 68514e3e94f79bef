"""Building blocks for matrix tiles (Intel AMX), and neurons that fire from sums in tiles.

A tile register holds 16 rows of 64 bytes. One instruction multiplies a tile of messages (16 pixels, 64 inputs each, one
byte an input) with a tile of weights (64 inputs, 16 outputs) and adds the products to a tile of sums (16 pixels, 16
outputs, int32). The neurons compute ``reference.ReferenceLayer.step`` after the sums.
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from ...core.arithmetic import ACCUMULATOR_BITS, SPIKE_EXP
from ...jit.simd import (
    I8,
    I32,
    I64,
    WIDTHS,
    Intrinsic,
    address,
    bits_set,
    call,
    constant,
    load,
    pointer,
    shuffle,
    store,
    unpack,
)
from ..simd.neurons import Neurons
from .packing import MapView, NeuronState

ROWS = 16
DEPTH = 64
"""Inputs that one product takes: the bytes of a tile's row."""

LANES = 16
TILE = ROWS * LANES
_BYTE = 8
_WRAP_SHIFT = 32 - ACCUMULATOR_BITS
_WIDTH = WIDTHS[LANES]

_ARCH_PRCTL, _REQUEST_PERMISSION, _TILE_DATA = 158, 0x1023, 18
_SUMS, _MESSAGES, _WEIGHTS = 0, 4, 6
"""First register of each use: four of sums, two of messages, two of weights."""


@cache
def permitted() -> bool:
    """Asks Linux for the use of tile registers; returns whether it grants it. They are large, and off by default."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return False
    answer = ctypes.CDLL(None).syscall(*map(ctypes.c_long, (_ARCH_PRCTL, _REQUEST_PERMISSION, _TILE_DATA)))
    return bool(answer == 0)


def configuration(rows: int, depth: int) -> np.ndarray:
    """Makes the settings of the tile registers.

    Args:
        rows: Pixels of a tile of messages or sums, at most 16.
        depth: Inputs at a time, at most 64, a multiple of 4.

    Returns:
        uint8 [64] for ``configure``.
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
def configure(typing_context: Any, settings: Any) -> Intrinsic:
    """Prepares this thread's tile registers, see ``configuration``."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        start = pointer(context, builder, signature.args[0], arguments[0], ir.Constant(I64, 0), I8)
        _emit(builder, "ldtilecfg", start)
        return context.get_dummy_value()

    return types.void(settings), generate


@intrinsic
def release(typing_context: Any) -> Intrinsic:
    """Releases the registers: a thread without them is cheaper to switch."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _emit(builder, "tilerelease")
        return context.get_dummy_value()

    return types.void(), generate


def registers(tiles: int, planes: int, parts: int) -> int:
    """Returns the registers that hold sums, see ``add_products``."""
    return tiles * planes if parts == 1 else planes + 1


@intrinsic(prefer_literal=True)
def clear_sums(typing_context: Any, tiles: Any, planes: Any, parts: Any) -> Intrinsic:
    """Sets the tiles of sums to 0. For tiles, planes and parts, here and below, see ``add_products``."""
    used = registers(tiles.literal_value, planes.literal_value, parts.literal_value)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        for register in range(used):
            _emit(builder, "tilezero", _SUMS + register)
        return context.get_dummy_value()

    return types.void(tiles, planes, parts), generate


@intrinsic(prefer_literal=True)
def add_products(typing_context: Any, low: Any, high: Any, first: Any, step: Any, weight: Any, first_weight: Any,
                 tiles: Any, planes: Any, parts: Any) -> Intrinsic:
    """Adds products to the tiles of sums: messages of 64 inputs times weights, for 16 neighboring pixels.

    Args:
        typing_context: Numba's.
        low: uint8, low bytes of the messages; not used with one plane.
        high: int8, high bytes, which weigh 2**8.
        first: Index of the first pixel's 64 bytes.
        step: Bytes to the next pixel's.
        weight: int8 [tile or part, 64 / 4, 16, 4]. Weights of more than 8 bits come in two parts, of which the second
            weighs 2**8.
        first_weight: Index of the first one.
        tiles: Literal, 1 or 2: tiles of 16 outputs.
        planes: Literal, 1 or 2. The sums of plane p are in the registers from p * tiles on, one for each tile.
        parts: Literal, 1 or 2; 2 only with one tile. Then products that weigh 2**(8 * k) are in register k.

    Returns:
        Nothing to the calling kernel.
    """
    columns, depth, pieces = (literal.literal_value for literal in (tiles, planes, parts))
    signature = types.void(low, high, types.intp, types.intp, weight, types.intp, tiles, planes, parts)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds, step_ = signature.args, arguments[3]
        sources = [pointer(context, builder, kinds[at], arguments[at], arguments[2], I8) for at in (0, 1)][2 - depth:]
        weights = pointer(context, builder, kinds[4], arguments[4], arguments[5], I8)
        for plane, plane_start in enumerate(sources):
            _emit(builder, "tileloadd64", _MESSAGES + plane, plane_start, step_)
        for at in range(columns * pieces):
            tile = builder.gep(weights, [ir.Constant(I64, at * ROWS * DEPTH)])
            # With the hint that they will not be used again soon, so that messages stay in the first-level cache.
            _emit(builder, "tileloaddt164", _WEIGHTS + at, tile, ir.Constant(I64, DEPTH))
        for at in range(columns * pieces):
            for plane in range(depth):
                # The last plane has the sign.
                name = "tdpbssd" if plane == depth - 1 else "tdpbusd"
                register = plane + at if pieces == 2 else plane * columns + at
                _emit(builder, name, _SUMS + register, _MESSAGES + plane, _WEIGHTS + at)
        return context.get_dummy_value()

    return signature, generate


@intrinsic(prefer_literal=True)
def store_sums(typing_context: Any, total: Any, first_total: Any, tiles: Any, planes: Any, parts: Any) -> Intrinsic:
    """Stores the sums: ``total[register, 16 pixels, 16 outputs]``, int32, from ``first_total`` on."""
    used = registers(tiles.literal_value, planes.literal_value, parts.literal_value)
    signature = types.void(total, types.intp, tiles, planes, parts)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        sums = pointer(context, builder, signature.args[0], arguments[0], arguments[1], I32)
        for register in range(used):
            tile = builder.bitcast(builder.gep(sums, [ir.Constant(I64, register * ROWS * ROWS)]), I8.as_pointer())
            _emit(builder, "tilestored64", _SUMS + register, tile, ir.Constant(I64, DEPTH))
        return context.get_dummy_value()

    return signature, generate


def _emit(builder: ir.IRBuilder, name: str, *arguments: Any) -> None:
    """Emits a tile instruction; registers are given by their numbers."""
    constants = [ir.Constant(I8, value) if isinstance(value, int) else value for value in arguments]
    call(builder, f"llvm.x86.{name}", ir.VoidType(), constants)


class _Sums:
    """One pixel's sums in the tiles' scratch, [register, pixel, output]; see ``add_products``."""

    def __init__(self, builder: ir.IRBuilder, totals: Any, tiles: int, planes: int, parts: int) -> None:
        self.builder, self.totals, self.tiles = builder, totals, tiles
        levels = planes if parts == 1 else planes + 1
        # A single plane holds the encoder's changes: messages are 2**4 times these.
        base = SPIKE_EXP if planes == 1 else 0
        self.exponents = [base + _BYTE * level for level in range(levels)]

    def wrapped(self, tile: int) -> Any:
        """The sums of one tile, wrapped to the accumulator's width: a shift to the top and back."""
        b, vector, total = self.builder, _WIDTH.vector, None
        for level, exponent in enumerate(self.exponents):
            value = load(b, self.totals, vector, (level * self.tiles + tile) * TILE, 4)
            value = b.shl(value, constant(vector, exponent + _WRAP_SHIFT))
            total = value if total is None else b.add(total, value)
        return b.ashr(total, constant(vector, _WRAP_SHIFT))


class _State:
    """One pixel's neurons: sigmas, int32, followed by residuals (activation - reference) of 16 or 32 bits.

    A residual is below the threshold after each step, so 16 bits usually hold it.
    """

    def __init__(self, builder: ir.IRBuilder, address: Any, tiles: int, bits: int) -> None:
        self.builder, self.address, self.tiles = builder, address, tiles
        self.kind = ir.VectorType(ir.IntType(bits), LANES)

    def sigma(self, tile: int) -> Any:
        return load(self.builder, self.address, _WIDTH.vector, 4 * LANES * tile, 4)

    def set_sigma(self, tile: int, value: Any) -> None:
        store(self.builder, value, self.address, 4 * LANES * tile, 4)

    def _residual_at(self, tile: int) -> int:
        return 4 * LANES * self.tiles + tile * LANES * int(self.kind.element.width) // 8

    def residual(self, tile: int) -> Any:
        stored = load(self.builder, self.address, self.kind, self._residual_at(tile), 2)
        return self.builder.sext(stored, _WIDTH.vector) if self.kind.element.width < 32 else stored

    def set_residual(self, tile: int, value: Any) -> None:
        value = self.builder.trunc(value, self.kind) if self.kind.element.width < 32 else value
        store(self.builder, value, self.address, self._residual_at(tile), 2)


@intrinsic(prefer_literal=True)
def integrate_pixel(typing_context: Any, total: Any, first_total: Any, state: Any, first: Any, tiles: Any,
                    planes: Any, parts: Any) -> Intrinsic:
    """Updates a head's neurons of one pixel: ``sigma += wrapped(total)``.

    ``total`` counts from ``first_total`` on, ``state`` from byte ``first`` on; the rest is as for ``fire_pixel``.

    Returns:
        Nothing to the calling kernel.
    """
    columns, depth, pieces = (literal.literal_value for literal in (tiles, planes, parts))
    signature = types.void(total, types.intp, state, types.intp, tiles, planes, parts)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        totals = pointer(context, builder, signature.args[0], arguments[0], arguments[1], I32)
        pixel_state = pointer(context, builder, signature.args[2], arguments[2], arguments[3], I8)
        neurons = _State(builder, pixel_state, columns, 32)
        sums = _Sums(builder, totals, columns, depth, pieces)
        for tile in range(columns):
            neurons.set_sigma(tile, builder.add(neurons.sigma(tile), sums.wrapped(tile)))
        return context.get_dummy_value()

    return signature, generate


@intrinsic(prefer_literal=True)
def fire_pixel(typing_context: Any, total: Any, neurons: Any, target: Any, at: Any, tiles: Any, planes: Any,
               parts: Any, residual_bits: Any, carry: Any, snap: Any) -> Intrinsic:
    """Updates ``16 * tiles`` neurons of one pixel and writes the bytes of their messages.

    ``sigma += wrapped(total)``, ``delta = max(sigma + bias, 0) - reference``; a neuron fires when
    ``|delta| >= threshold`` and sends ``delta >> exponent``. Of the reference, only the residual is stored:
    ``reference = max(sigma + bias, 0) - residual``.

    Args:
        typing_context: Numba's.
        total: int32 [register, 16 pixels, 16 outputs], sums.
        neurons: ``packing.NeuronState``: the pixel's sigmas, int32, followed by its residuals.
        target: ``packing.MapView``.
        at: (total, channel, state, pixel): first index in ``total`` (the pixel's row of the first register), in
            ``bias``, in ``state`` and in the target's planes.
        tiles: Literal, see ``add_products``.
        planes: Literal, likewise.
        parts: Literal, likewise.
        residual_bits: Literal, bits of a residual: 16 or 32.
        carry: Literal, see ``core.arithmetic.Rule``.
        snap: Literal, likewise.

    Returns:
        int64: number of events, plus 1 << 32 when a message may not fit 16 bits. Its bytes then are those of the
        nearest value that does, and the messages replace the sums of the first registers.
    """
    columns, depth, pieces, bits = (literal.literal_value for literal in (tiles, planes, parts, residual_bits))
    signature = types.int64(total, neurons, target, at, tiles, planes, parts, residual_bits, carry, snap)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        group = NeuronState._make(unpack(builder, signature.args[1], arguments[1]))
        view = MapView._make(unpack(builder, signature.args[2], arguments[2]))
        first_total, channel, first, pixel = (value for _, value in unpack(builder, signature.args[3], arguments[3]))
        totals = pointer(context, builder, signature.args[0], arguments[0], first_total, I32)
        biases = address(context, builder, group.bias, channel, I32)
        pixel_state = address(context, builder, group.state, first, I8)
        lows, highs = (address(context, builder, plane, pixel, I8) for plane in (view.low, view.high))
        state = _State(builder, pixel_state, columns, bits)
        emitter = Neurons(builder, _WIDTH, group.threshold[1], group.release[1], group.exponent[1],
                          carry.literal_value, snap.literal_value)
        sums = _Sums(builder, totals, columns, depth, pieces)
        messages, sizes, masks = [], [], []
        for tile in range(columns):
            bias = load(builder, biases, _WIDTH.vector, tile * LANES, 4)
            before = state.sigma(tile)
            sigma = builder.add(before, sums.wrapped(tile))
            active = emitter.active(sigma, bias)
            reference = builder.sub(emitter.active(before, bias), state.residual(tile))
            delta = builder.sub(active, reference)
            fires, size = emitter.fires(active, delta, reference)
            state.set_sigma(tile, sigma)
            state.set_residual(tile, builder.select(fires, emitter.residual(delta), delta))
            messages.append(emitter.sent(fires, delta))
            sizes.append(size)
            masks.append(builder.icmp_signed("!=", messages[-1], emitter.zero))
        _store_bytes(builder, [emitter.clip(sent) for sent in messages], lows, highs)
        events = bits_set(builder, builder.bitcast(_concatenate(builder, masks), ir.IntType(columns * LANES)))
        overflow = emitter.any_overflow(sizes)
        with builder.if_then(overflow, likely=False):
            for tile, sent in enumerate(messages):
                store(builder, sent, totals, tile * TILE, 4)
        return builder.or_(events, builder.shl(builder.zext(overflow, I64), ir.Constant(I64, 32)))

    return signature, generate


def _concatenate(builder: ir.IRBuilder, vectors: Sequence[Any]) -> Any:
    if len(vectors) == 1:
        return vectors[0]
    first, second = vectors
    return shuffle(builder, first, second, range(2 * LANES))


def _store_bytes(builder: ir.IRBuilder, messages: Sequence[Any], lows: Any, highs: Any) -> None:
    """Stores the low and the high bytes of messages, int16, one vector for each tile."""
    narrow = _concatenate(builder, messages)
    kind = ir.VectorType(I8, len(messages) * LANES)
    high = builder.ashr(narrow, constant(narrow.type, _BYTE))
    for value, plane in ((narrow, lows), (high, highs)):
        store(builder, builder.trunc(value, kind), plane, 0, 1)
