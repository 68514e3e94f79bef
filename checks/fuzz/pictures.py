"""Cases of pictures: image messages, compressed images, image files, and static masks."""

from __future__ import annotations

import random
import struct
import zlib
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np

from regionmask_ros.core.grid import RegionGrid
from regionmask_ros.mask.static import read_static_mask, save_static_mask
from regionmask_ros.sources import open_source
from regionmask_ros.sources.image_message import ENCODINGS, decode_compressed_image, decode_image
from regionmask_ros.sources.pictures.progressive import find_band_damage

from .kind import Files, Kind
from .mutations import INTEGERS, TEXTS, damage_bytes, damage_zip, unpack_zip

_PNG_START = 8
_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"acTL", b"fcTL", b"fdAT", b"iCCP", b"gAMA", b"eXIf", b"zTXt",
           b"sRGB", b"bKGD")
_COUNTS = [0, 1, 2, 3, 5, 16, 33, 64, 65535, 2**24, 2**31 - 1, 2**31, 2**32 - 1]
_FORMATS = ("jpeg", "png", "bgr8; jpeg compressed bgr8", "rgb8; png compressed rgb8", "16UC1; compressedDepth png",
            "mono8; jpeg compressed ")


def _picture(height: int = 24, width: int = 32, channels: int = 3, dtype: type = np.uint8) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    top = np.iinfo(dtype).max
    planes = [(rows * 7 + columns * (3 + plane) * 5) * top // 400 % top for plane in range(channels)]
    return np.ascontiguousarray(np.stack(planes, axis=-1).astype(dtype).squeeze())


@cache
def picture_files() -> dict[str, bytes]:
    """Small good pictures by file name, in every format that is read."""
    color, gray, alpha = _picture(), _picture(channels=1), _picture(channels=4)
    wide = _picture(dtype=np.uint16)

    def encode(suffix: str, pixels: np.ndarray, *settings: int) -> bytes:
        return bytes(cv2.imencode(suffix, pixels, settings)[1])

    files = {
        "color.png": encode(".png", color), "gray.png": encode(".png", gray), "alpha.png": encode(".png", alpha),
        "deep.png": encode(".png", wide), "one_bit.png": encode(".png", gray, cv2.IMWRITE_PNG_BILEVEL, 1),
        "color.jpg": encode(".jpg", color), "gray.jpg": encode(".jpg", gray),
        "progressive.jpg": encode(".jpg", color, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        "restart.jpg": encode(".jpg", color, cv2.IMWRITE_JPEG_RST_INTERVAL, 1),
        "color.bmp": encode(".bmp", color), "color.tif": encode(".tif", color), "deep.tif": encode(".tif", wide),
        "color.webp": encode(".webp", color), "color.ppm": encode(".ppm", color), "gray.pgm": encode(".pgm", gray),
    }
    files["twelve_bits.pgm"] = b"P5\n32 24\n4095\n" + (wide[:, :, 0] // 16).astype(">u2").tobytes()
    # Compiles the kernels that progressive images need, which no case should be blamed for.
    find_band_damage(files["progressive.jpg"])
    return files


def damage_picture(rng: random.Random, name: str, data: bytes) -> bytes:
    """Damages a picture: its bytes, or chunks and segments in which the checksums stay right."""
    if rng.random() < 0.4:
        return damage_bytes(rng, data)
    if name.endswith(".png"):
        return _damage_png(rng, data)
    return _damage_jpeg(rng, data) if name.endswith(".jpg") else damage_bytes(rng, data, 2)


def _damage_png(rng: random.Random, data: bytes) -> bytes:
    chunks, at = [], _PNG_START
    while at + 12 <= len(data):
        length = int.from_bytes(data[at:at + 4], "big")
        chunks.append((data[at + 4:at + 8], data[at + 8:at + 8 + length]))
        at += 12 + length
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(chunks))
        name, content = chunks[at]
        action = rng.randrange(7)
        if action == 0:
            chunks[at] = (name, damage_bytes(rng, content, 2))
        elif action == 1:
            del chunks[at:at + 1 if len(chunks) > 1 else at]
        elif action == 2:
            chunks.insert(at, rng.choice(chunks))
        elif action == 3:
            chunks.insert(at, (rng.choice(_CHUNKS), rng.randbytes(rng.choice((0, 1, 4, 8, 13, 26, 40)))))
        elif action == 4:
            chunks.insert(min(1, at), (b"acTL", struct.pack(">II", rng.choice(_COUNTS), rng.choice(_COUNTS))))
            control = [rng.choice(_COUNTS) for _ in range(5)]
            chunks.insert(min(2, at + 1), (b"fcTL", struct.pack(">IIIIIHHBB", *control, 1, 1, 0, rng.randrange(3))))
            chunks.insert(-1, (b"fdAT", struct.pack(">I", rng.choice(_COUNTS)) + content))
        elif chunks[0][0] == b"IHDR":
            # Claims with a content that fits them in form: everything but the amount of data.
            depth, color = rng.choice((1, 2, 4, 8, 16, 32)), rng.choice((0, 2, 3, 4, 6, 7))
            header = struct.pack(">IIBBBBB", rng.choice(_COUNTS), rng.choice(_COUNTS), depth, color, 0, 0,
                                 rng.randrange(2))
            chunks[0] = (b"IHDR", header)
    parts = [data[:_PNG_START]]
    for name, content in chunks:
        parts += [struct.pack(">I", len(content)), name, content, struct.pack(">I", zlib.crc32(name + content))]
    return b"".join(parts)


def _damage_jpeg(rng: random.Random, data: bytes) -> bytes:
    segments, at = [], 2
    while data[at:at + 2] != b"\xff\xda":
        length = 2 + int.from_bytes(data[at + 2:at + 4], "big")
        segments.append(data[at:at + length])
        at += length
    scan = data[at:]
    action = rng.randrange(6)
    place = rng.randrange(len(segments))
    if action == 0:
        segments[place] = segments[place][:4] + damage_bytes(rng, segments[place][4:], 2)
    elif action == 1:
        del segments[place]
    elif action == 2:
        segments.insert(place, rng.choice(segments))
    elif action == 3:
        start = rng.randrange(12, len(scan))
        scan = scan[:start] + scan[start + rng.randrange(1, 200):]
    elif action == 4:
        scan = damage_bytes(rng, scan, 3)
    else:
        frame = next(index for index, one in enumerate(segments) if one[1] in (0xC0, 0xC1, 0xC2))
        size = struct.pack(">HH", *(rng.choice(INTEGERS) & 0xFFFF for _ in range(2)))
        segments[frame] = segments[frame][:5] + size + segments[frame][9:]
    return data[:2] + b"".join(segments) + scan


def _choose(rng: random.Random, *endings: str) -> tuple[str, bytes]:
    return rng.choice([item for item in picture_files().items() if item[0].endswith(endings or ("",))])


def _header(rng: random.Random) -> SimpleNamespace:
    seconds = rng.choice((0, 1, -1, 1_700_000_000, -2**31, 2**31 - 1))
    stamp = SimpleNamespace(sec=seconds, nanosec=rng.choice((0, 1, 999_999_999, 2**32 - 1)))
    return SimpleNamespace(stamp=stamp, frame_id=rng.choice(("camera", *TEXTS)))


def _make_message(rng: random.Random) -> SimpleNamespace:
    encoding = rng.choice(list(ENCODINGS)) if rng.random() < 0.9 else rng.choice(TEXTS)
    known = ENCODINGS.get(encoding)
    width, height = (rng.choice((1, 2, 3, 4, 7, 16, 31)) for _ in range(2))
    pixel_bytes = known.channels * known.sample_bytes if known else 3
    step = width * pixel_bytes + rng.choice((0, 0, 1, 3))
    length = step * (known.rows(height) if known else height)
    if rng.random() < 0.6:
        sizes = [width, height, step]
        sizes[rng.randrange(3)] = min(rng.choice(INTEGERS), 2**32 - 1)
        width, height, step = sizes
    length = max(0, length + rng.choice((0, 0, 0, 1, -1, -step, 7)))
    data: Any = np.frombuffer(rng.randbytes(min(length, 1 << 16)), np.uint8)
    return SimpleNamespace(header=_header(rng), height=height, width=width, encoding=encoding, step=step,
                           is_bigendian=rng.choice((0, 1, 255)), data=data if rng.random() < 0.5 else data.tobytes())


def _read_message(message: SimpleNamespace, _: Path) -> None:
    assert decode_image(message).pixels.ndim == 3


def _make_compressed(rng: random.Random) -> SimpleNamespace:
    name, data = _choose(rng, ".png", ".jpg")
    data = damage_picture(rng, name, data)
    return SimpleNamespace(header=_header(rng), format=rng.choice((*_FORMATS, *TEXTS[:8])),
                           data=np.frombuffer(data, np.uint8))


def _read_compressed(message: SimpleNamespace, _: Path) -> None:
    assert decode_compressed_image(message).pixels.ndim == 3


def _make_folder(rng: random.Random) -> Files:
    name, data = _choose(rng)
    return {f"a/{name}": damage_picture(rng, name, data)}


def _read_folder(_: Files, folder: Path) -> None:
    with open_source(str(folder / "a")) as source:
        for frame in source.frames():
            assert frame.pixels.ndim == 3


@cache
def _mask_members() -> dict[str, bytes]:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        save_static_mask(f"{folder}/mask.npz", np.eye(4, 6, dtype=bool), 16, np.arange(24.0).reshape(4, 6))
        return unpack_zip(Path(folder, "mask.npz").read_bytes())


def _make_mask(rng: random.Random) -> Files:
    if rng.random() < 0.5:
        name, data = _choose(rng, ".png")
        return {"mask": damage_picture(rng, name, data)}
    return {"mask": damage_zip(rng, _mask_members())}


def _read_mask(_: Files, folder: Path) -> None:
    mask = read_static_mask(str(folder / "mask"))
    mask.fit(RegionGrid(4, 6), (32, 24))


KINDS = (
    Kind("image messages", 4, _make_message, _read_message),
    Kind("compressed images", 4, _make_compressed, _read_compressed),
    Kind("image files", 3, _make_folder, _read_folder),
    Kind("static masks", 4, _make_mask, _read_mask),
)
