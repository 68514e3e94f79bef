"""Headers of pictures: what they say, what is refused by them, and that no bytes do harm."""

from __future__ import annotations

import resource
import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionmask_ros.errors import InvalidFile, UserError
from regionmask_ros.mask.static import read_static_mask
from regionmask_ros.sources.images import read_image
from regionmask_ros.sources.pictures.decode import decode_color
from regionmask_ros.sources.pictures.header import MAX_IMAGE_PIXELS, read_header

SUFFIXES = (".png", ".jpg", ".bmp", ".tif", ".webp", ".ppm", ".pgm", ".pbm")
IMAGE = np.random.default_rng(0).integers(0, 256, (20, 31, 3), np.uint8)
LARGE = 30_000
"""More than the limit, as both sides."""


def encode(suffix: str, image: np.ndarray = IMAGE, *flags: int) -> bytes:
    done, data = cv2.imencode(suffix, image[..., 0] if suffix in (".pgm", ".pbm") else image, flags)
    assert done
    return data.tobytes()


def chunk(name: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + name + content + zlib.crc32(name + content).to_bytes(4, "big")


def png(width: int, height: int, bits: int = 8, color: int = 2, *more: bytes) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + b"".join(more) + chunk(b"IDAT", zlib.compress(b"")) + chunk(
        b"IEND", b"")


def with_size(suffix: str, side: int) -> bytes:
    """A small picture whose header claims ``side`` rows and columns."""
    data = bytearray(encode(suffix))
    both = struct.pack(">HH", side, side)
    if suffix == ".png":
        return png(side, side)
    if suffix == ".jpg":
        at = data.index(b"\xff\xc0") + 5
        data[at:at + 4] = both
    elif suffix == ".bmp":
        data[18:26] = struct.pack("<ii", side, -side)
    elif suffix == ".tif":
        order = "<" if data[:2] == b"II" else ">"
        start = struct.unpack(order + "I", data[4:8])[0]
        for entry in range(start + 2, start + 26, 12):
            assert struct.unpack(order + "H", data[entry:entry + 2])[0] in (256, 257)
            data[entry + 2:entry + 12] = struct.pack(order + "HII", 4, 1, side)
    elif suffix == ".webp":
        at = data.index(b"\x9d\x01\x2a") + 3
        data[at:at + 4] = struct.pack("<HH", side & 0x3FFF, side & 0x3FFF)
    else:
        return data.split(b"\n")[0] + b"\n%d %d\n255\n" % (side, side)
    return bytes(data)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_size_is_that_of_the_image(suffix):
    header = read_header(encode(suffix))
    assert (header.width, header.height) == (31, 20)


@given(st.sampled_from([(".bmp", ()), (".tif", ()), (".webp", ()), (".webp", (cv2.IMWRITE_WEBP_QUALITY, 101))]),
       st.integers(1, 70), st.integers(1, 70), st.booleans())
def test_every_size_is_found_and_limited(form, width, height, gray):
    suffix, flags = form
    data = encode(suffix, np.full((height, width) if gray else (height, width, 3), 90, np.uint8), *flags)
    header = read_header(data, width * height)
    assert header is not None and (header.width, header.height) == (width, height)
    with pytest.raises(InvalidFile, match="max_image_pixels"):
        read_header(data, width * height - 1)
    assert decode_color(data).shape == (height, width, 3)


@pytest.mark.parametrize("image, channels, bits", [
    (IMAGE, 3, 8), (IMAGE[..., 0], 1, 8), (np.dstack([IMAGE, IMAGE[..., :1]]), 4, 8), (IMAGE.astype(np.uint16), 3, 16),
])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_channels_and_depth_are_those_of_the_image(suffix, image, channels, bits):
    header = read_header(encode(suffix, image))
    assert (header.channels, header.bits) == (channels, bits)


@pytest.mark.parametrize("suffix", [suffix for suffix in SUFFIXES if suffix not in (".webp", ".pbm")])
def test_too_many_pixels_are_refused_in_one_line(suffix):
    with pytest.raises(InvalidFile, match=f"{LARGE}x{LARGE}: more pixels than max_image_pixels allows, {1 << 26}"):
        read_header(with_size(suffix, LARGE))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_limit_can_be_set(suffix):
    data = encode(suffix)
    assert read_header(data, 31 * 20)
    with pytest.raises(InvalidFile, match="max_image_pixels"):
        read_header(data, 31 * 20 - 1)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".ppm"])
def test_pixels_with_16_bit_colors_count_twice(suffix):
    data = encode(suffix, IMAGE.astype(np.uint16) * 257)
    assert read_header(data, 2 * 31 * 20)
    with pytest.raises(InvalidFile, match="max_image_pixels allows, 1239; 16-bit colors count twice"):
        read_header(data, 2 * 31 * 20 - 1)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif", ".ppm"])
def test_a_picture_too_short_for_its_size_is_refused(suffix):
    with pytest.raises(InvalidFile, match="truncated .* image: 8000x8000 pixels need"):
        read_header(with_size(suffix, 8000))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".ppm"])
def test_a_refusal_costs_almost_nothing(tmp_path, suffix):
    """Less than 5 ms of this thread's time, and 5 MB; a decoder would take seconds and gigabytes."""
    path = tmp_path / f"a{suffix}"
    path.write_bytes(with_size(suffix, LARGE) + bytes(20 << 20))
    with pytest.raises(UserError):
        read_image(str(path))
    before = resource.getrusage(resource.RUSAGE_SELF)
    for _ in range(20):
        with pytest.raises(UserError, match="max_image_pixels"):
            read_image(str(path))
    after = resource.getrusage(resource.RUSAGE_SELF)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 20 * 0.005
    assert after.ru_maxrss - before.ru_maxrss < 5 << 10


@pytest.mark.parametrize("name", [b"acTL", b"fcTL", b"fdAT"])
def test_an_animated_png_is_refused(tmp_path, name):
    data = png(4, 4, 8, 2, chunk(name, bytes(8)))
    with pytest.raises(InvalidFile, match="animated PNG"):
        decode_color(data)
    (tmp_path / "a.png").write_bytes(data)
    for read in (read_image, read_static_mask):
        with pytest.raises(UserError, match=r"a\.png: animated PNG image"):
            read(str(tmp_path / "a.png"))


@pytest.mark.parametrize("bits, color", [(3, 0), (4, 2), (16, 3), (8, 5), (0, 0), (32, 6)])
def test_a_png_with_a_depth_that_does_not_exist_is_refused(bits, color):
    with pytest.raises(InvalidFile, match=f"damaged PNG image: {bits} bits"):
        read_header(png(4, 4, bits, color))


@pytest.mark.parametrize("frame, words", [
    (b"\xff\xc9", "a coding that cameras do not use"), (b"\xff\xc3", "a coding that cameras do not use"),
])
def test_a_jpeg_with_another_coding_is_refused(frame, words):
    with pytest.raises(InvalidFile, match=words):
        read_header(encode(".jpg").replace(b"\xff\xc0", frame, 1))


def test_a_jpeg_of_12_bits_is_refused():
    data = bytearray(encode(".jpg"))
    data[data.index(b"\xff\xc0") + 4] = 12
    with pytest.raises(InvalidFile, match="12 bits"):
        read_header(bytes(data))


def test_a_jpeg_with_many_scans_is_refused():
    data = encode(".jpg", IMAGE, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    scan = data[data.rindex(b"\xff\xda"):-2]
    with pytest.raises(InvalidFile, match="scans"):
        decode_color(data[:-2] + 70 * scan + data[-2:])


def test_an_animated_webp_is_refused():
    still = encode(".webp")
    extended = b"VP8X" + struct.pack("<IB3x", 10, 2) + (30).to_bytes(3, "little") + (19).to_bytes(3, "little")
    data = still[:4] + (len(still) + 10).to_bytes(4, "little") + b"WEBP" + extended + still[12:]
    with pytest.raises(InvalidFile, match="animated WebP"):
        read_header(data)


@pytest.mark.parametrize("tag, value, words", [
    (259, 7, "compression 7"), (258, 32, "32"), (339, 3, "unsigned"), (277, 9, "9 channels")])
def test_a_tiff_of_an_unusual_sort_is_refused(tag, value, words):
    entries = {256: 4, 257: 4, 258: 8, 259: 1, 277: 1, tag: value}
    data = b"II*\0" + struct.pack("<IH", 8, len(entries)) + b"".join(
        struct.pack("<HHIHH", key, 3, 1, entries[key], 0) for key in sorted(entries)) + bytes(20)
    with pytest.raises(InvalidFile, match=words):
        read_header(data)


def test_run_lengths_in_a_bmp_are_refused():
    data = bytearray(encode(".bmp"))
    data[30] = 1
    with pytest.raises(InvalidFile, match="compression 1"):
        read_header(bytes(data))


def test_a_part_of_a_picture_asks_for_more():
    data = encode(".jpg")
    assert read_header(data[:100], size=len(data)) is None
    with pytest.raises(InvalidFile, match="truncated or damaged JPEG"):
        read_header(data[:100])


def test_the_default_limit_is_64_megapixels():
    assert MAX_IMAGE_PIXELS == 64 * 1024 * 1024


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A picture with a few bytes replaced, and perhaps cut."""
    data = bytearray(draw(st.sampled_from([encode(suffix) for suffix in SUFFIXES])))
    for _ in range(draw(st.integers(1, 6))):
        data[draw(st.integers(0, min(len(data), 400) - 1))] = draw(st.integers(0, 255))
    return bytes(data[:draw(st.integers(0, len(data)))]) if draw(st.booleans()) else bytes(data)


@given(damaged())
def test_a_damaged_picture_is_decoded_to_its_size_or_refused(data):
    try:
        header = read_header(data)
        pixels = decode_color(data)
    except InvalidFile as refused:
        assert str(refused) and "\n" not in str(refused)
    else:
        assert sorted(pixels.shape[:2]) == sorted((header.height, header.width)) and pixels.dtype == np.uint8


@given(st.sampled_from([encode(suffix)[:12] for suffix in SUFFIXES]), st.binary(max_size=300))
def test_any_bytes_after_a_magic_are_read_or_refused(magic, data):
    for size in (len(magic + data), 1 << 30):
        try:
            header = read_header(magic + data, size=size)
        except InvalidFile as refused:
            assert str(refused)
        else:
            assert header is None or 0 < header.width * header.height <= MAX_IMAGE_PIXELS
