"""Boxes move with what they show: known motions of a texture, and images whose motion cannot be measured."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regionmask_ros.tracking.motion import (
    CHANGED_BY,
    MAX_GROWTH,
    UNKNOWN,
    OpticalFlow,
    choose_levels,
    choose_step,
    downsample,
    share_changed,
)

TEXTURE = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (480, 640, 3)).astype(np.uint8), (0, 0), 6)
BOXES = np.array([[100, 100, 180, 260], [300, 200, 420, 300], [320, 60, 360, 130]], np.float64)


def warped(scale: float, dx: float, dy: float) -> np.ndarray:
    """The texture, moved, and grown about the first box's center."""
    x, y = 140.0, 180.0
    matrix = np.array([[scale, 0, dx + (1 - scale) * x], [0, scale, dy + (1 - scale) * y]])
    return cv2.warpAffine(TEXTURE, matrix, (640, 480), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


@pytest.mark.parametrize("dx, dy", [(0, 0), (3, 1), (-10, 6), (0, -14)])
def test_a_shifted_image_shifts_all_boxes(dx, dy):
    shift, growth = OpticalFlow(downsample(TEXTURE), downsample(warped(1.0, dx, dy))).of(BOXES)
    np.testing.assert_allclose(shift, [[dx, dy]] * 3, atol=1.0)
    np.testing.assert_allclose(growth, 1.0, atol=0.03)


@pytest.mark.parametrize("dx, dy", [(100, 0), (-90, 40), (0, 70), (60, 0)])
def test_shifts_farther_than_a_box_are_found_when_nothing_is_known_of_the_motion(dx, dy):
    # Structure of all sizes, as images have: of fine structure alone, nothing is left in a halved image.
    rng = np.random.default_rng(0)
    image = sum(sigma * cv2.resize(rng.standard_normal((800 // sigma, 1280 // sigma)), (1280, 720),
                                   interpolation=cv2.INTER_CUBIC) for sigma in (8, 16, 32, 64, 128))
    image = cv2.normalize(image, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)[..., None].repeat(3, axis=2)
    before, now = downsample(image), downsample(np.roll(image, (dy, dx), (0, 1)))
    shift, growth = OpticalFlow(before, now, choose_step((1280, 720))).of(BOXES + 200)
    np.testing.assert_allclose(shift, [[dx, dy]] * 3, atol=1.0)
    np.testing.assert_allclose(growth, 1.0, atol=0.03)


def test_points_are_searched_as_far_as_things_move():
    assert [choose_levels(reach, 4) for reach in (0.0, 16.0, 17.0, 32.0, 33.0, UNKNOWN)] == [1, 1, 2, 2, 3, 3]
    assert [choose_levels(reach, 8) for reach in (32.0, 33.0, 64.0, 65.0)] == [1, 2, 2, 3]


@pytest.mark.parametrize("image_wh, step", [
    ((96, 64), 4), ((640, 480), 4), ((600, 800), 5), ((1224, 370), 4), ((1280, 720), 8), ((1920, 1080), 12)])
def test_downsampled_images_of_large_cameras_are_about_as_large_as_those_of_small_ones(image_wh, step):
    assert choose_step(image_wh) == step
    pixels = np.random.default_rng(0).integers(0, 256, (image_wh[1], image_wh[0], 3)).astype(np.uint8)
    np.testing.assert_array_equal(downsample(pixels), pixels[::step, ::step, 1])


def test_what_has_gone_is_not_found_elsewhere():
    """The first box's content is nowhere in the second image: no point of it returns to where it started."""
    other = np.random.default_rng(1).integers(0, 256, TEXTURE.shape).astype(np.uint8)
    now = TEXTURE.copy()
    now[60:300, 60:220] = cv2.GaussianBlur(other, (0, 0), 6)[60:300, 60:220]
    shift, _ = OpticalFlow(downsample(TEXTURE), downsample(now)).of(BOXES)
    assert np.isnan(shift[0]).all()
    np.testing.assert_allclose(shift[1:], 0.0, atol=1.0)


@pytest.mark.parametrize("scale", [0.92, 1.0, 1.08])
def test_a_box_grows_with_what_it_shows(scale):
    shift, growth = OpticalFlow(downsample(TEXTURE), downsample(warped(scale, 0, 0))).of(BOXES[:1])
    assert growth[0] == pytest.approx(scale, abs=0.02) and np.abs(shift).max() < 1.5


def test_growth_is_limited():
    _, growth = OpticalFlow(downsample(TEXTURE), downsample(warped(1.6, 0, 0))).of(BOXES)
    assert (growth <= 1.0 + MAX_GROWTH).all() and (growth >= 1.0 - MAX_GROWTH).all()


def test_the_motion_is_unknown_where_it_cannot_be_measured():
    whole, tiny = downsample(TEXTURE), downsample(TEXTURE[:48, :48])
    for motion in (OpticalFlow(whole, tiny), OpticalFlow(tiny, tiny)):
        shift, growth = motion.of(BOXES)
        assert np.isnan(shift).all() and (growth == 1.0).all()
    shift, _ = OpticalFlow(whole, whole).of(np.array([[-500, -500, -400, -400.0]]))
    assert np.isnan(shift).all(), "a box outside the image"
    assert [part.shape for part in OpticalFlow(whole, whole).of(np.zeros((0, 4)))] == [(0, 2), (0,)]


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_any_boxes_and_images_give_finite_or_unknown_shifts(seed):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (2, 30, 40)).astype(np.uint8)
    corner = rng.uniform(-50, 200, (5, 2))
    shift, growth = OpticalFlow(*images).of(np.hstack([corner, corner + rng.uniform(0, 300, (5, 2))]))
    assert not np.isinf(shift).any() and np.isfinite(growth).all()


@given(st.tuples(st.integers(1, 60), st.integers(1, 60)), st.tuples(st.integers(1, 20), st.integers(1, 20)),
       st.integers(0, 2**32 - 1))
def test_the_changed_share_of_a_cell_is_that_of_its_area(size, grid, seed):
    rng = np.random.default_rng(seed)
    before = rng.integers(0, 256, size).astype(np.uint8)
    now = np.clip(before.astype(int) + rng.integers(-20, 21, size), 0, 255).astype(np.uint8)
    share = share_changed(before, now, grid)
    changed = np.abs(before.astype(int) - now) > CHANGED_BY
    # Each pixel becomes as many as there are cells, and each cell as many as there are pixels.
    fine = changed.repeat(grid[0], axis=0).repeat(grid[1], axis=1)
    expected = fine.reshape(grid[0], size[0], grid[1], size[1]).mean(axis=(1, 3))
    np.testing.assert_allclose(share, expected, rtol=1e-6)
    assert (share[expected == 1.0] == 1.0).all()
