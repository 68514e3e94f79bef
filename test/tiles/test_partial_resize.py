"""The input of the tile engine, resized where it is observed only."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionmask_ros.core.frame import Frame, resize_frame
from regionmask_ros.core.grid import RegionGrid
from regionmask_ros.tiles import partial_resize
from regionmask_ros.tiles.compiled import open_library
from regionmask_ros.tiles.partial_resize import PartialResize

SIZES = [((640, 360), (640, 352)), ((626, 360), (640, 384)), ((1920, 1080), (736, 416)), ((768, 576), (608, 448)),
         ((1280, 960), (640, 480)), ((1242, 375), (992, 288)), ((300, 200), (608, 416)), ((97, 33), (64, 40)),
         ((640, 480), (640, 480)), ((1, 1), (32, 32)), ((5000, 7), (96, 96)), ((3, 2), (72, 56))]


BLOCKS = partial_resize.list_blocks()


@pytest.mark.parametrize("blocks", [BLOCKS[first:] for first in range(len(BLOCKS) + 1)], ids=str)
@pytest.mark.parametrize("order", ["bgr", "rgb"])
@pytest.mark.parametrize(("image_wh", "input_wh"), SIZES)
def test_observed_regions_are_those_of_the_whole_image(image_wh, input_wh, order, blocks, monkeypatch):
    monkeypatch.setattr(partial_resize, "list_blocks", lambda: blocks)
    rng = np.random.default_rng(0)
    resize, grid = PartialResize(image_wh, input_wh), RegionGrid.near_input(input_wh)
    for share in (0.3, 1.0, 0.7, 0.0):
        frame = Frame(rng.integers(0, 256, (*image_wh[::-1], 3)).astype(np.uint8), order, 0, "")
        keep = rng.random(grid.shape) < share
        image, whole = resize.resize(frame, keep), resize_frame(frame, input_wh)
        assert image.shape == whole.shape and image.flags.c_contiguous
        pixels = keep.repeat(16, axis=0).repeat(16, axis=1)[:input_wh[1], :input_wh[0]]
        np.testing.assert_array_equal(image[pixels], whole[pixels])


@given(st.integers(1, 700), st.integers(1, 90), st.integers(1, 20), st.integers(1, 12), st.integers(0, len(BLOCKS)),
       st.integers(0, 2**32 - 1))
def test_any_size_is_resized_as_a_whole_would_be(width, height, across, down, skipped, seed):
    rng, input_wh = np.random.default_rng(seed), (8 * across, 8 * down)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(partial_resize, "list_blocks", lambda: BLOCKS[skipped:])
        frame = Frame(rng.integers(0, 256, (height, width, 3)).astype(np.uint8), "bgr", 0, "")
        image = PartialResize((width, height), input_wh).resize(frame, RegionGrid.near_input(input_wh).full(True))
    np.testing.assert_array_equal(image, resize_frame(frame, input_wh))


def test_an_image_may_change_its_order_of_channels():
    resize, keep = PartialResize((640, 480), (96, 64)), np.ones((4, 6), bool)
    pixels = np.random.default_rng(0).integers(0, 256, (480, 640, 3)).astype(np.uint8)
    for order in ("bgr", "rgb", "bgr"):
        frame = Frame(pixels, order, 0, "")
        np.testing.assert_array_equal(resize.resize(frame, keep), resize_frame(frame, (96, 64)))


@pytest.mark.skipif(open_library().handle is None, reason="no compiled kernels")
def test_regions_that_are_not_observed_are_not_written():
    resize, keep = PartialResize((64, 48), (96, 64)), np.zeros((4, 6), bool)
    keep[1, 2:4] = True
    image = resize.resize(Frame(np.full((48, 64, 3), 9, np.uint8), "rgb", 0, ""), keep)
    assert (image[16:32, 32:64] == 9).all() and image.sum() == 9 * 16 * 32 * 3


def test_without_a_library_the_whole_image_is_resized(monkeypatch):
    monkeypatch.setattr(partial_resize, "_bind_library", lambda: None)
    frame = Frame(np.random.default_rng(0).integers(0, 256, (48, 64, 3)).astype(np.uint8), "bgr", 0, "")
    image = PartialResize((64, 48), (96, 64)).resize(frame, np.zeros((4, 6), bool))
    np.testing.assert_array_equal(image, resize_frame(frame, (96, 64)))
