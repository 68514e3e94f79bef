"""The few operations that mask networks are made of: one thread, float32, no memory of their own.

Products keep all their sums in registers, which a compiler does not find (see ``engine.vector_ir``). A product's rows
may overlap in memory, so a convolution is one, too: with pixels behind each other and a border of zeros, what a 3x3
window sees are three runs of numbers.

What mask networks of both shapes have in common: how they see values, and the arrays of a transformer block.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba.core import config, types
from numba.extending import intrinsic

from ...jit.cache import kernel
from ...jit.simd import call, load, nested_sums, pointer, splat, store

LANES = 8
"""Numbers of a vector. Rows of results and of weights are padded to a multiple of it."""

ROWS, VECTORS = 6, 2
"""Sums that are kept in registers: so many rows, of so many vectors each."""

NORM_EPSILON = np.float32(1e-5)
ZERO, LOWEST = np.float32(0.0), np.float32(-np.inf)
"""What a result is at least: with a rectifier, and without one."""

_LOG2_E = np.float32(1.4426950408889634)
_MIN_EXPONENT = np.float32(-80.0)
_SMALLEST_POWER = -120
_POWERS = (2.0 ** np.arange(_SMALLEST_POWER, 1)).astype(np.float32)
"""Powers of two up to 1. exp(``_MIN_EXPONENT``) needs 2**-116."""

_F32, _I64 = ir.FloatType(), ir.IntType(64)
_FLOATS = ir.VectorType(_F32, LANES)


@intrinsic(prefer_literal=True)
def _vector_tile(typing_context, source, first, step, pitch, runs, run, weight, bias, column, columns, target, place,
                 width, lowest, rows, vectors):
    """``rows`` (a literal) results of ``vectors`` (a literal) vectors, from ``column`` on. See ``product``."""
    height, across = rows.literal_value, vectors.literal_value
    index = types.intp
    signature = types.void(source, index, index, index, index, index, weight, bias, index, index, target, index, index,
                           types.float32, rows, vectors)

    def generate(context, builder, signature, arguments):
        b, kinds = builder, signature.args
        first, step, pitch, runs, run = arguments[1:6]
        column, columns, place, width = arguments[8], arguments[9], arguments[11], arguments[12]
        data = pointer(context, b, kinds[0], arguments[0], first, _F32)
        weights = pointer(context, b, kinds[6], arguments[6], column, _F32)
        biases = pointer(context, b, kinds[7], arguments[7], column, _F32)
        start = [load(b, biases, _FLOATS, LANES * v, 4) for _ in range(height) for v in range(across)]

        def enter(t):
            along = b.gep(data, [b.mul(t, pitch)])
            sources = [b.gep(along, [b.mul(step, ir.Constant(_I64, r))]) for r in range(height)]
            return run, (sources, b.gep(weights, [b.mul(b.mul(t, run), columns)]))

        def add(state, j, sums):
            sources, at = state
            line = b.gep(at, [b.mul(j, columns)])
            factors = [load(b, line, _FLOATS, LANES * v, 4) for v in range(across)]
            results = []
            for r in range(height):
                value = splat(b, b.load(b.gep(sources[r], [j])), _FLOATS)
                for v in range(across):
                    results.append(call(b, f"llvm.fmuladd.v{LANES}f32", _FLOATS,
                                        [value, factors[v], sums[r * across + v]]))
            return results

        sums = nested_sums(b, start, runs, enter, add)
        floor = splat(b, arguments[13], _FLOATS)
        for r in range(height):
            line = pointer(context, b, kinds[10], arguments[10],
                           b.add(b.add(place, column), b.mul(width, ir.Constant(_I64, r))), _F32)
            for v in range(across):
                value = sums[r * across + v]
                value = b.select(b.fcmp_ordered(">", value, floor), value, floor)
                store(b, value, line, LANES * v, 4)
        return context.get_dummy_value()

    return signature, generate


def _plain_tile(source, first, step, pitch, runs, run, weight, bias, column, columns, target, place, width, lowest,
                rows, vectors):
    """The same for people to read, and for when Numba is told to compile nothing."""
    part = slice(column, column + LANES * vectors)
    for r in range(rows):
        starts = (first + r * step + t * pitch for t in range(runs))
        seen = np.concatenate([source[start:start + run] for start in starts])
        line = seen @ weight[:runs * run * columns].reshape(-1, columns)[:, part] + bias[part]
        target[place + r * width:][part] = np.maximum(line, lowest)


_tile = _plain_tile if config.DISABLE_JIT else _vector_tile


@kernel
def product(source, first, step, pitch, runs, run, weight, bias, target, place, width, count, lowest):
    """For each i below ``count``: row i of weights' products with ``runs`` pieces of ``run`` source values, plus bias.

    Result i lies in target from place + i * width on. Its piece t begins in source at first + i * step + t * pitch.
    source, target: float32, flat. weight: [runs * run, n], n a multiple of LANES. bias: [n]. Values below ``lowest``
    become it.
    """
    columns = weight.shape[1]
    flat = weight.reshape(-1)
    for column in range(0, columns, LANES * VECTORS):
        pair = column + LANES * VECTORS <= columns
        i = 0
        while i < count:
            # The last rows are computed again rather than one by one.
            at = min(i, count - ROWS)
            if at < 0:
                for one in range(count):
                    _tile(source, first + one * step, step, pitch, runs, run, flat, bias, column, columns, target,
                          place + one * width, width, lowest, 1, 1)
                    if pair:
                        _tile(source, first + one * step, step, pitch, runs, run, flat, bias, column + LANES, columns,
                              target, place + one * width, width, lowest, 1, 1)
            elif pair:
                _tile(source, first + at * step, step, pitch, runs, run, flat, bias, column, columns, target,
                      place + at * width, width, lowest, 6, 2)
            else:
                _tile(source, first + at * step, step, pitch, runs, run, flat, bias, column, columns, target,
                      place + at * width, width, lowest, 6, 1)
            i += ROWS


@kernel
def linear(source, weight, bias, result, lowest):
    """result [m, n] = source [m, k] @ weight [k, n] + bias [n]; values below ``lowest`` become it."""
    m, k = source.shape
    n = result.shape[1]
    product(source.reshape(-1), 0, k, 0, 1, k, weight, bias, result.reshape(-1), 0, n, m, lowest)


@kernel
def convolve(source, weight, bias, stride, result):
    """3x3 convolution; negative results become 0.

    source, result: float32 [h + 2, w + 2, channels], with a border of zeros. weight: [9 * channels, n], rows by y, x,
    channel. Result (y, x) looks at source around (stride * y, stride * x).
    """
    channels, n = source.shape[2], result.shape[2]
    pitch, width = source.shape[1] * channels, result.shape[1] * n
    for y in range(result.shape[0] - 2):
        product(source.reshape(-1), y * stride * pitch, stride * channels, pitch, 3, 3 * channels, weight, bias,
                result.reshape(-1), (y + 1) * width + n, n, result.shape[1] - 2, ZERO)


@kernel
def normalise(source, scale, shift, result):
    """Each row of [m, n] to mean 0 and variance 1, then scaled and shifted by [n]."""
    m, n = source.shape
    for i in range(m):
        mean = np.float32(0.0)
        for j in range(n):
            mean += source[i, j]
        mean /= np.float32(n)
        variance = np.float32(0.0)
        for j in range(n):
            variance += (source[i, j] - mean) ** 2
        factor = np.float32(1.0) / np.sqrt(variance / np.float32(n) + NORM_EPSILON)
        for j in range(n):
            result[i, j] = (source[i, j] - mean) * factor * scale[j] + shift[j]


@kernel
def pool_pairs(source, cols, result):
    """Means of 2x2 tokens: [m / 4, n] from [m, n], whose rows are those of a grid with ``cols`` columns, both even."""
    half = cols // 2
    for i in range(result.shape[0]):
        first = 2 * (i // half) * cols + 2 * (i % half)
        for j in range(result.shape[1]):
            above = source[first, j] + source[first + 1, j]
            result[i, j] = (above + source[first + cols, j] + source[first + cols + 1, j]) * np.float32(0.25)


@kernel
def attend(query, key, value, heads, turned, scores, nothing, result):
    """Attention: result [m, n] from query [m, n], key and value [s, n], their columns shared among the heads.

    Scratch: turned [n / heads, s rounded up to LANES], scores [m, the same], nothing: zeros, at least as long.
    n / heads: a multiple of LANES.
    """
    m, n = query.shape
    s, size, room = key.shape[0], n // heads, scores.shape[1]
    scale = np.float32(1.0) / np.sqrt(np.float32(size))
    for head in range(heads):
        low = head * size
        for j in range(s):
            for c in range(size):
                turned[c, j] = key[j, low + c] * scale
        product(query.reshape(-1), low, n, 0, 1, size, turned, nothing, scores.reshape(-1), 0, room, m, LOWEST)
        for i in range(m):
            _softmax(scores[i, :s])
        product(scores.reshape(-1), 0, room, 0, 1, s, value[:, low:low + size].copy(), nothing, result.reshape(-1),
                low, n, m, LOWEST)


@kernel
def _softmax(row):
    """Each x of [n] becomes exp(x) over the sum of all; relative error below 1e-6.

    Four largest values and four sums, of every fourth number each: one alone would wait for itself at every number.
    """
    n = len(row)
    even = n - n % 4
    top = top1 = top2 = top3 = row[0]
    for j in range(0, even, 4):
        top, top1 = max(top, row[j]), max(top1, row[j + 1])
        top2, top3 = max(top2, row[j + 2]), max(top3, row[j + 3])
    for j in range(even, n):
        top = max(top, row[j])
    top = max(max(top, top1), max(top2, top3))
    for j in range(n):
        x = max(row[j] - top, _MIN_EXPONENT) * _LOG2_E
        whole = np.floor(x)
        rest = x - whole
        # 2**rest for 0 to 1, a polynomial fit, relative error 1e-7.
        p = np.float32(0.00187623)
        p = p * rest + np.float32(0.00899258)
        p = p * rest + np.float32(0.0558236)
        p = p * rest + np.float32(0.24015453)
        p = p * rest + np.float32(0.69315297)
        p = p * rest + np.float32(0.99999993)
        row[j] = p * _POWERS[np.int32(whole) - _SMALLEST_POWER]
    total = total1 = total2 = total3 = np.float32(0.0)
    for j in range(0, even, 4):
        total, total1 = total + row[j], total1 + row[j + 1]
        total2, total3 = total2 + row[j + 2], total3 + row[j + 3]
    for j in range(even, n):
        total += row[j]
    factor = np.float32(1.0) / ((total + total1) + (total2 + total3))
    for j in range(n):
        row[j] *= factor


MEAN, SCALE = 0.45, 4.0
"""A network sees (value / 255 - MEAN) * SCALE, of a colour as of the change; in training as in use."""


def block_shapes(width: int, hidden: int) -> dict[str, tuple[int, ...]]:
    """Arrays of the block by name, in a weights file's order."""
    square, row = (width, width), (width,)
    return {
        "norm1.scale": row, "norm1.shift": row,
        "query.weight": square, "query.bias": row, "key.weight": square, "key.bias": row,
        "value.weight": square, "value.bias": row, "join.weight": square, "join.bias": row,
        "norm2.scale": row, "norm2.shift": row,
        "up.weight": (width, hidden), "up.bias": (hidden,), "down.weight": (hidden, width), "down.bias": row,
    }
