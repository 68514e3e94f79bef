"""ROS images to frames, against pixels computed by hand."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from builtin_interfaces.msg import Time
from hypothesis import given
from hypothesis import strategies as st
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from regionmask_ros.errors import UserError
from regionmask_ros.sources.image_message import ENCODINGS, decode_compressed_image, decode_image
from regionmask_ros.sources.pictures.depth import BitDepth

HEADER = Header(stamp=Time(sec=12, nanosec=345), frame_id="front_optical")


def message(encoding: str, rows: list[bytes], width: int, step: int | None = None, bigendian: int = 0) -> Image:
    """An image from its rows, each padded with 0xEE up to ``step`` bytes."""
    step = step or len(rows[0])
    built = Image(header=HEADER, encoding=encoding, width=width, height=len(rows), step=step, is_bigendian=bigendian)
    built.data.frombytes(b"".join(row.ljust(step, b"\xee") for row in rows))
    return built


def bgr(built: Image) -> list:
    return decode_image(built).bgr().tolist()


def test_the_header_is_kept():
    frame = decode_image(message("bgr8", [bytes(3)], 1))
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
def test_8_bit_pixels_become_bgr(encoding, pixel, expected_bgr, padding):
    row = bytes(pixel + [v + 10 for v in pixel])
    second = [v + 10 for v in expected_bgr]
    assert bgr(message(encoding, [row, row], 2, len(row) + padding)) == [[expected_bgr, second]] * 2


@pytest.mark.parametrize("encoding", ["mono16", "16UC1"])
@pytest.mark.parametrize("bigendian", [0, 1])
@pytest.mark.parametrize("padding", [0, 1, 2])
def test_16_bit_pixels_in_both_byte_orders(encoding, bigendian, padding):
    values = [0, 128, 129, 257, 32767, 65535]
    row = np.array(values, ">u2" if bigendian else "<u2").tobytes()
    expected = [[gray] * 3 for gray in (0, 0, 1, 1, 127, 255)]
    assert bgr(message(encoding, [row, row], 6, len(row) + padding, bigendian)) == [expected] * 2


@pytest.mark.parametrize(("encoding", "pixel", "expected_bgr"), [
    ("rgb16", [0, 2048, 4095], [255, 128, 0]), ("bgr16", [0, 2048, 4095], [0, 128, 255]),
    ("16UC3", [0, 2048, 4095], [0, 128, 255]), ("rgba16", [0, 2048, 4095, 65535], [255, 128, 0]),
    ("bgra16", [0, 2048, 4095, 65535], [0, 128, 255]), ("mono16", [4095], [255] * 3)])
@pytest.mark.parametrize("bigendian", [0, 1])
def test_12_bits_in_16_are_scaled_by_what_they_hold(encoding, pixel, expected_bgr, bigendian):
    row = np.array(pixel * 2, ">u2" if bigendian else "<u2").tobytes()
    assert bgr(message(encoding, [row], 2, len(row) + 3, bigendian)) == [[expected_bgr] * 2]


def test_the_depth_is_that_of_the_camera():
    """A dark image of a 12-bit camera stays dark, and the log tells of each step."""
    lines: list[str] = []
    depth = BitDepth(tell=lines.append)

    def gray(value: int) -> int:
        return int(decode_image(message("mono16", [value.to_bytes(2, "little")], 1), depth=depth).pixels[0, 0, 0])

    assert [gray(value) for value in (4095, 16, 1023, 65535, 4095)] == [255, 1, 64, 255, 16]
    assert ["12 bits: they are shown 16 times as bright" in lines[0], "16 bits, 12 before" in lines[1]] == [True, True]
    assert len(lines) == 2
    depth.use("10")
    assert [gray(value) for value in (1023, 4095)] == [255, 255] and len(lines) == 2


BAYER_FIRST_ROWS = {"bayer_rggb8": "RGGB", "bayer_bggr8": "BGGR", "bayer_gbrg8": "GBRG", "bayer_grbg8": "GRBG"}


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("encoding", BAYER_FIRST_ROWS)
def test_a_bayer_mosaic_of_one_color_becomes_that_color(encoding, bits):
    """The name gives the colors of the upper left 2x2 pixels, row by row."""
    color = {"R": 200, "G": 90, "B": 10}
    first, second = BAYER_FIRST_ROWS[encoding][:2], BAYER_FIRST_ROWS[encoding][2:]
    values = np.array([[color[c] for c in pair * 4] for pair in (first, second) * 4])
    if bits == 8:
        rows = [row.astype(np.uint8).tobytes() for row in values]
    else:
        encoding = encoding.replace("8", "16")
        rows = [np.rint(row * ((1 << bits) - 1) / 255).astype("<u2").tobytes() for row in values]
    inside = decode_image(message(encoding, rows, 8)).bgr()[2:-2, 2:-2]
    assert np.array_equal(inside, np.broadcast_to(np.uint8([10, 90, 200]), inside.shape))


@pytest.mark.parametrize(("encoding", "pair"), [
    ("yuv422", "UYVY"), ("uyvy", "UYVY"), ("yuv422_yuy2", "YUYV"), ("yuyv", "YUYV"),
])
def test_yuv_pairs_in_both_orders(encoding, pair):
    """ITU-R BT.601, 16 to 235: black, white, and a red that was worked out from its definition."""
    def row(y: int, u: int, v: int) -> bytes:
        return bytes({"Y": y, "U": u, "V": v}[c] for c in pair)

    image = np.array(bgr(message(encoding, [row(16, 128, 128), row(235, 128, 128), row(81, 90, 240)], 2)))
    expected = np.array([[[0, 0, 0]] * 2, [[255, 255, 255]] * 2, [[0, 0, 255]] * 2])
    assert np.abs(image - expected).max() <= 2


@pytest.mark.parametrize(("encoding", "color"), [("nv12", (90, 240)), ("nv21", (240, 90))])
@pytest.mark.parametrize("padding", [0, 3])
def test_a_plane_of_brightness_and_one_of_color(encoding, color, padding):
    """A red and a white half, two rows high each; the plane of color has a row for every two of the image."""
    gray, red = bytes([128, 128]), bytes(color)
    rows = [bytes([81] * 2 + [235] * 2)] * 4 + [red + gray] * 2
    built = message(encoding, rows, 4, 4 + padding)
    built.height = 4
    image = decode_image(built).bgr().astype(int)
    assert image.shape == (4, 4, 3)
    assert np.abs(image[:, :2] - [0, 0, 255]).max() <= 2 and np.abs(image[:, 2:] - 255).max() <= 2


def compressed(suffix: str, pixels: np.ndarray, format_text: str) -> CompressedImage:
    built = CompressedImage(header=HEADER, format=format_text)
    built.data.frombytes(cv2.imencode(suffix, pixels)[1].tobytes())
    return built


@pytest.mark.parametrize("format_text", [
    "bgr8; jpeg compressed bgr8", "rgb8; jpeg compressed bgr8", "jpeg", "", "what?",
])
def test_a_jpeg_is_read_whatever_its_format_claims(format_text):
    pixels = np.full((16, 24, 3), (10, 120, 240), np.uint8)
    frame = decode_compressed_image(compressed(".jpg", pixels, format_text))
    assert np.abs(frame.bgr().astype(int) - pixels).max() <= 3
    assert (frame.stamp_ns, frame.frame_id) == (12_000_000_345, "front_optical")


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_red_first_is_accepted(suffix):
    pixels = np.full((16, 24, 3), (240, 120, 10), np.uint8)
    frame = decode_compressed_image(compressed(suffix, pixels, "rgb8; jpeg compressed rgb8"))
    assert np.abs(frame.bgr()[..., ::-1].astype(int) - pixels).max() <= 3


@pytest.mark.parametrize(("pixel", "expected"), [
    (np.uint8([1, 2, 3]), [1, 2, 3]), (np.uint8([1, 2, 3, 99]), [1, 2, 3]), (np.uint8([7]), [7, 7, 7]),
    (np.uint16([257, 2 * 257, 65535]), [1, 2, 255]), (np.uint16([129]), [129, 129, 129]),
    (np.uint16([0, 2048, 4095]), [0, 128, 255]), (np.uint16([0, 512, 1023, 65535]), [0, 128, 255]),
])
def test_a_png_of_any_depth(pixel, expected):
    pixels = np.broadcast_to(pixel, (5, 6, len(pixel)))
    assert decode_compressed_image(compressed(".png", pixels, "bgr8; png compressed bgr8")).bgr().tolist() == [
        [expected] * 6
    ] * 5


def test_an_invalid_compressed_image_is_refused_with_the_reason():
    depth = compressed(".png", np.zeros((4, 4), np.uint16), "16UC1; compressedDepth png")
    with pytest.raises(UserError, match="compressed depth"):
        decode_compressed_image(depth)
    with pytest.raises(UserError, match="no data"):
        decode_compressed_image(CompressedImage(format="jpeg"))
    with pytest.raises(UserError, match="a BMP image, where only JPEG and PNG can be used"):
        decode_compressed_image(compressed(".bmp", np.zeros((4, 4, 3), np.uint8), "jpeg"))
    for suffix, name in ((".jpg", "JPEG"), (".png", "PNG")):
        whole = compressed(suffix, np.zeros((40, 40, 3), np.uint8), "jpeg")
        del whole.data[len(whole.data) // 2:]
        with pytest.raises(UserError, match=f"truncated.*{name}"):
            decode_compressed_image(whole)


@given(st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b""]), st.binary(max_size=200))
def test_any_bytes_give_an_image_or_a_reason(magic, data):
    built = CompressedImage(format="jpeg")
    built.data.frombytes(magic + data)
    try:
        assert decode_compressed_image(built).pixels.size
    except UserError as error:
        assert str(error)


def test_no_copy_is_made_of_an_image_that_needs_none():
    built = message("rgb8", [bytes(range(6))], 2)
    frame = decode_image(built)
    assert frame.order == "rgb"
    assert np.shares_memory(frame.pixels, np.frombuffer(built.data, np.uint8))


@given(st.integers(1, 40), st.integers(1, 30), st.integers(0, 9), st.sampled_from(["rgb8", "bgr8"]), st.randoms())
def test_any_size_and_padding_survives(width, height, padding, encoding, random):
    pixels = np.frombuffer(random.randbytes(width * height * 3), np.uint8).reshape(height, width, 3)
    built = message(encoding, [row.tobytes() for row in pixels], width, width * 3 + padding)
    assert np.array_equal(decode_image(built).pixels, pixels)


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
    ({"encoding": "nv12"}, "even height"),
    ({"encoding": "nv12", "height": 2, "step": 13}, "data has 36 bytes, but 3 rows"),
])
def test_a_broken_image_is_refused_with_the_reason(wrong, word):
    with pytest.raises(UserError, match=word):
        decode_image(broken(**wrong))


@given(
    st.sampled_from(tuple(ENCODINGS)), st.integers(0, 9), st.integers(0, 9), st.integers(0, 40),
    st.binary(max_size=300), st.integers(0, 1),
)
def test_whatever_comes_is_a_frame_or_a_reason(encoding, width, height, step, data, bigendian):
    built = Image(encoding=encoding, width=width, height=height, step=step, is_bigendian=bigendian)
    built.data.frombytes(data)
    try:
        frame = decode_image(built)
    except UserError as error:
        assert str(error)
    else:
        assert frame.size_wh == (width, height)
