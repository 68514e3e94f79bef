"""Folders of images: order, conversion to 8-bit BGR, and damaged files."""

from __future__ import annotations

import os

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from regionmask_ros.errors import UserError
from regionmask_ros.files.paths import natural_key
from regionmask_ros.sources import Reading, open_source
from regionmask_ros.sources.images import read_image


def scene(index: int) -> np.ndarray:
    """Noise and a bar that starts at column ``index``: uint8 [48, 64, 3], BGR."""
    image = np.random.default_rng(index).integers(0, 120, (48, 64, 3), np.uint8)
    image[:, index : index + 8] = 255
    return image


SMOOTH = cv2.GaussianBlur(scene(5), (9, 9), 0)


def encode(suffix: str, image: np.ndarray) -> bytes:
    done, data = cv2.imencode(suffix, image)
    assert done
    return data.tobytes()


def test_images_come_in_natural_order_and_other_files_are_passed_over(tmp_path):
    for name, index in [("img10.png", 3), ("img2.png", 2), ("IMG1.PNG", 1), ("b.bmp", 0)]:
        (tmp_path / name).write_bytes(encode(".png", scene(index)))
    (tmp_path / ".hidden.png").write_bytes(b"not an image")
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    with open_source(str(tmp_path)) as source:
        assert (source.name, source.fps, source.frame_count, source.size_wh) == (tmp_path.name, 10.0, 4, (64, 48))
        frames = list(source.frames())
    assert [int(np.argmax(frame.pixels[0, :, 0] == 255)) for frame in frames] == [0, 1, 2, 3]
    assert [frame.stamp_ns for frame in frames] == [0, 100_000_000, 200_000_000, 300_000_000]


@pytest.mark.parametrize("name", [
    "a.jfif", "a.JPE", "a.JPG", "a.webp", "a.TIFF", "a.bmp", "a\nb#?%.jpeg", "ä 猫.png", os.fsdecode(b"\xff\xfe.png"),
    "-rf.tif"])
def test_every_name_of_an_image_is_found(tmp_path, name):
    suffix = {".jfif": ".jpg", ".JPE": ".jpg"}.get(os.path.splitext(name)[1], os.path.splitext(name)[1])
    folder = tmp_path / "images"
    folder.mkdir()
    (tmp_path / "elsewhere").write_bytes(encode(suffix, SMOOTH))
    (folder / "0.jpg").write_bytes(b"")
    os.symlink(tmp_path / "elsewhere", os.path.join(folder, name))
    with open_source(str(folder)) as source:
        assert [frame.size_wh for frame in source.frames()] == [(64, 48)] and source.dropped == 1


@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm"])
def test_12_bits_in_16_are_not_shown_black(tmp_path, suffix):
    """The first image has 10 bits and a dark one follows; from the third, with 12 bits, all are darker."""
    ramp = np.linspace(0, 1023, 64 * 48).reshape(48, 64)
    for name, scale in (("1", 1), ("2", 0.2), ("3", 4), ("4", 1)):
        (tmp_path / f"{name}{suffix}").write_bytes(encode(suffix, (ramp * scale).astype(np.uint16)))
    told: list[str] = []
    with open_source(str(tmp_path), reading=Reading(tell=told.append)) as source:
        for _ in range(2):
            assert [int(frame.pixels.max()) for frame in source.frames()] == [255, 51, 255, 64]
    assert len(told) == 2 and "1" + suffix in told[0] and "10 bits" in told[0] and "12 bits, 10 before" in told[1]
    with open_source(str(tmp_path), reading=Reading(bit_depth="16")) as source:
        assert [int(frame.pixels.max()) for frame in source.frames()] == [4, 1, 16, 4]


def test_a_photo_that_cannot_be_decoded_is_counted(tmp_path):
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x14ftypheic\0\0\0\0mif1" + bytes(99))
    (tmp_path / "b.png").write_bytes(encode(".png", SMOOTH))
    with open_source(str(tmp_path)) as source:
        assert [number for number, _ in source.numbered()] == [1]
        assert source.reading.dropped.reasons == {"unsupported": 1} and "HEIC photo" in source.reading.dropped.first[0]


def test_images_may_differ_in_size(tmp_path):
    (tmp_path / "1.png").write_bytes(encode(".png", scene(0)))
    (tmp_path / "2.png").write_bytes(encode(".png", scene(0)[:20, :30]))
    (tmp_path / "3.png").write_bytes(encode(".png", scene(0)))
    told: list[str] = []
    with open_source(str(tmp_path), reading=Reading(tell=told.append)) as source:
        for _ in range(2):
            assert [frame.size_wh for frame in source.frames()] == [(64, 48), (30, 20), (64, 48)]
    assert told == [f"{tmp_path}/2.png: 30x20 pixels, another size than the images before"]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_the_orientation_of_a_photograph_is_applied(tmp_path, kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{kind.lower()[:4]}"
    options = {"lossless": True} if kind == "WEBP" else {}
    Image.fromarray(scene(0)[..., ::-1]).save(path, kind, exif=exif, **options)
    with Image.open(path) as stored:
        assert np.array_equal(read_image(str(path)), np.asarray(ImageOps.exif_transpose(stored))[..., ::-1])


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_lossy_formats_come_back_nearly(tmp_path, suffix):
    (tmp_path / f"a{suffix}").write_bytes(encode(suffix, SMOOTH))
    assert np.abs(read_image(str(tmp_path / f"a{suffix}")).astype(int) - SMOOTH).mean() < 4


@pytest.mark.parametrize(
    "suffix, image, expected",
    [
        *[(suffix, SMOOTH, SMOOTH) for suffix in (".png", ".bmp", ".tif", ".ppm")],
        (".png", SMOOTH.astype(np.uint16) * 257, SMOOTH),
        (".tif", SMOOTH.astype(np.uint16) * 257, SMOOTH),
        (".ppm", SMOOTH.astype(np.uint16) * 257, SMOOTH),
        (".png", SMOOTH[..., 0], np.repeat(SMOOTH[..., :1], 3, axis=2)),
        (".pgm", SMOOTH[..., 0], np.repeat(SMOOTH[..., :1], 3, axis=2)),
        (".png", np.dstack([SMOOTH, np.full((48, 64), 9, np.uint8)]), SMOOTH),
        (".png", np.dstack([SMOOTH, np.full((48, 64), 9, np.uint8)]).astype(np.uint16) * 257, SMOOTH),
    ],
    ids=["png", "bmp", "tif", "ppm", "png 16 bit", "tif 16 bit", "ppm 16 bit", "png gray", "pgm gray", "png alpha",
         "png alpha 16 bit"],
)
def test_every_depth_becomes_8_bit_bgr(tmp_path, suffix, image, expected):
    (tmp_path / f"a{suffix}").write_bytes(encode(suffix, np.ascontiguousarray(image)))
    pixels = read_image(str(tmp_path / f"a{suffix}"))
    assert pixels.dtype == np.uint8 and pixels.flags.c_contiguous
    assert np.array_equal(pixels, expected)


@pytest.mark.parametrize(
    "head, values",
    [
        (b"P5 4 1 4095\n", np.array([0, 4095, 2048, 1024], ">u2").tobytes()),
        (b"P5\n# a comment\n4 1\n15\n", bytes([0, 15, 8, 4])),
    ],
    ids=["12 bit", "4 bit"],
)
def test_white_of_a_pgm_is_the_maximum_in_its_header(tmp_path, head, values):
    (tmp_path / "a.pgm").write_bytes(head + values)
    assert read_image(str(tmp_path / "a.pgm"))[0, :, 1].tolist() == pytest.approx([0, 255, 128, 64], abs=8)
    assert read_image(str(tmp_path / "a.pgm"))[0, 1].tolist() == [255, 255, 255]


def test_a_photograph_with_a_thumbnail_and_bytes_after_it_is_complete(tmp_path):
    data = encode(".jpg", SMOOTH)
    thumbnail = encode(".jpg", SMOOTH[:8, :8])
    extra = b"\xff\xe1" + (2 + len(thumbnail)).to_bytes(2, "big") + thumbnail
    (tmp_path / "a.jpg").write_bytes(data[:2] + extra + data[2:] + b"a video from the phone")
    assert read_image(str(tmp_path / "a.jpg")).shape == SMOOTH.shape
    (tmp_path / "a.jpg").write_bytes(data[:2] + extra + data[2:-40])
    with pytest.raises(UserError, match="truncated JPEG image"):
        read_image(str(tmp_path / "a.jpg"))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif", ".webp", ".ppm"])
@pytest.mark.parametrize("percent", [5, 50, 90, 99])
def test_a_truncated_image_is_dropped(tmp_path, suffix, percent):
    data = encode(suffix, SMOOTH)
    (tmp_path / f"1{suffix}").write_bytes(data)
    (tmp_path / f"2{suffix}").write_bytes(data[: len(data) * percent // 100])
    with open_source(str(tmp_path)) as source:
        assert [frame.size_wh for frame in source.frames()] == [(64, 48)]
        assert f"2{suffix}: " in source.reading.dropped.describe()


def write_broken_folder(folder) -> None:
    """Good images 1 and 5; 0, 2, 3, 4 and 6 are damaged, empty, a text, too large and a link that leads nowhere."""
    for index in (0, 1, 5):
        data = encode(".png", scene(index))
        (folder / f"{index}.png").write_bytes(data[:-30] if index == 0 else data)
    (folder / "2.png").write_bytes(b"")
    (folder / "3.png").write_text("words")
    (folder / "4.png").write_bytes(encode(".png", np.zeros((70, 70, 3), np.uint8)))
    (folder / "6.png").symlink_to(folder / "gone.png")


def test_images_that_cannot_be_used_are_dropped_and_keep_their_numbers(tmp_path):
    write_broken_folder(tmp_path)
    reading = Reading(max_pixels=64 * 48)
    with open_source(str(tmp_path), reading=reading) as source:
        assert source.size_wh == (64, 48)
        for passes in (1, 2):
            assert [(number, frame.stamp_ns) for number, frame in source.numbered()] == [
                (1, 100_000_000), (5, 500_000_000)]
            assert source.dropped == 5 * passes
    assert reading.dropped.reasons == {"damaged": 1, "empty": 1, "unsupported": 1, "too large": 1, "unreadable": 1}
    facts = reading.dropped.as_json()
    assert facts["dropped_images"] == 5, "each counts once, however often it is read"
    assert [line.partition(": ")[0] for line in facts["dropped_first"]] == [f"{tmp_path}/{i}.png" for i in (0, 2, 3)]
    line = reading.dropped.describe()
    assert line.startswith("dropped 5 pictures (1 damaged, 1 empty, ") and line.endswith("; and 2 more")


def test_a_png_with_a_flipped_bit_is_damaged(tmp_path):
    data = bytearray(encode(".png", SMOOTH))
    data[len(data) // 2] ^= 1
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(UserError, match="checksum"):
        read_image(str(tmp_path / "a.png"))


def test_a_folder_without_a_usable_image_is_rejected(tmp_path):
    with pytest.raises(UserError, match="no image in this folder"):
        open_source(str(tmp_path))
    for name in ("a1", "a10", "a2", ".hidden"):
        (tmp_path / name).mkdir()
    with pytest.raises(UserError, match="folders in it are not searched: give one of them: a1, a2, a10$"):
        open_source(str(tmp_path))
    (tmp_path / "a.png").write_text("words")
    with pytest.raises(UserError, match=r"a\.png: this is a text file, not an image that can be decoded"):
        open_source(str(tmp_path))
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "b.png").write_text("words")
    with pytest.raises(UserError, match=r"none of 2 images can be used, the first: .*a\.png: empty file"):
        open_source(str(tmp_path))


@given(st.lists(st.text("aB10²", max_size=6), max_size=8))
def test_natural_order_is_total(names):
    backwards = names[::-1]
    assert sorted(names, key=natural_key) == sorted(backwards, key=natural_key)
