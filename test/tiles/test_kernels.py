"""Every kernel set equals the formulas bit for bit, on any shapes, pitches, activations and values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_formulas import ACTIVATIONS, activate, finish, quantize, rescale
from native_kernels import (
    PAD,
    SLACK,
    Parameters,
    Pixels,
    Tiles,
    Window,
    address,
    aligned,
    find_set,
    kernel_sets,
    needs_library,
    padded,
)

from regionmask_ros.tiles.exponential import exponential

pytestmark = needs_library
every_set = pytest.mark.parametrize("name", kernel_sets())
quick = settings(max_examples=60, deadline=None)

seeds = st.integers(0, 2**32 - 1)
channel_counts = st.integers(1, 200)
kinds = st.sampled_from(ACTIVATIONS)


def draw_bytes(rng, size):
    """Any bytes, the extreme ones often."""
    values = rng.integers(0, 256, size, dtype=np.uint8)
    return rng.choice(np.array([0, 255], np.uint8), size) if rng.integers(4) == 0 else values


def draw_weights(rng, size):
    values = rng.integers(-128, 128, size).astype(np.int8)
    return rng.choice(np.array([-128, 127], np.int8), size) if rng.integers(4) == 0 else values


def draw_parameters(rng, channels, kind, spread=1.0):
    """An epilogue whose outputs are spread over 0 ... 255, and beyond."""
    multiplier = (rng.uniform(0.2, 3, channels) / spread).astype(np.float32)
    bias = rng.normal(0, 2, channels)
    if rng.integers(3) == 0:
        bias = bias * 1000.0
    return Parameters(multiplier, bias, rng.uniform(1, 60, channels), rng.integers(0, 256, channels), kind,
                      *((0.1, 0) if kind == 3 else (1 / 6, 0.5)))


def rows_with_pitch(rng, rows, length):
    """Bytes [rows, length] inside a wider, unaligned array, and the pitch."""
    pitch = length + int(rng.integers(0, 40))
    whole = draw_bytes(rng, rows * pitch + SLACK + 3)
    first = int(rng.integers(0, 4))
    return whole[first:first + rows * pitch].reshape(rows, pitch)[:, :length], pitch, whole


class Block:
    """Bytes [rows, cols, channels] inside of a wider, unaligned array.

    Attributes:
        values: The bytes.
        at: `tiles::Pixels`.
    """

    def __init__(self, rng, rows, cols, channels):
        pixel_pitch = channels + int(rng.choice([0, rng.integers(40)]))
        row_pitch = cols * pixel_pitch + int(rng.choice([0, rng.integers(40)]))
        self._whole, self._first = draw_bytes(rng, rows * row_pitch + SLACK + 3), int(rng.integers(0, 4))
        self._before = self._whole.copy()
        self._layout = (rows, cols, channels), (row_pitch, pixel_pitch, 1)
        self.values = self._view(self._whole)
        self.at = Pixels(address(self.values), row_pitch, pixel_pitch)

    def _view(self, whole):
        return np.ndarray(self._layout[0], np.uint8, whole.data, self._first, self._layout[1])

    def assert_only_it_was_written(self):
        self._view(self._before)[:] = self.values
        np.testing.assert_array_equal(self._whole, self._before)


def output(n, channels, pitch_extra, kind=np.uint8):
    pitch = -(-channels // 16) * 16 + pitch_extra
    return np.zeros(n * pitch + SLACK, kind), pitch


def result(out, pitch, n, channels):
    return out[:n * pitch].reshape(n, pitch)[:, :channels]


def gather_and_multiply(kernels, rng, n, runs, run_length, channels, parameters, weights, offset, is_float):
    k = runs * run_length
    image = draw_bytes(rng, 5000 + SLACK)
    starts = rng.integers(0, 2000, n)
    offsets = rng.integers(0, 2000, runs).astype(np.int32)
    pointers = np.array([address(image) + int(start) for start in starts], np.uint64)
    panel = aligned(kernels.panel_bytes(n, k), fill=201)
    kernels.gather(address(pointers), n, address(offsets), runs, run_length, address(panel))
    packed = aligned(kernels.packed_weight_bytes(channels, k), fill=99)
    kernels.pack_weights(address(weights), address(offset), channels, k, address(packed))
    out, pitch = output(n, channels, int(rng.integers(0, 20)), np.float32 if is_float else np.uint8)
    multiply = kernels.multiply_float if is_float else kernels.multiply
    multiply(address(panel), n, k, address(packed), channels, parameters.at, address(out), pitch)
    index = starts[:, None, None] + offsets[None, :, None] + np.arange(run_length)
    return result(out, pitch, n, channels), image[index].reshape(n, k)


@every_set
@quick
@given(seeds, st.integers(1, 60), st.integers(1, 6), st.integers(1, 90), channel_counts, kinds, st.booleans())
def test_a_convolution_equals_its_formula(name, seed, n, runs, run_length, channels, kind, is_float):
    rng, k = np.random.default_rng(seed), runs * run_length
    weights, offset = draw_weights(rng, (channels, k)), rng.integers(-10**6, 10**6, channels).astype(np.int32)
    parameters = draw_parameters(rng, channels, kind, 4000 * k**0.5)
    got, pixels = gather_and_multiply(find_set(name), rng, n, runs, run_length, channels, parameters, weights, offset,
                                      is_float)
    total = pixels.astype(np.int32) @ weights.astype(np.int32).T + offset
    wanted = (rescale if is_float else finish)(total, parameters)
    np.testing.assert_array_equal(got, wanted)


@every_set
@quick
@given(seeds, st.integers(1, 7), st.integers(1, 7), st.integers(1, 3), st.integers(1, 9), st.integers(1, 70),
       channel_counts, kinds)
def test_a_depthwise_convolution_equals_its_formula(name, seed, kh, kw, stride, rows, cols, channels, kind):
    rng, kernels, n = np.random.default_rng(seed), find_set(name), rows * cols
    weights = draw_weights(rng, (channels, kh, kw))
    offset = rng.integers(-10**5, 10**5, channels).astype(np.int32)
    parameters = draw_parameters(rng, channels, kind, 4000 * (kh * kw)**0.5)
    height, width = (rows - 1) * stride + kh, (cols - 1) * stride + kw
    window, pixel_pitch, _whole = rows_with_pitch(rng, height * width, channels)
    packed = aligned(kernels.packed_depthwise_bytes(channels, kh, kw), fill=99)
    kernels.pack_depthwise(address(weights), address(offset), channels, kh, kw, address(packed))
    out, pitch = output(n, channels, int(rng.integers(0, 20)))
    # In blocks: cut at some columns, and all of these at some rows.
    row, col = int(rng.integers(0, rows + 1)), int(rng.integers(0, cols + 1))
    blocks = [(y, x, height_, width_) for x, width_ in ((0, col), (col, cols - col)) if width_
              for y, height_ in ((0, row), (row, rows - row)) if height_]
    windows = (Window * len(blocks))(*(
        Window(address(window) + (y * width + x) * stride * pixel_pitch, *size) for y, x, *size in blocks))
    kernels.depthwise(windows, len(blocks), width * pixel_pitch, pixel_pitch, stride, kh, kw, channels,
                      address(packed), parameters.at, address(out), pitch)
    values = window.reshape(height, width, channels).astype(np.int32)
    total = sum(values[y:y + (rows - 1) * stride + 1:stride, x:x + (cols - 1) * stride + 1:stride]
                * weights[:, y, x].astype(np.int32) for y in range(kh) for x in range(kw)) + offset
    total = np.concatenate([total[y:y + height_, x:x + width_].reshape(-1, channels)
                            for y, x, height_, width_ in blocks])
    np.testing.assert_array_equal(result(out, pitch, n, channels), finish(total, parameters))


@every_set
@quick
@given(seeds, st.integers(1, 13), st.integers(1, 150), st.integers(1, 3), st.integers(1, 90), st.integers(1, 300),
       st.integers(1, 70))
def test_the_largest_of_windows_is_found(name, seed, rows, kw, stride, n, width, channels):
    rng = np.random.default_rng(seed)
    # Every window has a column of the image.
    left = -int(rng.integers(0, kw))
    n = min(n, 1 + (width - 1 - left) // stride)
    image, pitch, _whole = rows_with_pitch(rng, rows * width, channels)
    out, out_pitch = output(n, channels, int(rng.integers(0, 20)))
    find_set(name).max_pool(address(image), width * pitch, pitch, rows, width, left, stride, kw, n, channels,
                            address(out), out_pitch)
    columns = image.reshape(rows, width, channels).max(0)
    firsts = left + stride * np.arange(n)
    expected = [columns[max(0, first):first + kw].max(0) for first in firsts]
    np.testing.assert_array_equal(result(out, out_pitch, n, channels), expected)


@every_set
@quick
@given(seeds, st.integers(1, 13), st.integers(1, 13), channel_counts, st.integers(0, 20))
def test_the_mean_of_a_window_is_rounded_half_up(name, seed, rows, cols, channels, padding):
    rng = np.random.default_rng(seed)
    window, pitch, _whole = rows_with_pitch(rng, rows * cols, channels)
    zero, count = draw_bytes(rng, channels), rows * cols + padding
    out, _ = output(1, channels, 0)
    find_set(name).average_pool(address(window), cols * pitch, pitch, rows, cols, channels, padding, address(zero),
                                count, address(out))
    total = window.astype(np.int64).sum(0) + padding * zero.astype(np.int64)
    np.testing.assert_array_equal(out[:channels], (2 * total + count) // (2 * count))


@every_set
@quick
@given(seeds, st.integers(1, 6), st.integers(1, 12), channel_counts, kinds,
       st.sampled_from(["add", "multiply", "activate"]))
def test_operators_on_elements_equal_their_formulas(name, seed, rows, cols, channels, kind, operator):
    rng, kernels = np.random.default_rng(seed), find_set(name)
    parameters = draw_parameters(rng, channels, kind, 20)
    a, b = (Block(rng, rows, cols, channels) for _ in range(2))
    out = Block(rng, rows, cols, -(-channels // PAD) * PAD)
    za, zb = (rng.integers(0, 256, channels).astype(np.float32) for _ in range(2))
    ma, mb = (rng.uniform(-0.05, 0.05, channels).astype(np.float32) for _ in range(2))
    kept = [padded(values) for values in (za, ma, zb, mb)]
    at_za, at_ma, at_zb, at_mb = map(address, kept)
    end, shape = (parameters.at, out.at), (rows, cols, channels)
    fa, fb = a.values.astype(np.float32), b.values.astype(np.float32)
    if operator == "add":
        kernels.add(a.at, b.at, *shape, at_ma, at_mb, *end)
        y = (fa * ma + fb * mb) + parameters.bias
    elif operator == "multiply":
        kernels.multiply_elements(a.at, b.at, *shape, at_za, at_ma, at_zb, at_mb, *end)
        y = ((fa - za) * ma) * ((fb - zb) * mb)
    else:
        kernels.activate(a.at, *shape, *end)
        y = fa * parameters.multiplier + parameters.bias
    z = activate(y, kind, parameters.alpha, parameters.beta)
    np.testing.assert_array_equal(out.values[..., :channels], quantize(z, parameters.scale, parameters.zero))
    out.assert_only_it_was_written()


@every_set
@quick
@given(seeds, st.integers(1, 4), st.integers(1, 9), st.integers(1, 9), st.integers(1, 300))
def test_an_enlargement_copies_pixels_and_writes_exactly_their_bytes(name, seed, factor, rows, cols, channels):
    rng = np.random.default_rng(seed)
    top, left = rng.integers(0, factor, 2).tolist()
    source = Block(rng, -(-(top + rows) // factor), -(-(left + cols) // factor), channels)
    out = Block(rng, rows, cols, channels)
    find_set(name).enlarge(source.at, factor, top, left, rows, cols, channels, out.at)
    large = source.values.repeat(factor, 0).repeat(factor, 1)
    np.testing.assert_array_equal(out.values, large[top:top + rows, left:left + cols])
    out.assert_only_it_was_written()


@every_set
@quick
@given(seeds, st.integers(1, 20), st.integers(1, 300))
def test_squares_of_differences_are_added_to_the_sums_of_their_16_bytes(name, seed, rows, length):
    rng = np.random.default_rng(seed)
    a, b = draw_bytes(rng, (rows, length)), draw_bytes(rng, (rows, length))
    before = rng.integers(0, 2**31, -(-length // 16) * 8 + 24, np.uint32)
    sums = before.copy()
    for row in range(rows):
        find_set(name).add_squares(address(a[row]), address(b[row]), length, address(sums))
    squares = np.zeros((rows, -(-length // 16) * 16), np.int64)
    squares[:, :length] = (a.astype(np.int64) - b)**2
    added = sums.astype(np.int64) - before
    np.testing.assert_array_equal(added[:-24].reshape(-1, 8).sum(1), squares.sum(0).reshape(-1, 16).sum(1))
    assert 0 <= added.min() and added.max() <= 2 * 255**2 * rows and not added[-24:].any()


@every_set
@quick
@given(seeds, st.integers(1, 6), st.integers(1, 5), st.integers(1, 5), channel_counts, st.booleans(), st.booleans())
def test_tiles_are_replaced_whose_change_is_large(name, seed, tiles, rows, cols, channels, is_gapless, is_close):
    rng = np.random.default_rng(seed)
    gaps = (0, 0) if is_gapless else rng.integers(0, 20, 2)
    computed_row, held_row = (tiles * cols * (channels + int(gap)) for gap in gaps)
    computed = draw_bytes(rng, rows * computed_row + SLACK)
    held = draw_bytes(rng, rows * held_row + SLACK)

    def pixels(memory, row):
        return memory[:rows * row].reshape(rows, tiles, cols, -1)[..., :channels]

    if is_close:
        pixels(held, held_row)[:] = pixels(computed, computed_row)
        pixels(held, held_row)[..., -1] ^= rng.integers(0, 3, (rows, tiles, cols), np.uint8)
    change = ((pixels(computed, computed_row).astype(np.int64) - pixels(held, held_row))**2).sum((0, 2, 3))
    limit = max(1, int(rng.choice(change)))
    expected, replaced, weak = held.copy(), np.full(tiles, 9, np.uint8), np.full(tiles, 9, np.uint8)
    changed = change >= limit
    pixels(expected, held_row)[:, changed] = pixels(computed, computed_row)[:, changed]
    count = find_set(name).replace(Tiles(
        address(computed), computed_row, computed_row // (tiles * cols), address(held), held_row,
        held_row // (tiles * cols), tiles, rows, cols, channels, limit, address(replaced), address(weak)))
    np.testing.assert_array_equal(held, expected)
    np.testing.assert_array_equal(replaced, changed)
    np.testing.assert_array_equal(weak, (change > 0) & ~changed)
    assert (count.replaced, count.weak) == (changed.sum(), weak.sum())


@every_set
@quick
@given(seeds, st.integers(1, 20), st.integers(1, 300))
def test_a_copy_writes_exactly_its_bytes(name, seed, n, length):
    rng = np.random.default_rng(seed)
    source, source_pitch, _whole = rows_with_pitch(rng, n, length)
    pitch = length + int(rng.integers(0, 20))
    target = np.full((n + 1, pitch), 77, np.uint8)
    find_set(name).copy(address(source), source_pitch, address(target), pitch, n, length)
    np.testing.assert_array_equal(target[:n, :length], source)
    assert (target[:n, length:] == 77).all() and (target[n] == 77).all()


@every_set
def test_activations_of_extreme_values_are_those_of_the_formulas(name):
    """Sums from -2^31 to 2^31 - 1, which reach far beyond every limit of the exponential."""
    total = np.concatenate([np.arange(-2000, 2001), np.linspace(-2**31, 2**31 - 1, 2001)]).astype(np.int32)
    kernels, channels = find_set(name), len(total)
    weights, panel = np.zeros((channels, 1), np.int8), aligned(kernels.panel_bytes(1, 1))
    packed = aligned(kernels.packed_weight_bytes(channels, 1))
    kernels.pack_weights(address(weights), address(total), channels, 1, address(packed))
    for kind in ACTIVATIONS:
        for multiplier in (0.05, 1.0):
            parameters = Parameters(*(np.full(channels, value) for value in (multiplier, 0, 1, 3)), kind, 0.1, 0.5)
            (out, pitch), (head, _) = output(1, channels, 0), output(1, channels, 0, np.float32)
            start = (address(panel), 1, 1, address(packed), channels, parameters.at)
            kernels.multiply(*start, address(out), pitch)
            kernels.multiply_float(*start, address(head), pitch)
            np.testing.assert_array_equal(out[:channels], finish(total, parameters))
            np.testing.assert_array_equal(head[:channels], rescale(total, parameters))


def test_the_exponential_is_close_to_the_true_one():
    x = np.linspace(-87, 87, 400001).astype(np.float32)
    true = np.exp(x.astype(np.float64))
    error = np.abs(exponential(x) / true - 1)
    assert (error < 1.02e-4 + 1e-7 * np.abs(x)).all()
    assert error.max() > 1e-4  # the bound is not idle
    assert np.isfinite(exponential(np.array([-1e30, 1e30], np.float32))).all()
