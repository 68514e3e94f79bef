"""Dot products of messages with weights, all sums in registers: ``reference.correlate`` for some output pixels.

Neighboring input channels are taken together, as a word of int16 messages. x86 multiplies pairs of int16. ARM's dot
product multiplies quads of int8: there a message is two signed bytes, ``m = 256 * high + low``, with a sum for each.
``lanes`` (channels of a vector) and ``vectors`` (vectors at a time) are constants of the calling kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from ...jit.simd import (
    I8,
    I16,
    I32,
    I64,
    WIDTHS,
    Intrinsic,
    Width,
    address,
    call,
    constant,
    load,
    nested_sums,
    shuffle,
    splat,
    store,
    unpack,
)
from .packing import Source, Weights, Work

_LOW_BITS = 8


class _Pairs:
    """Emits products of pairs of int16; one sum for each output."""

    parts = 1

    def __init__(self, builder: ir.IRBuilder, width: Width) -> None:
        self.builder, self.width = builder, width
        self.operand = ir.VectorType(I16, 2 * width.lanes)

    def messages(self, word: Any) -> list[Any]:
        """A word's messages, repeated for every output of a vector."""
        return [self.builder.bitcast(splat(self.builder, word, self.width.vector), self.operand)]

    def add(self, value: Any, weights: Any, messages: Any) -> Any:
        """The sum plus weights times messages."""
        assert self.width.multiply_add is not None
        product = call(self.builder, self.width.multiply_add, self.width.vector, [weights, messages])
        return self.builder.add(value, product)

    def total(self, sums: Sequence[Any]) -> Any:
        """The sum of its parts."""
        return sums[0]


class _Quads:
    """Emits products of quads of int8; for each output one sum of the low bytes and one of the high ones."""

    parts = 2

    def __init__(self, builder: ir.IRBuilder, width: Width) -> None:
        self.builder, self.width = builder, width
        self.operand = ir.VectorType(I8, 4 * width.lanes)
        # Numba and the tests name the processor that they compile for.
        self.has_instruction = builder.module.triple.startswith(("aarch64", "arm64"))

    def messages(self, word: Any) -> list[Any]:
        """A word's messages as low and high bytes, each repeated for every output of a vector."""
        b, half, byte = self.builder, ir.VectorType(I16, 4), ir.VectorType(I8, 4)
        message = b.bitcast(word, half)
        low = b.trunc(message, byte)
        high = b.trunc(b.ashr(b.sub(message, b.sext(low, half)), constant(half, _LOW_BITS)), byte)
        return [b.bitcast(splat(b, b.bitcast(part, I32), self.width.vector), self.operand) for part in (low, high)]

    def add(self, value: Any, weights: Any, messages: Any) -> Any:
        """The sum plus weights times messages."""
        if self.has_instruction:
            name = "llvm.aarch64.neon.sdot.v4i32.v16i8"
            return call(self.builder, name, self.width.vector, [value, weights, messages])
        return self.multiply_add_reference(value, weights, messages)

    def multiply_add_reference(self, value: Any, weights: Any, messages: Any) -> Any:
        """What the instruction computes, for processors without it: tests run these kernels anywhere."""
        b, wide = self.builder, ir.VectorType(I32, 4 * self.width.lanes)
        products = b.mul(b.sext(weights, wide), b.sext(messages, wide))
        for byte in range(4):
            value = b.add(value, shuffle(b, products, products, [4 * lane + byte for lane in range(self.width.lanes)]))
        return value

    def total(self, sums: Sequence[Any]) -> Any:
        """The sum of its parts."""
        low, high = sums
        return self.builder.add(low, self.builder.shl(high, constant(self.width.vector, _LOW_BITS)))


def _products(builder: ir.IRBuilder, width: Width) -> _Pairs | _Quads:
    return _Pairs(builder, width) if width.multiply_add else _Quads(builder, width)


class WeightRows:
    """Emits products with rows of weights. A row holds the weights of a word's channels for ``vectors`` vectors.

    Weights are stored as they are multiplied, or as int8 and widened when loaded.

    Args:
        builder: Where to emit the instructions.
        width: The processor's vectors.
        bits: Bits of a stored weight.
        used: Vectors of a row that are used, the first ones.
        vectors: Vectors of a row.
    """

    def __init__(self, builder: ir.IRBuilder, width: Width, bits: int, used: int, vectors: int) -> None:
        self.builder, self.used, self.bytes = builder, used, bits // 8
        self.products = _products(builder, width)
        self.stored = ir.IntType(bits)
        self.step = width.channels * width.lanes
        self.row_length = ir.Constant(I64, self.step * vectors)

    def row(self, first: Any, number: Any) -> Any:
        """Emits the address of row ``number`` behind ``first``."""
        return self.builder.gep(first, [self.builder.mul(number, self.row_length)])

    def load(self, row: Any) -> list[Any]:
        """Emits the row's vectors."""
        kind, operand = ir.VectorType(self.stored, self.step), self.products.operand
        loaded = [load(self.builder, row, kind, self.step * v, self.bytes) for v in range(self.used)]
        return loaded if kind == operand else [self.builder.sext(value, operand) for value in loaded]

    def empty(self, outputs: int) -> list[Any]:
        """Returns zero sums: for each output pixel, for each of its vectors, the parts of the products."""
        kind = self.products.width.vector
        return [constant(kind, 0)] * (outputs * self.used * self.products.parts)

    def add(self, sums: Sequence[Any], loaded: Sequence[Any], word: Any) -> list[Any]:
        """Emits one output pixel's sums, plus a row times a word of messages."""
        messages, parts = self.products.messages(word), self.products.parts
        return [self.products.add(value, loaded[at // parts], messages[at % parts]) for at, value in enumerate(sums)]

    def totals(self, sums: Sequence[Any]) -> list[Any]:
        """Emits one vector for each vector of the sums."""
        parts = self.products.parts
        return [self.products.total(sums[at:at + parts]) for at in range(0, len(sums), parts)]


@intrinsic(prefer_literal=True)
def dot(typing_context: Any, weights: Any, first: Any, taps: Any, source: Any, scratch: Any, vectors: Any,
        lanes: Any) -> Intrinsic:
    """Gathers the words of one output's window.

    ``total[:lanes * vectors] = sum over taps t and list entries j of pixel[t]: row of weights * pair of messages``.

    Args:
        typing_context: Numba's.
        weights: ``packing.Weights``.
        first: Index of the first weight.
        taps: Number of pixels of the window that have events.
        source: ``packing.Source``. A list's ``index`` selects the row, ``pair`` holds the messages.
        scratch: ``packing.Work``. ``pixel`` and ``tap`` are the pixels that have events; a tap's rows begin
            ``tap * tap_rows`` rows behind the first. ``total`` gets the sums.
        vectors: Literal.
        lanes: Literal.

    Returns:
        Nothing to the calling kernel.
    """
    width, columns = WIDTHS[lanes.literal_value], vectors.literal_value
    signature = types.void(weights, types.intp, types.intp, source, scratch, vectors, lanes)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        weights_ = Weights._make(unpack(builder, signature.args[0], arguments[0]))
        source_ = Source._make(unpack(builder, signature.args[3], arguments[3]))
        work = Work._make(unpack(builder, signature.args[4], arguments[4]))
        zero, (_, tap_rows) = ir.Constant(I64, 0), weights_.tap_rows
        rows = WeightRows(builder, width, weights_.weight[0].dtype.bitwidth, columns, columns)
        first_weight = address(context, builder, weights_.weight, arguments[1], rows.stored)
        pixels, taps_, counts, indices, totals = (
            address(context, builder, array, zero, I32)
            for array in (work.pixel, work.tap, source_.count, source_.index, work.total))
        pairs = address(context, builder, source_.pair, zero, width.word)
        emit_gathered(builder, rows, first_weight, tap_rows, (pixels, taps_, arguments[2]), (counts, indices, pairs),
                      totals)
        return context.get_dummy_value()

    return signature, generate


def emit_gathered(builder: ir.IRBuilder, rows: WeightRows, weights: Any, tap_rows: Any, window: tuple[Any, Any, Any],
                  lists: tuple[Any, Any, Any], totals: Any) -> None:
    """Emits the instructions of ``dot``, with pointers in place of arrays.

    It is a function of its own, as ``emit_dense``, so that tests can compile it for a processor that is not this one.

    Args:
        builder: Where to emit the instructions.
        rows: The products.
        weights: Pointer to the first weight.
        tap_rows: Rows of weights of a tap, which are also the slots of a pixel's list.
        window: (pixels, taps, number of them).
        lists: (counts, indices, pairs).
        totals: Pointer to the sums.
    """
    pixels, taps, number = window
    counts, indices, pairs = lists

    def read(array: Any, at: Any) -> Any:
        return builder.sext(builder.load(builder.gep(array, [at])), I64)

    def enter(t: Any) -> tuple[Any, Any]:
        pixel = read(pixels, t)
        tap_start = rows.row(weights, builder.mul(read(taps, t), tap_rows))
        return read(counts, pixel), (builder.mul(pixel, tap_rows), tap_start)

    def add(state: Any, j: Any, sums: Sequence[Any]) -> list[Any]:
        list_start, tap_start = state
        at = builder.add(list_start, j)
        loaded = rows.load(rows.row(tap_start, read(indices, at)))
        return rows.add(sums, loaded, builder.load(builder.gep(pairs, [at])))

    sums = nested_sums(builder, rows.empty(1), number, enter, add)
    for v, value in enumerate(rows.totals(sums)):
        store(builder, value, totals, rows.products.width.lanes * v, 4)


@intrinsic(prefer_literal=True)
def dot_dense(typing_context: Any, weights: Any, at: Any, source: Any, scratch: Any, columns: Any, vectors: Any,
              pixels: Any, lanes: Any) -> Intrinsic:
    """Multiplies the whole windows of ``pixels`` outputs at a time, so that every weight is loaded once for all.

    ``total[p, :lanes * columns] = sum over the window's words: row of weights * word of messages``.

    Args:
        typing_context: Numba's.
        weights: ``packing.Weights``; rows are in the order of the window's words.
        at: (weight, total): index of the first weight and of the first sum.
        source: ``packing.Source``; ``word`` is the map.
        scratch: ``packing.Work``. The window of output p begins at word ``begin[p]`` and has ``size`` runs of
            ``size * tap_rows`` words, ``pitch * tap_rows`` words apart. ``total`` gets the sums, [pixels, vectors,
            lanes].
        columns: Literal: vectors that are used, the first ones.
        vectors: Literal: vectors of a row of weights.
        pixels: Literal.
        lanes: Literal.

    Returns:
        Nothing to the calling kernel.
    """
    width, used, outputs = WIDTHS[lanes.literal_value], columns.literal_value, pixels.literal_value
    signature = types.void(weights, at, source, scratch, columns, vectors, pixels, lanes)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        weights_ = Weights._make(unpack(builder, signature.args[0], arguments[0]))
        source_ = Source._make(unpack(builder, signature.args[2], arguments[2]))
        work = Work._make(unpack(builder, signature.args[3], arguments[3]))
        first_weight, first_total = (value for _, value in unpack(builder, signature.args[1], arguments[1]))
        rows = WeightRows(builder, width, weights_.weight[0].dtype.bitwidth, used, vectors.literal_value)
        start = address(context, builder, weights_.weight, first_weight, rows.stored)
        begins = address(context, builder, work.begin, ir.Constant(I64, 0), I64)
        totals = address(context, builder, work.total, first_total, I32)
        windows = [
            address(context, builder, source_.word, builder.load(builder.gep(begins, [ir.Constant(I64, p)])),
                    width.word)
            for p in range(outputs)]
        (_, tap_rows), (_, size), (_, pitch) = weights_.tap_rows, weights_.size, source_.pitch
        shape = builder.mul(pitch, tap_rows), builder.mul(size, tap_rows), size
        emit_dense(builder, rows, start, windows, shape, totals, width.lanes * vectors.literal_value)
        return context.get_dummy_value()

    return signature, generate


def emit_dense(builder: ir.IRBuilder, rows: WeightRows, weights: Any, windows: Sequence[Any],
               shape: tuple[Any, Any, Any], totals: Any, distance: int) -> None:
    """Emits the instructions of ``dot_dense``, with pointers in place of arrays.

    Args:
        builder: Where to emit the instructions.
        rows: The products.
        weights: Pointer to the first weight.
        windows: Pointer to each output's window.
        shape: (pitch, run, size): words between two runs, words of a run, number of runs.
        totals: Pointer to the sums.
        distance: Sums between two outputs.
    """
    pitch, run, size = shape
    outputs = len(windows)
    mine = rows.used * rows.products.parts

    def enter(line: Any) -> tuple[Any, Any]:
        line_start = builder.mul(line, pitch)
        row_start = rows.row(weights, builder.mul(line, run))
        return run, ([builder.gep(window, [line_start]) for window in windows], row_start)

    def add(state: Any, j: Any, sums: Sequence[Any]) -> list[Any]:
        line_starts, row_start = state
        loaded = rows.load(rows.row(row_start, j))
        results: list[Any] = []
        for p, line_start in enumerate(line_starts):
            results += rows.add(sums[mine * p:mine * (p + 1)], loaded, builder.load(builder.gep(line_start, [j])))
        return results

    sums = rows.totals(nested_sums(builder, rows.empty(outputs), size, enter, add))
    lanes = rows.products.width.lanes
    for at, value in enumerate(sums):
        store(builder, value, totals, at // rows.used * distance + at % rows.used * lanes, 4)
