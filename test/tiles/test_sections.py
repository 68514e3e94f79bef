"""Sections of image tiles: they cover the image once, and a change of one makes due what reads it, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regionmask_ros.tiles.grid import TileGrid, spread, tiles_read
from regionmask_ros.tiles.operators.geometry import Window
from regionmask_ros.tiles.operators.pooling import MaxPool
from regionmask_ros.tiles.sections import Sections


def pool(kernel, stride, before):
    """What reads windows; its padding on the far side does not matter here."""
    return MaxPool(Window((kernel, kernel), stride, (before, before, 0, 0)))


def make(kernel, stride, before, height, width):
    grid = TileGrid(height, width, 1)
    operator, result = pool(kernel, stride, before), TileGrid(-(-height // stride), -(-width // stride), stride)
    return grid, operator, result, Sections.of(grid, [(operator, result)])


@pytest.mark.parametrize(("kernel", "stride", "before", "edges"), [
    (6, 2, 2, [0, 2, 14, 16, 18, 30, 32]), (3, 2, 1, [0, 15, 16, 31, 32]), (3, 1, 1, [0, 1, 15, 16, 17, 31, 32]),
    (2, 2, 0, [0, 16, 32]), (1, 1, 0, [0, 16, 32]),
])
def test_tiles_are_cut_where_windows_reach(kernel, stride, before, edges):
    *_, sections = make(kernel, stride, before, 32, 32)
    assert sections.row_edges.tolist() == sections.col_edges.tolist() == edges
    assert (sections.rows, sections.cols) == (len(edges) - 1,) * 2


@settings(max_examples=80, deadline=None)
@given(kernel=st.integers(1, 21), stride=st.sampled_from([1, 2, 4]), height=st.integers(4, 50),
       width=st.integers(4, 50), data=st.data())
def test_a_change_makes_due_what_reads_it_and_nothing_else(kernel, stride, height, width, data):
    before = data.draw(st.integers(0, kernel - 1))
    grid, operator, result, sections = make(kernel, stride, before, height, width)
    assert sections.pixels().sum() == height * width
    tile_of = sections.expand(sections.of_tiles(np.arange(grid.rows * grid.cols).reshape(grid.rows, grid.cols)))
    rows, cols = np.indices((height, width)) // 16
    np.testing.assert_array_equal(tile_of, rows * grid.cols + cols)

    changed = np.zeros((sections.rows, sections.cols), bool)
    changed[data.draw(st.integers(0, sections.rows - 1)), data.draw(st.integers(0, sections.cols - 1))] = True
    pixels = sections.expand(changed)
    np.testing.assert_array_equal(sections.sum(pixels[..., None]) > 0, changed & (sections.pixels() > 0))
    due = spread(changed, tiles_read(operator, sections, result))
    for row, col in np.ndindex(due.shape):
        span = [operator.reads(axis, place * result.side, min((place + 1) * result.side, size) - 1)
                for axis, place, size in ((0, row, result.height), (1, col, result.width))]
        (top, bottom), (left, right) = ((max(first, 0), last + 1) for first, last in span)
        assert not pixels[top:bottom, left:right].any() or due[row, col]
        if kernel <= 16 and pixels.any():
            assert due[row, col] == pixels[top:bottom, left:right].any()
