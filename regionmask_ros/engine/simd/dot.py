"""Dot products of graded spikes with weights, all sums in registers: the twin's ``correlate`` for some output pixels.

Neighbouring input channels are taken together, as a word of int16 messages. x86 multiplies pairs of int16. ARM's dot
product multiplies quads of int8: there a message is two signed bytes, m = 256 * high + low, with a sum for each.
``lanes`` and ``vectors`` are constants of the calling kernel: channels of a vector, and vectors at a time.
"""

from __future__ import annotations

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from ...jit.simd import I8, I16, I32, I64, WIDTHS, call, constant, load, nested_sums, pointer, shuffle, splat, store

_LOW_BITS = 8


class _Pairs:
    """Products of pairs of int16; one sum for each output."""

    parts = 1

    def __init__(self, builder, width) -> None:
        self.builder, self.width = builder, width
        self.operand = ir.VectorType(I16, 2 * width.lanes)

    def messages(self, word):
        """A word's messages, as often as a vector has outputs."""
        return [self.builder.bitcast(splat(self.builder, word, self.width.vector), self.operand)]

    def add(self, value, weights, messages):
        """The sum plus weights times messages."""
        product = call(self.builder, self.width.multiply_add, self.width.vector, [weights, messages])
        return self.builder.add(value, product)

    def total(self, sums):
        return sums[0]


class _Quads:
    """Products of quads of int8; a sum for the low bytes and one for the high ones of each output."""

    parts = 2

    def __init__(self, builder, width) -> None:
        self.builder, self.width = builder, width
        self.operand = ir.VectorType(I8, 4 * width.lanes)
        # Numba and the tests name the processor that they compile for.
        self.has_instruction = builder.module.triple.startswith(("aarch64", "arm64"))

    def messages(self, word):
        b, half, byte = self.builder, ir.VectorType(I16, 4), ir.VectorType(I8, 4)
        message = b.bitcast(word, half)
        low = b.trunc(message, byte)
        high = b.trunc(b.ashr(b.sub(message, b.sext(low, half)), constant(half, _LOW_BITS)), byte)
        return [b.bitcast(splat(b, b.bitcast(part, I32), self.width.vector), self.operand) for part in (low, high)]

    def add(self, value, weights, messages):
        if self.has_instruction:
            name = "llvm.aarch64.neon.sdot.v4i32.v16i8"
            return call(self.builder, name, self.width.vector, [value, weights, messages])
        return self.multiply_add_reference(value, weights, messages)

    def multiply_add_reference(self, value, weights, messages):
        """What the instruction means: for processors that lack it, so that tests can run these kernels anywhere."""
        b, wide = self.builder, ir.VectorType(I32, 4 * self.width.lanes)
        products = b.mul(b.sext(weights, wide), b.sext(messages, wide))
        for byte in range(4):
            value = b.add(value, shuffle(b, products, products, [4 * lane + byte for lane in range(self.width.lanes)]))
        return value

    def total(self, sums):
        low, high = sums
        return self.builder.add(low, self.builder.shl(high, constant(self.width.vector, _LOW_BITS)))


def _products(builder, width):
    return (_Pairs if width.multiply_add else _Quads)(builder, width)


class WeightRows:
    """Rows of weights of a word's channels: ``vectors`` vectors each, of which the first ``used`` are used.

    They are stored as they are multiplied, or as int8 that are widened when loaded.
    """

    def __init__(self, builder, width, bits: int, used: int, vectors: int) -> None:
        self.builder, self.used, self.bytes = builder, used, bits // 8
        self.products = _products(builder, width)
        self.stored = ir.IntType(bits)
        self.step = width.channels * width.lanes
        self.row_length = ir.Constant(I64, self.step * vectors)

    def row(self, first, number):
        """Address of the row of that number behind ``first``."""
        return self.builder.gep(first, [self.builder.mul(number, self.row_length)])

    def load(self, row):
        """The row's vectors."""
        kind, operand = ir.VectorType(self.stored, self.step), self.products.operand
        loaded = [load(self.builder, row, kind, self.step * v, self.bytes) for v in range(self.used)]
        return loaded if kind == operand else [self.builder.sext(value, operand) for value in loaded]

    def empty(self, outputs: int):
        """Sums of so many output pixels: for each, of its vectors, the products' parts."""
        kind = self.products.width.vector
        return [constant(kind, 0)] * (outputs * self.used * self.products.parts)

    def add(self, sums, loaded, word):
        """One output pixel's sums, plus a row times a word of messages."""
        messages, parts = self.products.messages(word), self.products.parts
        return [self.products.add(value, loaded[at // parts], messages[at % parts]) for at, value in enumerate(sums)]

    def totals(self, sums):
        """One vector for each of the sums' vectors."""
        parts = self.products.parts
        return [self.products.total(sums[at:at + parts]) for at in range(0, len(sums), parts)]


@intrinsic(prefer_literal=True)
def dot(typing_context, weight, first, tap_rows, taps, pixel, tap, count, slots, index, pair, total, vectors, lanes):
    """total[:lanes * vectors] = sum over taps t and spikes j of pixel[t]: weight row . pair of messages.

    weight: int8 or int16, flat, rows of lanes * vectors outputs x a word's channels. first: its first value.
    A tap's rows begin ``tap[t] * tap_rows`` rows later; index picks the row, pair holds the word of messages.
    pixel, tap: int32 [taps]. count: int32, spikes of each pixel; slots: how far its list lies from the next one's.
    """
    width, columns = WIDTHS[lanes.literal_value], vectors.literal_value
    signature = types.void(
        weight, types.intp, types.intp, types.intp, pixel, tap, count, types.intp, index, pair, total, vectors, lanes
    )

    def generate(context, builder, signature, arguments):
        kinds = signature.args
        _, first_, tap_rows_, taps_, _, _, _, slots_ = arguments[:8]
        zero, rows = ir.Constant(I64, 0), WeightRows(builder, width, kinds[0].dtype.bitwidth, columns, columns)
        weights_ = pointer(context, builder, kinds[0], arguments[0], first_, rows.stored)
        pixels, numbers, counts, indices, totals = (
            pointer(context, builder, kinds[at], arguments[at], zero, I32) for at in (4, 5, 6, 8, 10)
        )
        pairs = pointer(context, builder, kinds[9], arguments[9], zero, width.word)

        emit_gathered(
            builder, rows, weights_, tap_rows_, taps_, pixels, numbers, counts, slots_, indices, pairs, totals)
        return context.get_dummy_value()

    return signature, generate


def emit_gathered(builder, rows, weights, tap_rows, taps, pixels, numbers, counts, slots, indices, pairs, totals):
    """The instructions of ``dot``, with pointers in place of arrays. Apart, so that they can be compiled for a
    processor that is not this one; so are those of ``dot_dense``.
    """

    def read(array, at):
        return builder.sext(builder.load(builder.gep(array, [at])), I64)

    def enter(t):
        place = read(pixels, t)
        tap_start = rows.row(weights, builder.mul(read(numbers, t), tap_rows))
        return read(counts, place), (builder.mul(place, slots), tap_start)

    def add(state, j, sums):
        spikes, tap_start = state
        at = builder.add(spikes, j)
        loaded = rows.load(rows.row(tap_start, read(indices, at)))
        return rows.add(sums, loaded, builder.load(builder.gep(pairs, [at])))

    sums = nested_sums(builder, rows.empty(1), taps, enter, add)
    for v, value in enumerate(rows.totals(sums)):
        store(builder, value, totals, rows.products.width.lanes * v, 4)


@intrinsic(prefer_literal=True)
def dot_dense(typing_context, weight, first, words, begin, pitch, run, size, total, first_total, columns, vectors,
              pixels, lanes):
    """total[p, :lanes * columns] = sum over a dense window of pixel p, for ``pixels`` outputs at a time.

    Every weight is loaded once for all of them. weight: int8 or int16, from ``first`` on; its rows, of lanes *
    vectors outputs, are in the window's order, and only the first lanes * columns of each are used. words: of
    messages; the window of pixel p begins at begin[p] (int64) and has ``size`` runs of ``run`` words, ``pitch`` words
    apart. total: int32 [pixels, lanes * vectors], from first_total on.
    """
    width, used, outputs = WIDTHS[lanes.literal_value], columns.literal_value, pixels.literal_value
    signature = types.void(weight, types.intp, words, begin, *[types.intp] * 3, total, types.intp, columns, vectors,
                           pixels, lanes)

    def generate(context, builder, signature, arguments):
        kinds, zero = signature.args, ir.Constant(I64, 0)
        rows = WeightRows(builder, width, kinds[0].dtype.bitwidth, used, vectors.literal_value)
        weights_ = pointer(context, builder, kinds[0], arguments[0], arguments[1], rows.stored)
        begins = pointer(context, builder, kinds[3], arguments[3], zero, I64)
        totals = pointer(context, builder, kinds[7], arguments[7], arguments[8], I32)
        windows = [
            pointer(context, builder, kinds[2], arguments[2], builder.load(builder.gep(begins, [ir.Constant(I64, p)])),
                    width.word)
            for p in range(outputs)
        ]
        emit_dense(builder, rows, weights_, windows, *arguments[4:7], totals, width.lanes * vectors.literal_value)
        return context.get_dummy_value()

    return signature, generate


def emit_dense(builder, rows, weights, windows, pitch, run, size, totals, distance):
    """The instructions of ``dot_dense``: pointers to the first weight, each output's window and the totals, of which
    the next output's are ``distance`` later.
    """
    outputs = len(windows)
    mine = rows.used * rows.products.parts

    def enter(line):
        line_start = builder.mul(line, pitch)
        row_start = rows.row(weights, builder.mul(line, run))
        return run, ([builder.gep(window, [line_start]) for window in windows], row_start)

    def add(state, j, sums):
        line_starts, row_start = state
        loaded, results = rows.load(rows.row(row_start, j)), []
        for p, line_start in enumerate(line_starts):
            results += rows.add(sums[mine * p:mine * (p + 1)], loaded, builder.load(builder.gep(line_start, [j])))
        return results

    sums = rows.totals(nested_sums(builder, rows.empty(outputs), size, enter, add))
    lanes = rows.products.width.lanes
    for at, value in enumerate(sums):
        store(builder, value, totals, at // rows.used * distance + at % rows.used * lanes, 4)
