"""Tiles: where they lie, what covers a mask, and how boxes are mapped between image and input."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from regionmask_ros.core.frame import choose_input_size
from regionmask_ros.core.grid import RegionGrid
from regionmask_ros.core.look import Look
from regionmask_ros.mask.tiling import MARGIN_PX, SMALL_WIDTH, Tiling, make_tiling

TINY = 1e-6


@st.composite
def tilings(draw, fixed: bool | None = None) -> Tiling:
    """Of cameras from 40x30 to 2000x1500 pixels, landscape or portrait, of networks of free and of fixed size."""
    image_wh = draw(st.integers(40, 2000)), draw(st.integers(30, 1500))
    alignment = draw(st.sampled_from((32, 64)))
    is_fixed = draw(st.booleans()) if fixed is None else fixed
    full_wh = draw(st.sampled_from(((320, 320), (416, 256), (300, 300)))) if is_fixed else choose_input_size(
        image_wh, draw(st.sampled_from((100_000, 307_200, 921_600))), alignment)
    tiles = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    return make_tiling(image_wh, full_wh, RegionGrid.near_input(full_wh), tiles, alignment, is_fixed)


def assert_inside(look: Look, tiling: Tiling) -> None:
    x0, y0, x1, y1 = look.window
    assert -TINY <= x0 < x1 <= tiling.image_wh[0] + TINY and -TINY <= y0 < y1 <= tiling.image_wh[1] + TINY


def region_edges(tiling: Tiling) -> tuple[np.ndarray, np.ndarray]:
    """Borders between columns and between rows of regions, in image pixels."""
    return tuple(np.linspace(0, side, count + 1) for side, count in zip(tiling.image_wh, tiling.grid.shape[::-1]))


def lies_deep(low: float, high: float, start: float, end: float, image: float, margin: float) -> bool:
    """Whether an interval lies in another one with a margin, or at the border of the image."""
    return ((start <= max(low - margin, 0.0) + TINY * image)
            and (end >= min(high + margin, image) - TINY * image))


@settings(max_examples=30)
@given(tilings())
def test_each_region_lies_deep_inside_a_tile(tiling):
    """The margin is in pixels of the whole input: of a network of fixed size, tiles have a higher resolution."""
    for axis, (edges, image, full) in enumerate(zip(region_edges(tiling), tiling.image_wh, tiling.full_wh)):
        spans = {(look.window[axis], look.window[2 + axis]) for look in tiling.tiles}
        for low, high in pairwise(edges):
            assert any(lies_deep(low, high, *span, image, MARGIN_PX * image / full) for span in spans), (low, high)


def test_a_side_that_is_too_short_for_several_tiles_has_one():
    tiling = make_tiling((640, 128), (320, 64), RegionGrid.near_input((320, 64)), (3, 8), 32)
    assert (tiling.cols, tiling.rows) == (3, 1) and len(set(tiling.tiles)) == len(tiling.tiles) == 3


@settings(max_examples=30)
@given(tilings())
def test_tiles_have_one_shape_and_lie_in_the_image(tiling):
    assert len(tiling.tiles) == tiling.cols * tiling.rows
    for look in (*tiling.tiles, tiling.whole, tiling.small):
        assert_inside(look, tiling)
    assert {look.input_wh for look in tiling.tiles} == {tiling.tile_wh}
    for (x0, y0, x1, y1) in (look.window for look in tiling.tiles):
        assert all(edge == int(edge) for edge in (x0, y0, x1, y1)), "whole pixels"
        grown = np.subtract((x1 - x0, y1 - y0), tiling.window_wh)
        assert (grown > -TINY).all() and (grown < 2.0).all()
    everything = np.zeros(tiling.grid.shape, bool)
    for look in tiling.tiles:
        everything |= tiling.regions_of(look)
    assert everything.all() and tiling.regions_of(tiling.whole).all() and tiling.regions_of(tiling.small).all()
    assert all(part <= whole for part, whole in zip(tiling.tile_wh, tiling.full_wh))
    assert tiling.small_wh == tiling.full_wh or max(tiling.small_wh) < SMALL_WIDTH + 64


@settings(max_examples=30)
@given(tilings(fixed=False))
def test_tiles_of_a_free_network_keep_the_resolution_of_the_whole(tiling):
    for look in tiling.tiles:
        grown = (np.array(look.scale) - tiling.whole.scale) * tiling.tile_wh
        assert (grown > -1e-6).all() and (grown < 2.0).all(), "but for whole pixels"


@settings(max_examples=15)
@given(tilings(fixed=True))
def test_a_network_of_fixed_size_has_one_shape(tiling):
    assert tiling.tile_wh == tiling.small_wh == tiling.full_wh


@settings(max_examples=30)
@given(tilings(), st.integers(0, 2**32 - 1))
def test_mapping_to_the_image_and_back_is_exact(tiling, seed):
    rng = np.random.default_rng(seed)
    boxes = rng.uniform(-50, 700, (6, 4))
    for look in (*tiling.tiles, tiling.whole, tiling.small):
        np.testing.assert_allclose(look.to_input(look.to_image(boxes)), boxes, atol=1e-9)
        width, height = look.input_wh
        np.testing.assert_allclose(look.to_image(np.array([[0, 0, width, height]]))[0], look.window, atol=1e-9)


def draw_mask(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Single regions, a rectangle, or both."""
    keep = rng.random(shape) < rng.choice((0.0, 0.01, 0.1, 0.6))
    if rng.random() < 0.7:
        (r0, r1), (c0, c1) = (np.sort(rng.integers(0, side + 1, 2)) for side in shape)
        keep[r0:r1, c0:c1] = True
    return keep


@settings(max_examples=80)
@given(tilings(), st.integers(0, 2**32 - 1))
def test_looks_cover_every_region_of_a_mask(tiling, seed):
    rng = np.random.default_rng(seed)
    keep = draw_mask(rng, tiling.grid.shape)
    chosen = (tiling.tiles[rng.integers(len(tiling.tiles))],) if rng.random() < 0.3 else ()
    before = keep.copy()
    looks = tiling.cover(keep, chosen)
    np.testing.assert_array_equal(keep, before)
    shown = np.zeros_like(keep)
    for look in looks:
        assert_inside(look, tiling)
        assert look.input_wh in {tiling.tile_wh, tiling.full_wh}
        shown |= tiling.regions_of(look)
    assert shown[keep].all()
    assert len(looks) >= len(chosen) and (keep.any() or looks == chosen)
    assert len(set(looks)) == len(looks), "nothing is computed twice"
    assert sum(math.prod(look.input_wh) for look in looks) <= math.prod(tiling.full_wh) + (
        math.prod(tiling.tile_wh) if chosen else 0)


@settings(max_examples=40)
@given(tilings(), st.integers(0, 2**32 - 1))
def test_a_window_for_a_box_shows_it_as_a_whole(tiling, seed):
    rng, (width, height) = np.random.default_rng(seed), tiling.image_wh
    corners = np.sort(rng.uniform(0, 1, (2, 2)), axis=0) * (width, height)
    box = tuple(float(value) for value in corners.ravel())
    look = tiling.place(box)
    assert_inside(look, tiling)
    assert look.input_wh == tiling.tile_wh
    x0, y0, x1, y1 = look.window
    assert x0 <= box[0] + TINY * width and y0 <= box[1] + TINY * height
    assert x1 >= box[2] - TINY * width and y1 >= box[3] - TINY * height
    fits = box[2] - box[0] <= tiling.window_wh[0] and box[3] - box[1] <= tiling.window_wh[1]
    grown = np.subtract((x1 - x0, y1 - y0), tiling.window_wh)
    assert not fits or (grown < 2.0).all(), "at full resolution"


def test_the_window_for_a_box_has_it_in_its_middle():
    tiling = make_tiling((1280, 704), (1280, 704), RegionGrid.of_input((1280, 704)), (3, 2), 32)
    x0, y0, x1, y1 = tiling.place((600.0, 300.0, 640.0, 400.0)).window
    assert ((x0 + x1) / 2, (y0 + y1) / 2) == (620.0, 350.0)
    assert tiling.place((0.0, 0.0, 10.0, 10.0)).window[:2] == (0.0, 0.0)
    assert tiling.place((1270.0, 690.0, 1280.0, 704.0)).window[2:] == (1280.0, 704.0)


def test_a_small_mask_costs_one_tile_and_a_large_one_the_whole_picture_at_most():
    tiling = make_tiling((1280, 704), (1280, 704), RegionGrid.of_input((1280, 704)), (3, 2), 32)
    assert (tiling.tile_wh, tiling.small_wh) == ((480, 416), (320, 192))
    keep = tiling.grid.full(False)
    assert tiling.cover(keep) == ()
    keep[10:14, 30:36] = True
    (look,) = tiling.cover(keep)
    assert look.input_wh == (480, 416) and look.scale == (1.0, 1.0)
    keep[0, 0] = True
    assert len(tiling.cover(keep)) == 2
    assert tiling.cover(~keep) == (tiling.whole,)
    tiles = tiling.cover(~keep, may_be_whole=False)
    shown = np.any([tiling.regions_of(look) for look in tiles], axis=0)
    assert set(tiles) <= set(tiling.tiles) and (shown | keep).all()
