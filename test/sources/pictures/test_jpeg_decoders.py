"""JPEG images: damage is noticed, whole images are not taken for damaged, and every decoder gives the same pixels."""

from __future__ import annotations

import io
import sys

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jpeg_damage import CUT, ENCODERS, WHOLE, ZEROED, cases, count, street
from PIL import Image

from regionmask_ros.errors import InvalidFile
from regionmask_ros.sources.pictures import jpeg_decoders
from regionmask_ros.sources.pictures.decode import decode_camera, decode_color
from regionmask_ros.sources.pictures.header import read_header
from regionmask_ros.sources.pictures.jpeg_decoders import jpeg_decoder, make_opencv, make_simplejpeg, make_turbojpeg
from regionmask_ros.sources.pictures.progressive import find_band_damage

ROUNDS = 12
MAKERS = {"simplejpeg": make_simplejpeg, "libturbojpeg": make_turbojpeg, "OpenCV": make_opencv}


@pytest.fixture(params=MAKERS)
def decoder(request):
    found = MAKERS[request.param]()
    if found is None:
        pytest.skip(f"{request.param} is not installed")
    return found


def test_damage_is_noticed_and_whole_images_are_not_taken_for_damaged():
    if not jpeg_decoder().sees_damage:
        pytest.skip("neither simplejpeg nor libturbojpeg is installed")
    refused = count(cases(ROUNDS * len(ENCODERS), seed=1, wh=(320, 240)))
    share = {
        damage: np.mean([refused[kind, damage] for kind in ENCODERS]) for damage in (WHOLE, CUT, ZEROED)}
    assert share[WHOLE] == 0 and share[CUT] >= 0.97 and share[ZEROED] >= 0.9


def progressive(image: np.ndarray, quality: int, subsampling: int = 2) -> bytes:
    target = io.BytesIO()
    Image.fromarray(image).save(target, "JPEG", quality=quality, subsampling=subsampling, progressive=True)
    return target.getvalue()


@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 100), st.integers(0, 2), st.integers(0, 2**32 - 1),
       st.booleans())
def test_no_whole_progressive_image_is_taken_for_damaged(width, height, quality, subsampling, seed, gray):
    rng = np.random.default_rng(seed)
    image = street(rng, (80, 80))[:height, :width] if seed % 2 else rng.integers(0, 256, (height, width, 3), np.uint8)
    assert not find_band_damage(progressive(image[..., 0] if gray else image, quality, subsampling))


def test_damage_in_a_progressive_image_is_noticed_where_decoders_see_none():
    rng, noticed = np.random.default_rng(0), []
    for _ in range(25):
        data = progressive(street(rng, (320, 240)), 80)
        cut = int(rng.integers(len(data) // 2, len(data) - 700))
        noticed.append(find_band_damage(data[:cut] + data[cut + 400:]))
    assert np.mean(noticed) > 0.7
    damaged = next(data[:cut] + data[cut + 400:] for cut in range(len(data) // 2, len(data) - 700, 97)
                   if find_band_damage(data[:cut] + data[cut + 400:]))
    with pytest.raises(InvalidFile, match="damaged JPEG image"):
        decode_color(damaged)


@given(st.data())
def test_bands_of_any_bytes_are_followed_to_an_end(data):
    whole = progressive(street(np.random.default_rng(3), (40, 24)), 90)
    changed = bytearray(whole)
    for place in data.draw(st.lists(st.integers(2, len(whole) - 1), max_size=8)):
        changed[place] = data.draw(st.integers(0, 255))
    find_band_damage(bytes(changed[:data.draw(st.integers(0, len(whole)))]))


def test_without_both_libraries_opencv_decodes_and_damage_is_not_seen(monkeypatch):
    monkeypatch.setitem(sys.modules, "simplejpeg", None)
    monkeypatch.setattr(jpeg_decoders, "TURBO_LIBRARIES", ())
    jpeg_decoder.cache_clear()
    try:
        data = cv2.imencode(".jpg", street(np.random.default_rng(4), (84, 62)))[1].tobytes()
        assert (jpeg_decoder().name, jpeg_decoder().sees_damage) == ("OpenCV", False)
        assert decode_camera(data).shape == (62, 84, 3)
    finally:
        jpeg_decoder.cache_clear()


@pytest.mark.parametrize("kind", ENCODERS)
def test_every_decoder_gives_the_same_pixels(decoder, kind):
    rng = np.random.default_rng(4)
    data = ENCODERS[kind](street(rng, (84, 62))[:61, :83], 80, rng)
    expected = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(decoder.decode(data, read_header(data)), expected)


def test_an_image_in_four_inks_is_read(decoder):
    target = io.BytesIO()
    Image.fromarray(np.full((16, 24, 4), (200, 20, 20, 0), np.uint8), "CMYK").save(target, "JPEG", quality=95)
    data = target.getvalue()
    assert decoder.decode(data, read_header(data)).shape == (16, 24, 3)


def test_a_missing_end_is_noticed_by_every_decoder(decoder):
    image = street(np.random.default_rng(4), (84, 62))
    data = cv2.imencode(".jpg", image)[1].tobytes()
    with pytest.raises(InvalidFile, match="truncated JPEG"):
        decode_camera(data[:-300])
    if decoder.sees_damage:
        with pytest.raises(InvalidFile, match="damaged JPEG image"):
            decoder.decode(data[:-300] + data[-2:], read_header(data))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_of_a_photograph_is_applied_as_opencv_does(orientation):
    target, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(street(np.random.default_rng(1), (40, 24))).save(target, "JPEG", exif=exif)
    data = target.getvalue()
    assert read_header(data).orientation == orientation
    assert np.array_equal(decode_color(data), cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))
    assert decode_camera(data).shape == (24, 40, 3)
