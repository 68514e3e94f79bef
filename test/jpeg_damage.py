"""JPEG images of several encoders, whole and with damage in a scan, and what becomes of them.

    python test/jpeg_damage.py --pictures 1000 --seed 1

prints how many of 1,000 whole, 1,000 cut and 1,000 zeroed images were refused, for each kind of image.
"""

from __future__ import annotations

import argparse
import io
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from regionmask_ros.errors import InvalidFile
from regionmask_ros.sources.pictures.decode import decode_camera

WHOLE, CUT, ZEROED = "whole", "cut", "zeroed"
LEAST_BYTES, MOST_BYTES = 100, 2000
"""Of scan data that are cut out or zeroed."""

DHT, SCAN = 0xC4, 0xDA
FACTOR = cv2.IMWRITE_JPEG_SAMPLING_FACTOR
RESTARTS = (1, 4, 8, 40, 80, 160)
"""Blocks between restart markers."""


class Case(NamedTuple):
    """One image: the kind of its encoder, what was done to it, and the data."""

    kind: str
    damage: str
    data: bytes


def street(rng: np.random.Generator, wh: tuple[int, int]) -> np.ndarray:
    """A gradient with shapes, texture and noise: uint8 [height, width, 3]."""
    width, height = wh
    image = np.empty((height, width, 3), np.uint8)
    image[:] = np.linspace(200, 90, height, dtype=np.uint8)[:, None, None]
    for _ in range(40):
        x, y, radius = (int(rng.integers(0, side)) for side in (width, height, height // 6))
        color = tuple(int(value) for value in rng.integers(0, 256, 3))
        cv2.rectangle(image, (x, y), (x + radius, y + radius // 2), color, -1)
        cv2.circle(image, (y, x), radius // 2, color, 3)
    noise = rng.normal(0.0, rng.uniform(2.0, 12.0), (height // 2, width // 2, 1)).repeat(2, 0).repeat(2, 1)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def _opencv(*flags: int) -> Callable[[np.ndarray, int, np.random.Generator], bytes]:
    def encode(image: np.ndarray, quality: int, rng: np.random.Generator) -> bytes:
        return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality, *flags])[1].tobytes()

    return encode


def _gray(image: np.ndarray, quality: int, rng: np.random.Generator) -> bytes:
    return _opencv()(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), quality, rng)


def _restarts(image: np.ndarray, quality: int, rng: np.random.Generator) -> bytes:
    return _opencv(cv2.IMWRITE_JPEG_RST_INTERVAL, int(rng.choice(RESTARTS)))(image, quality, rng)


def _pillow(image: np.ndarray, quality: int, rng: np.random.Generator) -> bytes:
    target = io.BytesIO()
    Image.fromarray(image[..., ::-1]).save(
        target, "JPEG", quality=quality, subsampling=int(rng.integers(3)), optimize=bool(rng.integers(2)))
    return target.getvalue()


def _without_tables(image: np.ndarray, quality: int, rng: np.random.Generator) -> bytes:
    """As a webcam sends MJPEG: the Huffman tables are the standard's, and not in the image."""
    data = _opencv()(image, quality, rng)
    kept = [data[start:end] for marker, start, end in segments(data) if marker != DHT]
    return data[:2] + b"".join(kept) + data[scan_start(data):]


ENCODERS: dict[str, Callable[[np.ndarray, int, np.random.Generator], bytes]] = {
    "4:2:0": _opencv(),
    "4:4:4": _opencv(FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
    "4:2:2": _opencv(FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422),
    "gray": _gray,
    "own tables": _opencv(cv2.IMWRITE_JPEG_OPTIMIZE, 1),
    "progressive": _opencv(cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "restart markers": _restarts,
    "MJPEG": _without_tables,
    "Pillow": _pillow,
}


def segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, start, end) of the segments from the one after the start marker to the first scan's header."""
    position, marker = 2, 0
    while marker != SCAN:
        marker, end = data[position + 1], position + 2 + int.from_bytes(data[position + 2:position + 4], "big")
        yield marker, position, end
        position = end


def scan_start(data: bytes) -> int:
    """Offset of the first byte of the first scan."""
    return max(end for _, _, end in segments(data))


def cases(pictures: int, seed: int, wh: tuple[int, int] | None = None) -> Iterator[Case]:
    """Images of all encoders in turn, each whole, cut and zeroed, of the given or of several sizes."""
    rng = np.random.default_rng(seed)
    for index in range(pictures):
        size = wh or ((320, 240), (640, 480), (1280, 720))[int(rng.integers(3))]
        kind = list(ENCODERS)[index % len(ENCODERS)]
        data = ENCODERS[kind](street(rng, size), int(rng.integers(40, 96)), rng)
        yield Case(kind, WHOLE, data)
        start, end = scan_start(data), len(data) - 2
        for damage in (CUT, ZEROED):
            length = min(int(rng.integers(LEAST_BYTES, MOST_BYTES + 1)), (end - start) // 2)
            first = int(rng.integers(start, end - length))
            yield Case(kind, damage, data[:first] + bytes(length * (damage == ZEROED)) + data[first + length:])


def is_refused(case: Case) -> bool:
    """Whether the decoder refuses the image."""
    try:
        decode_camera(case.data)
    except InvalidFile:
        return True
    return False


def count(found: Iterator[Case]) -> dict[tuple[str, str], list[bool]]:
    """Whether each image was refused, by its kind and damage."""
    refused = defaultdict(list)
    for case in found:
        refused[case.kind, case.damage].append(is_refused(case))
    return refused


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    refused = count(cases(args.pictures, args.seed))
    print(f"{'refused':16}" + "".join(f"{damage:>14}" for damage in (WHOLE, CUT, ZEROED)))
    for kind in ENCODERS:
        row = (refused[kind, damage] for damage in (WHOLE, CUT, ZEROED))
        print(f"{kind:16}" + "".join(f"{f'{sum(one)} of {len(one)}':>14}" for one in row))


if __name__ == "__main__":
    main()
