from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionmask_ros.core.frame import Frame, choose_input_size, parse_input_size, resize_frame
from regionmask_ros.errors import UserError


@pytest.mark.parametrize("image_wh, expected", [
    ((1280, 720), (736, 416)),
    ((640, 480), (640, 480)),
    ((768, 576), (640, 480)),
    ((640, 272), (608, 256)),
    ((20, 20), (32, 32)),
    ((1224, 370), (992, 288)),
])
def test_automatic_size_follows_the_camera(image_wh, expected):
    assert choose_input_size(image_wh) == expected


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(1024, 700_000))
def test_automatic_size_keeps_its_promises(width, height, budget):
    w, h = choose_input_size((width, height), budget)
    assert w % 32 == h % 32 == 0 and w * h <= budget
    limit_w, limit_h = -(-width // 32) * 32, -(-height // 32) * 32
    assert w <= limit_w and h <= limit_h

    def error(a: int, b: int) -> float:
        return abs(a / b * height / width - 1)

    every = [(a, b) for a in range(32, limit_w + 1, 32) for b in range(32, limit_h + 1, 32) if a * b <= budget]
    fitting = [a * b for a, b in every if error(a, b) <= 0.05]
    if fitting:
        assert error(w, h) <= 0.05 and w * h == max(fitting), "the largest within 5 %"
    else:
        assert error(w, h) == min(error(a, b) for a, b in every), "the nearest aspect"


def test_budget_below_the_smallest_input_is_refused():
    with pytest.raises(UserError, match="max_pixels is 1000"):
        choose_input_size((640, 480), 1000)


@pytest.mark.parametrize("text", ["", "448", "448x", "x448", "448x447", "0x32", "-32x32", "448x448x3", "1e3x32",
                                  "99999999999x32", "٣٢x32", "448×448"])
def test_wrong_input_sizes_are_refused(text):
    with pytest.raises(UserError, match="input size"):
        parse_input_size(text)


def test_input_sizes_are_parsed():
    assert parse_input_size("auto") == "auto"
    assert parse_input_size("704x224") == (704, 224)


def test_the_input_is_the_resized_image_in_rgb():
    pixels = np.zeros((64, 96, 3), np.uint8)
    pixels[:, :, 0], pixels[:, :, 2] = 200, 7
    image = resize_frame(Frame(pixels, "bgr", 0, "camera"), (32, 32))
    assert image.shape == (32, 32, 3) and (image == [7, 0, 200]).all()
    same = resize_frame(Frame(np.ascontiguousarray(pixels[:, :, ::-1]), "rgb", 0, "camera"), (32, 32))
    np.testing.assert_array_equal(image, same)


@pytest.mark.parametrize("pixels", [
    np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3), np.float32),
    np.zeros((0, 4, 3), np.uint8), np.zeros((4, 8, 3), np.uint8)[:, ::2],
])
def test_frames_refuse_other_arrays(pixels):
    with pytest.raises(ValueError, match="pixels"):
        Frame(pixels, "bgr", 0, "camera")
