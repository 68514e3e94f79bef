"""ROS pictures to frames and back, against pixels worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from hypothesis import given
from hypothesis import strategies as st
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from regionmask_ros.detection.detections import Detections
from regionmask_ros.errors import UserError
from regionmask_ros.ros.conversions import (
    ENCODINGS,
    detections_message,
    frame_from,
    image_message,
    label_info_message,
    stamp_ns,
    stamp_of_ns,
)

HEADER = Header(stamp=Time(sec=12, nanosec=345), frame_id="front_optical")


def message(encoding: str, rows: list[bytes], width: int, step: int | None = None, bigendian: int = 0) -> Image:
    """A picture from its rows, each padded with 0xEE up to ``step`` bytes."""
    step = step or len(rows[0])
    built = Image(header=HEADER, encoding=encoding, width=width, height=len(rows), step=step, is_bigendian=bigendian)
    built.data.frombytes(b"".join(row.ljust(step, b"\xee") for row in rows))
    return built


def bgr(built: Image) -> list:
    return frame_from(built).bgr().tolist()


def test_the_header_is_kept():
    frame = frame_from(message("bgr8", [bytes(3)], 1))
    assert (frame.stamp_ns, frame.frame_id) == (12_000_000_345, "front_optical")


@pytest.mark.parametrize(("encoding", "pixel", "expected_bgr"), [
    ("rgb8", [1, 2, 3], [3, 2, 1]),
    ("bgr8", [1, 2, 3], [1, 2, 3]),
    ("8UC3", [1, 2, 3], [1, 2, 3]),
    ("rgba8", [1, 2, 3, 99], [3, 2, 1]),
    ("bgra8", [1, 2, 3, 99], [1, 2, 3]),
    ("mono8", [7], [7, 7, 7]),
    ("8UC1", [7], [7, 7, 7]),
])
@pytest.mark.parametrize("padding", [0, 1, 5])
def test_8_bit_pixels(encoding, pixel, expected_bgr, padding):
    row = bytes(pixel + [v + 10 for v in pixel])
    second = [v + 10 for v in expected_bgr]
    assert bgr(message(encoding, [row, row], 2, len(row) + padding)) == [[expected_bgr, second]] * 2


@pytest.mark.parametrize("encoding", ["mono16", "16UC1"])
@pytest.mark.parametrize("bigendian", [0, 1])
@pytest.mark.parametrize("padding", [0, 1, 2])
def test_16_bit_pixels_in_both_byte_orders(encoding, bigendian, padding):
    values = [0, 128, 129, 257, 32767, 65535]
    row = np.array(values, ">u2" if bigendian else "<u2").tobytes()
    expected = [[grey] * 3 for grey in (0, 0, 1, 1, 127, 255)]
    assert bgr(message(encoding, [row, row], 6, len(row) + padding, bigendian)) == [expected] * 2


BAYER_FIRST_ROWS = {"bayer_rggb8": "RGGB", "bayer_bggr8": "BGGR", "bayer_gbrg8": "GBRG", "bayer_grbg8": "GRBG"}


@pytest.mark.parametrize("encoding", BAYER_FIRST_ROWS)
def test_a_bayer_mosaic_of_one_colour_becomes_that_colour(encoding):
    """The name gives the colours of the upper left 2x2 pixels, row by row."""
    colour = {"R": 200, "G": 90, "B": 10}
    first, second = BAYER_FIRST_ROWS[encoding][:2], BAYER_FIRST_ROWS[encoding][2:]
    rows = [bytes(colour[c] for c in pair * 4) for pair in (first, second) * 4]
    inside = frame_from(message(encoding, rows, 8)).bgr()[2:-2, 2:-2]
    assert np.array_equal(inside, np.broadcast_to(np.uint8([10, 90, 200]), inside.shape))


@pytest.mark.parametrize(("encoding", "pair"), [
    ("yuv422", "UYVY"), ("uyvy", "UYVY"), ("yuv422_yuy2", "YUYV"), ("yuyv", "YUYV"),
])
def test_yuv_pairs_in_both_orders(encoding, pair):
    """ITU-R BT.601, 16 to 235: black, white, and a red that was worked out from its definition."""
    def row(y: int, u: int, v: int) -> bytes:
        return bytes({"Y": y, "U": u, "V": v}[c] for c in pair)

    picture = np.array(bgr(message(encoding, [row(16, 128, 128), row(235, 128, 128), row(81, 90, 240)], 2)))
    expected = np.array([[[0, 0, 0]] * 2, [[255, 255, 255]] * 2, [[0, 0, 255]] * 2])
    assert np.abs(picture - expected).max() <= 2


def test_no_copy_is_made_of_a_picture_that_needs_none():
    built = message("rgb8", [bytes(range(6))], 2)
    frame = frame_from(built)
    assert frame.order == "rgb"
    assert np.shares_memory(frame.pixels, np.frombuffer(built.data, np.uint8))


@given(st.integers(1, 40), st.integers(1, 30), st.integers(0, 9), st.sampled_from(["rgb8", "bgr8"]), st.randoms())
def test_any_size_and_padding_survives(width, height, padding, encoding, random):
    pixels = np.frombuffer(random.randbytes(width * height * 3), np.uint8).reshape(height, width, 3)
    built = message(encoding, [row.tobytes() for row in pixels], width, width * 3 + padding)
    assert np.array_equal(frame_from(built).pixels, pixels)


def broken(**wrong) -> Image:
    built = message("bgr8", [bytes(12)] * 3, 4)
    for name, value in wrong.items():
        setattr(built, name, value)
    return built


@pytest.mark.parametrize(("wrong", "word"), [
    ({"height": 4}, "data has 36 bytes"),
    ({"step": 11}, "step is 11"),
    ({"step": 0}, "step is 0"),
    ({"width": 0}, "empty"),
    ({"height": 0}, "empty"),
    ({"encoding": ""}, "encoding ''"),
    ({"encoding": "jpeg"}, "encoding 'jpeg'"),
    ({"width": 2**32 - 1}, "step is 12"),
    ({"height": 2**32 - 1}, "data has 36 bytes"),
    ({"encoding": "yuyv", "width": 3}, "even width"),
])
def test_a_broken_picture_is_refused_with_its_fault(wrong, word):
    with pytest.raises(UserError, match=word):
        frame_from(broken(**wrong))


@given(
    st.sampled_from(ENCODINGS), st.integers(0, 9), st.integers(0, 9), st.integers(0, 40), st.binary(max_size=300),
    st.integers(0, 1),
)
def test_whatever_comes_is_a_frame_or_a_reason(encoding, width, height, step, data, bigendian):
    built = Image(encoding=encoding, width=width, height=height, step=step, is_bigendian=bigendian)
    built.data.frombytes(data)
    try:
        frame = frame_from(built)
    except UserError as error:
        assert str(error)
    else:
        assert frame.size_wh == (width, height)


def test_pictures_go_out_with_header_step_and_every_byte():
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    built = image_message(pixels[:, ::-1], "bgr8", HEADER)
    assert (built.width, built.height, built.step, built.encoding, built.header) == (4, 2, 12, "bgr8", HEADER)
    assert bytes(built.data) == pixels[:, ::-1].tobytes()
    grey = image_message(pixels[:, :, 0], "mono8", HEADER)
    assert (grey.step, bytes(grey.data)) == (4, pixels[:, :, 0].tobytes())


def test_detections_carry_names_centres_sizes_and_the_header_each():
    found = Detections(
        np.array([[10, 20, 30, 60], [0, 0, 5, 1]], np.float32), np.array([0.75, 0.5], np.float32),
        np.array([1, 0], np.int32),
    )
    built = detections_message(found, ("person", "car"), HEADER)
    first, second = built.detections
    assert built.header == first.header == second.header == HEADER
    assert (first.bbox.center.position.x, first.bbox.center.position.y) == (20.0, 40.0)
    assert (first.bbox.size_x, first.bbox.size_y, first.bbox.center.theta) == (20.0, 40.0, 0.0)
    assert [d.results[0].hypothesis.class_id for d in built.detections] == ["car", "person"]
    assert first.results[0].hypothesis.score == 0.75


def test_an_object_that_is_followed_has_its_number_as_id():
    found = Detections(
        np.zeros((2, 4), np.float32), np.array([0.75, 0.5], np.float32), np.zeros(2, np.int32), np.array([7, -1]),
    )
    assert [one.id for one in detections_message(found, ("person",), HEADER).detections] == ["7", ""]


def test_no_detection_is_an_empty_array_with_a_header():
    built = detections_message(Detections.empty(), ("person",), HEADER)
    assert built.header == HEADER and list(built.detections) == []


def test_label_info_leads_from_number_to_name_and_back():
    built = label_info_message(("person", "car"), 0.4, HEADER)
    assert [(c.class_id, c.class_name) for c in built.class_map] == [(0, "person"), (1, "car")]
    assert built.threshold == pytest.approx(0.4)


@given(st.integers(0, 2**31 * 10**9 - 1))
def test_stamps_survive(nanoseconds):
    assert stamp_ns(stamp_of_ns(nanoseconds)) == nanoseconds
