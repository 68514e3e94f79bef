"""Boxes move with what they show: known motions of a texture, and images whose motion cannot be measured."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regionmask_ros.tracking.motion import MAX_GROWTH, OpticalFlow, downsample

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
