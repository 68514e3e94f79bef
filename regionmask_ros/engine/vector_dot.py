"""Dot products of graded spikes with weights, all sums in registers: the twin's ``correlate`` for one output pixel.

Messages and weights are taken in pairs of neighbouring input channels, as int16. ``lanes`` and ``vectors`` are
constants of the calling kernel: 16 or 8 channels a vector, and vectors at a time.
"""

from __future__ import annotations

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from .vector_ir import I32, I64, WIDTHS, call, constant, load, nested_sums, pointer, splat, store


class _Weights:
    """Rows of weights: int8 (widened when loaded) or int16, ``vectors`` vectors of pairs each, ``used`` of them used."""

    def __init__(self, builder, width, weight, used: int, vectors: int) -> None:
        self.builder, self.width, self.used = builder, width, used
        self.bytes = weight.dtype.bitwidth // 8
        self.stored = ir.IntType(8 * self.bytes)
        self.row_length = ir.Constant(I64, 2 * width.lanes * vectors)

    def row(self, first, number):
        """Address of the row of that number behind ``first``."""
        return self.builder.gep(first, [self.builder.mul(number, self.row_length)])

    def load(self, row):
        """The row's vectors of int16 pairs."""
        kind, step = ir.VectorType(self.stored, 2 * self.width.lanes), 2 * self.width.lanes
        loaded = [load(self.builder, row, kind, step * v, self.bytes) for v in range(self.used)]
        return loaded if self.bytes == 2 else [self.builder.sext(value, self.width.pairs) for value in loaded]

    def products(self, weights, word):
        """For each vector: its pairs of weights times the two messages in ``word``."""
        messages = self.builder.bitcast(splat(self.builder, word, self.width.vector), self.width.pairs)
        return [call(self.builder, self.width.multiply_add, self.width.vector, [w, messages]) for w in weights]


@intrinsic(prefer_literal=True)
def dot(typing_context, weight, first, tap_rows, taps, pixel, tap, count, slots, index, pair, total, vectors, lanes):
    """total[:lanes * vectors] = sum over taps t and spikes j of pixel[t]: weight row . pair of messages.

    weight: int8 or int16, flat, rows of lanes * vectors outputs x 2 input channels. first: its first value.
    A tap's rows begin ``tap[t] * tap_rows`` rows later; index picks the row, pair holds the two messages as int16.
    pixel, tap: int32 [taps]. count: int32, spikes of each pixel; slots: how far its list lies from the next one's.
    """
    width, columns = WIDTHS[lanes.literal_value], vectors.literal_value
    signature = types.void(
        weight, types.intp, types.intp, types.intp, pixel, tap, count, types.intp, index, pair, total, vectors, lanes
    )

    def generate(context, builder, signature, arguments):
        kinds = signature.args
        _, first_, tap_rows_, taps_, _, _, _, slots_ = arguments[:8]
        zero, rows = ir.Constant(I64, 0), _Weights(builder, width, weight, columns, columns)
        weights_ = pointer(context, builder, kinds[0], arguments[0], first_, rows.stored)
        pixels, numbers, counts, indices, pairs, totals = (
            pointer(context, builder, kinds[at], arguments[at], zero, I32) for at in (4, 5, 6, 8, 9, 10)
        )

        def read(array, at):
            return builder.sext(builder.load(builder.gep(array, [at])), I64)

        def enter(t):
            place = read(pixels, t)
            tap_start = rows.row(weights_, builder.mul(read(numbers, t), tap_rows_))
            return read(counts, place), (builder.mul(place, slots_), tap_start)

        def add(state, j, sums):
            spikes, tap_start = state
            at = builder.add(spikes, j)
            loaded = rows.load(rows.row(tap_start, read(indices, at)))
            products = rows.products(loaded, builder.load(builder.gep(pairs, [at])))
            return [builder.add(value, product) for value, product in zip(sums, products)]

        sums = nested_sums(builder, [constant(width.vector, 0)] * columns, taps_, enter, add)
        for v, value in enumerate(sums):
            store(builder, value, totals, width.lanes * v, 4)
        return context.get_dummy_value()

    return signature, generate


@intrinsic(prefer_literal=True)
def dot_dense(typing_context, weight, first, words, begin, pitch, run, size, total, first_total, columns, vectors, pixels,
              lanes):
    """total[p, :lanes * columns] = sum over a dense window of pixel p, for ``pixels`` outputs at a time.

    Every weight is loaded once for all of them. weight: int8 or int16, from ``first`` on; its rows, of lanes * vectors
    outputs, are in the window's order, and only the first lanes * columns of each are used. words: int32, pairs of
    messages; the window of pixel p begins at begin[p] (int64) and has ``size`` runs of ``run`` words, ``pitch`` words
    apart. total: int32 [pixels, lanes * vectors], from first_total on.
    """
    width, used, outputs = WIDTHS[lanes.literal_value], columns.literal_value, pixels.literal_value
    signature = types.void(weight, types.intp, words, begin, *[types.intp] * 3, total, types.intp, columns, vectors,
                           pixels, lanes)

    def generate(context, builder, signature, arguments):
        kinds, zero = signature.args, ir.Constant(I64, 0)
        pitch_, run_, size_ = arguments[4:7]
        rows = _Weights(builder, width, weight, used, vectors.literal_value)
        weights_ = pointer(context, builder, kinds[0], arguments[0], arguments[1], rows.stored)
        begins = pointer(context, builder, kinds[3], arguments[3], zero, I64)
        totals = pointer(context, builder, kinds[7], arguments[7], arguments[8], I32)
        windows = [
            pointer(context, builder, kinds[2], arguments[2], builder.load(builder.gep(begins, [ir.Constant(I64, p)])), I32)
            for p in range(outputs)
        ]

        def enter(line):
            line_start = builder.mul(line, pitch_)
            return run_, ([builder.gep(window, [line_start]) for window in windows],
                          rows.row(weights_, builder.mul(line, run_)))

        def add(state, j, sums):
            line_starts, row_start = state
            loaded, results = rows.load(rows.row(row_start, j)), []
            for p, line_start in enumerate(line_starts):
                products = rows.products(loaded, builder.load(builder.gep(line_start, [j])))
                mine = sums[used * p:used * (p + 1)]
                results += [builder.add(value, product) for value, product in zip(mine, products)]
            return results

        sums = nested_sums(builder, [constant(width.vector, 0)] * (used * outputs), size_, enter, add)
        for at, value in enumerate(sums):
            place = (at // used * vectors.literal_value + at % used) * width.lanes
            store(builder, value, totals, place, 4)
        return context.get_dummy_value()

    return signature, generate
