"""What both mask networks are made of: float32 operations, and a transformer block.

The operations run in one thread and allocate nothing. Products keep all their sums in registers, which a compiler does
not do by itself. The rows of a product may overlap in memory, so a convolution is a product, too: where pixels follow
each other and have a border of zeros, a 3x3 window is three runs of numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, config, types
from numba.extending import intrinsic

from ...jit.cache import kernel
from ...jit.simd import call, load, nested_sums, pointer, splat, store

MEAN, SCALE = 0.45, 4.0
"""The input of a network is (value / 255 - MEAN) * SCALE, for colors as for the change, in training as in use."""

LANES = 8
"""Numbers in a vector. Rows of results and of weights are padded to a multiple of it."""

ROWS, VECTORS = 6, 2
"""Sums that a product keeps in registers: rows, and vectors of each row."""

NORM_EPSILON = np.float32(1e-5)
ZERO, LOWEST = np.float32(0.0), np.float32(-np.inf)
"""Lower limit of results: with a rectifier, and without one."""

_LOG2_E = np.float32(1.4426950408889634)
_MIN_EXPONENT = np.float32(-80.0)
_SMALLEST_POWER = -120
_POWERS = (2.0 ** np.arange(_SMALLEST_POWER, 1)).astype(np.float32)
"""Powers of two up to 1. exp(``_MIN_EXPONENT``) needs 2**-116."""

_F32, _I64 = ir.FloatType(), ir.IntType(64)
_FLOATS = ir.VectorType(_F32, LANES)

Layout = tuple[int, int, int, int, int]
"""Where the rows of a product lie in a flat array: first, step, pitch, runs, run. Piece t of row i, of ``run`` numbers,
begins at first + i * step + t * pitch; a row has ``runs`` pieces."""

Place = tuple[int, int]
"""Where the results lie in a flat array: first, width. Row i begins at first + i * width."""


@intrinsic(prefer_literal=True)
def _vector_tile(typing_context: Any, source: Any, layout: Any, weight: Any, bias: Any, column: Any, columns: Any,
                 target: Any, place: Any, lowest: Any, rows: Any, vectors: Any) -> Any:
    """``rows`` results of ``vectors`` vectors (both literals), from ``column`` on. See ``product``."""
    height, across = rows.literal_value, vectors.literal_value
    index = types.intp
    signature = types.void(source, layout, weight, bias, index, index, target, place, types.float32, rows, vectors)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        b, kinds = builder, signature.args
        first, step, pitch, runs, run = cgutils.unpack_tuple(b, arguments[1], 5)
        column, columns = arguments[4], arguments[5]
        place, width = cgutils.unpack_tuple(b, arguments[7], 2)
        data = pointer(context, b, kinds[0], arguments[0], first, _F32)
        weights = pointer(context, b, kinds[2], arguments[2], column, _F32)
        biases = pointer(context, b, kinds[3], arguments[3], column, _F32)
        start = [load(b, biases, _FLOATS, LANES * v, 4) for _ in range(height) for v in range(across)]

        def enter(t: Any) -> Any:
            along = b.gep(data, [b.mul(t, pitch)])
            sources = [b.gep(along, [b.mul(step, ir.Constant(_I64, r))]) for r in range(height)]
            return run, (sources, b.gep(weights, [b.mul(b.mul(t, run), columns)]))

        def add(state: Any, j: Any, sums: Any) -> list[Any]:
            sources, at = state
            line = b.gep(at, [b.mul(j, columns)])
            factors = [load(b, line, _FLOATS, LANES * v, 4) for v in range(across)]
            results: list[Any] = []
            for r in range(height):
                value = splat(b, b.load(b.gep(sources[r], [j])), _FLOATS)
                results.extend(call(b, f"llvm.fmuladd.v{LANES}f32", _FLOATS,
                                    [value, factors[v], sums[r * across + v]]) for v in range(across))
            return results

        sums = nested_sums(b, start, runs, enter, add)
        floor = splat(b, arguments[8], _FLOATS)
        for r in range(height):
            line = pointer(context, b, kinds[6], arguments[6],
                           b.add(b.add(place, column), b.mul(width, ir.Constant(_I64, r))), _F32)
            for v in range(across):
                value = sums[r * across + v]
                value = b.select(b.fcmp_ordered(">", value, floor), value, floor)
                store(b, value, line, LANES * v, 4)
        return context.get_dummy_value()

    return signature, generate


def _plain_tile(source: np.ndarray, layout: Layout, weight: np.ndarray, bias: np.ndarray, column: int, columns: int,
                target: np.ndarray, place: Place, lowest: np.float32, rows: int, vectors: int) -> None:
    """Reference implementation of ``_vector_tile``, also used when Numba's compiler is switched off."""
    first, step, pitch, runs, run = layout
    part = slice(column, column + LANES * vectors)
    for r in range(rows):
        starts = (first + r * step + t * pitch for t in range(runs))
        row = np.concatenate([source[start:start + run] for start in starts])
        line = row @ weight[:runs * run * columns].reshape(-1, columns)[:, part] + bias[part]
        target[place[0] + r * place[1]:][part] = np.maximum(line, lowest)


_tile: Any = _plain_tile if config.DISABLE_JIT else _vector_tile


@kernel
def product(source: np.ndarray, layout: Layout, weight: np.ndarray, bias: np.ndarray, target: np.ndarray, place: Place,
            count: int, lowest: np.float32) -> None:
    """Multiplies ``count`` rows of a flat array by a matrix and adds the bias.

    Args:
        source: float32, flat.
        layout: Where the rows lie in ``source``.
        weight: float32 [runs * run, n], n a multiple of ``LANES``.
        bias: float32 [n].
        target: float32, flat, where the results go.
        place: Where the results lie in ``target``.
        count: Number of rows.
        lowest: Results below it become it: ``ZERO`` or ``LOWEST``.
    """
    first, step, pitch, runs, run = layout
    start, width = place
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
                    row, to = (first + one * step, step, pitch, runs, run), (start + one * width, width)
                    _tile(source, row, flat, bias, column, columns, target, to, lowest, 1, 1)
                    if pair:
                        _tile(source, row, flat, bias, column + LANES, columns, target, to, lowest, 1, 1)
            else:
                rows, to = (first + at * step, step, pitch, runs, run), (start + at * width, width)
                if pair:
                    _tile(source, rows, flat, bias, column, columns, target, to, lowest, 6, 2)
                else:
                    _tile(source, rows, flat, bias, column, columns, target, to, lowest, 6, 1)
            i += ROWS


@kernel
def linear(source: np.ndarray, weight: np.ndarray, bias: np.ndarray, result: np.ndarray, lowest: np.float32) -> None:
    """Computes source @ weight + bias.

    Args:
        source: float32 [m, k].
        weight: float32 [k, n], n a multiple of ``LANES``.
        bias: float32 [n].
        result: float32 [m, n], is filled.
        lowest: Results below it become it: ``ZERO`` or ``LOWEST``.
    """
    m, k = source.shape
    n = result.shape[1]
    product(source.reshape(-1), (0, k, 0, 1, k), weight, bias, result.reshape(-1), (0, n), m, lowest)


@kernel
def convolve(source: np.ndarray, weight: np.ndarray, bias: np.ndarray, stride: int, result: np.ndarray) -> None:
    """Computes a 3x3 convolution with a rectifier.

    Args:
        source: float32 [h + 2, w + 2, channels], with a border of zeros.
        weight: float32 [9 * channels, n], rows ordered by y, x, channel; n a multiple of ``LANES``.
        bias: float32 [n].
        stride: Source pixels from one result to the next.
        result: float32 [rows + 2, cols + 2, n], is filled inside its border. The window of result (y, x) is centered at
            source pixel (stride * y, stride * x).
    """
    channels, n = source.shape[2], result.shape[2]
    pitch, width = source.shape[1] * channels, result.shape[1] * n
    for y in range(result.shape[0] - 2):
        product(source.reshape(-1), (y * stride * pitch, stride * channels, pitch, 3, 3 * channels), weight, bias,
                result.reshape(-1), ((y + 1) * width + n, n), result.shape[1] - 2, ZERO)


@kernel
def normalize(source: np.ndarray, scale: np.ndarray, shift: np.ndarray, result: np.ndarray) -> None:
    """Layer normalization: each row gets mean 0 and variance 1, then is scaled and shifted.

    Args:
        source: float32 [m, n].
        scale: float32 [n].
        shift: float32 [n].
        result: float32 [m, n], is filled.
    """
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
def pool_pairs(source: np.ndarray, cols: int, result: np.ndarray) -> None:
    """Means of 2x2 tokens.

    Args:
        source: float32 [m, n], the tokens of a grid row by row; its numbers of rows and columns are even.
        cols: Columns of the grid.
        result: float32 [m / 4, n], is filled.
    """
    half = cols // 2
    for i in range(result.shape[0]):
        first = 2 * (i // half) * cols + 2 * (i % half)
        for j in range(result.shape[1]):
            above = source[first, j] + source[first + 1, j]
            result[i, j] = (above + source[first + cols, j] + source[first + cols + 1, j]) * np.float32(0.25)


@kernel
def attend(query: np.ndarray, key: np.ndarray, value: np.ndarray, heads: int, transposed: np.ndarray,
           scores: np.ndarray, zeros: np.ndarray, result: np.ndarray) -> None:
    """Computes scaled dot-product attention (arXiv 1706.03762, section 3.2).

    Args:
        query: float32 [m, n]. The heads divide the columns among them.
        key: float32 [s, n].
        value: float32 [s, n].
        heads: Number of heads; n / heads is a multiple of ``LANES``.
        transposed: Scratch, float32 [n / heads, s rounded up to ``LANES``].
        scores: Scratch, float32 [m, s rounded up to ``LANES``].
        zeros: float32, at least as long as a row of ``scores`` and of a head.
        result: float32 [m, n], is filled.
    """
    m, n = query.shape
    s, size, room = key.shape[0], n // heads, scores.shape[1]
    scale = np.float32(1.0) / np.sqrt(np.float32(size))
    for head in range(heads):
        low = head * size
        for j in range(s):
            for c in range(size):
                transposed[c, j] = key[j, low + c] * scale
        product(query.reshape(-1), (low, n, 0, 1, size), transposed, zeros, scores.reshape(-1), (0, room), m, LOWEST)
        for i in range(m):
            _softmax(scores[i, :s])
        product(scores.reshape(-1), (0, room, 0, 1, s), value[:, low:low + size].copy(), zeros, result.reshape(-1),
                (low, n), m, LOWEST)


@kernel
def _softmax(row: np.ndarray) -> None:
    """Each x of float32 [n] becomes exp(x) / sum(exp(x)); relative error below 1e-6.

    Four maxima and four sums run side by side, each over every fourth number: a single one would wait for its own
    previous result at every number.
    """
    n = len(row)
    even = n - n % 4
    top = top1 = top2 = top3 = row[0]
    for j in range(0, even, 4):
        top, top1 = max(top, row[j]), max(top1, row[j + 1])
        top2, top3 = max(top2, row[j + 2]), max(top3, row[j + 3])
    for j in range(even, n):
        top = max(top, row[j])
    top = max(top, top1, top2, top3)
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


def block_shapes(width: int, hidden: int) -> dict[str, tuple[int, ...]]:
    """Arrays of ``TransformerBlock`` by name, in the order of a weights file."""
    square, row = (width, width), (width,)
    return {
        "norm1.scale": row, "norm1.shift": row,
        "query.weight": square, "query.bias": row, "key.weight": square, "key.bias": row,
        "value.weight": square, "value.bias": row, "join.weight": square, "join.bias": row,
        "norm2.scale": row, "norm2.shift": row,
        "up.weight": (width, hidden), "up.bias": (hidden,), "down.weight": (hidden, width), "down.bias": row,
    }


class TransformerBlock:
    """Attention and a feed-forward network, each behind a layer normalization and added to its input.

    Args:
        weights: Arrays as ``block_shapes`` says; others are ignored.
        tokens: Number of tokens.
        heads: Attention heads.
        pool_cols: Columns of the grid that the tokens form, if keys and values are those of means of 2x2 tokens; 0: of
            all tokens.

    Attributes:
        stream: float32 [tokens, width]: the input and, after ``run``, the output.
        normal: float32 [tokens, width], scratch for normalized tokens.
        key: float32 [tokens or a quarter of them, width], scratch.
    """

    def __init__(self, weights: Mapping[str, np.ndarray], tokens: int, heads: int, pool_cols: int = 0) -> None:
        width, hidden = weights["up.weight"].shape
        keys = tokens // 4 if pool_cols else tokens
        room = -(-keys // LANES) * LANES
        self._weights, self._heads, self._pool_cols = weights, heads, pool_cols
        self.stream, self.normal, self._query, self._attended, self._change = np.empty((5, tokens, width), np.float32)
        self._pool, self.key, self._value = np.empty((3, keys, width), np.float32)
        self._hidden = np.empty((tokens, hidden), np.float32)
        self._transposed = np.zeros((width // heads, room), np.float32)
        self._scores = np.empty((tokens, room), np.float32)
        self._zeros = np.zeros(max(room, width), np.float32)

    def run(self) -> None:
        """Transforms the stream in place."""
        stream, normal = self.stream, self.normal
        self.normalize("norm1")
        source = normal
        if self._pool_cols:
            source = self._pool
            pool_pairs(normal, self._pool_cols, source)
        self.linear("query", normal, self._query)
        self.linear("key", source, self.key)
        self.linear("value", source, self._value)
        attend(self._query, self.key, self._value, self._heads, self._transposed, self._scores, self._zeros,
               self._attended)
        self.linear("join", self._attended, self._change)
        np.add(stream, self._change, out=stream)
        self.normalize("norm2")
        self.linear("up", normal, self._hidden, ZERO)
        self.linear("down", self._hidden, self._change)
        np.add(stream, self._change, out=stream)

    def normalize(self, name: str) -> None:
        """Normalizes the stream into ``normal`` with the scale and shift of that name."""
        normalize(self.stream, self._weights[f"{name}.scale"], self._weights[f"{name}.shift"], self.normal)

    def linear(self, name: str, source: np.ndarray, result: np.ndarray, lowest: np.float32 = LOWEST) -> None:
        """Applies ``linear`` with the weight and bias of that name."""
        linear(source, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"], result, lowest)
