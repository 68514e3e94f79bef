"""Is an image file whole? Decoders show what is left of a truncated one and call it a success.

Frames from image files, in a list or in a folder.
"""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from ..core.frame import Frame
from ..errors import UserError
from ..files.paths import display_path, natural_key
from .base import FRAME_ID, close_stderr, frame_stamp_ns

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
JPEG_MAGIC = b"\xff\xd8\xff"
JPEG_END = b"\xff\xd9"
JPEG_SCAN = 0xDA

IMAGE_MAGICS = (
    (PNG_MAGIC, "PNG"),
    (JPEG_MAGIC, "JPEG"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
)


def image_format(head: bytes) -> str | None:
    """The format of an image file by its first bytes, None for anything else."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    if re.match(rb"P[1-6]\s", head):
        return "PNM"
    return next((kind for magic, kind in IMAGE_MAGICS if head.startswith(magic)), None)


def find_damage(data: bytes) -> str | None:
    """What is wrong with the bytes of an image file, None when they look whole.

    Looks into JPEG and PNG; the other formats' decoders refuse a short file themselves.
    """
    if not data:
        return "empty file"
    if data.startswith(PNG_MAGIC):
        return _png_damage(data)
    if data.startswith(JPEG_MAGIC):
        return _jpeg_damage(data)
    return None


def pixel_maximum(head: bytes) -> int | None:
    """The value that stands for white in a PGM or PPM file, where it is not the usual one; None otherwise.

    OpenCV takes 4095, the white of a 12-bit camera, for a value out of 65535: nearly black.
    """
    match = re.match(rb"P[2356](?:\s|#[^\n]*\n)+\d+(?:\s|#[^\n]*\n)+\d+(?:\s|#[^\n]*\n)+(\d{1,5})\s", head)
    maximum = int(match.group(1)) if match else 255
    return maximum if maximum not in (0, 255, 65535) else None


def _png_damage(data: bytes) -> str | None:
    position = len(PNG_MAGIC)
    while position + 12 <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        end = position + 12 + length
        if end > len(data):
            break
        checksum = int.from_bytes(data[end - 4 : end], "big")
        if zlib.crc32(memoryview(data)[position + 4 : end - 4]) != checksum:
            return "damaged PNG image (a checksum does not match)"
        if data[position + 4 : position + 8] == b"IEND":
            return None
        position = end
    return "truncated PNG image"


def _jpeg_damage(data: bytes) -> str | None:
    """Follows the segments to the first scan and looks for the end marker behind it.

    Not at the end of the file: telephones append a video there. Not from the start: the thumbnail has its own marker.
    """
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:
            position += 1
        elif marker == JPEG_SCAN:
            return None if data.find(JPEG_END, position) >= 0 else "truncated JPEG image"
        else:
            position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return "truncated or damaged JPEG image"


DEFAULT_FPS = 10.0
"""Images carry no rate: ten a second, as in most recorded sequences (KITTI, PETS)."""

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm")

HEAD_BYTES = 4096


class ImageFiles:
    """Image files as a Source, in the order given.

    Images may differ in size. Grey images become BGR, 16-bit ones lose their low byte, transparency is ignored and a
    camera's EXIF orientation is obeyed.

    files: at least one. Raises UserError when the first cannot be decoded.
    """

    def __init__(self, files: Sequence[str], name: str, fps: float = DEFAULT_FPS) -> None:
        self._open = False
        self._files = files
        self.name = name
        self.fps = fps
        self.frame_count: int | None = len(self._files)
        first = read_image(self._files[0])
        self.size_wh = (first.shape[1], first.shape[0])

    def frames(self) -> Iterator[Frame]:
        """See Source. Pixels are in BGR order, stamps count from 0 at ``fps``."""
        self._open = True
        for index, file in enumerate(self._files):
            if not self._open:
                return
            yield Frame(read_image(file), "bgr", frame_stamp_ns(index, self.fps), FRAME_ID)

    def close(self) -> None:
        self._open = False

    def __enter__(self) -> ImageFiles:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class ImageFolder(ImageFiles):
    """The images of a folder, in natural order of their names.

    Files with other suffixes, hidden files and folders inside are passed over.
    Raises UserError when there is no image, one is empty, or the first cannot be decoded.
    """

    def __init__(self, path: str, fps: float = DEFAULT_FPS) -> None:
        super().__init__(_image_files(path), os.path.basename(os.path.abspath(path)), fps)


def read_image(path: str) -> np.ndarray:
    """Decodes one image file completely: uint8 [height, width, 3], BGR. Raises UserError when that is impossible."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise UserError(f"{display_path(path)}: cannot be read: {error.strerror or error}") from None
    damage = find_damage(data)
    if damage:
        raise UserError(f"{display_path(path)}: {damage}")
    maximum = pixel_maximum(data[:HEAD_BYTES])
    flags = cv2.IMREAD_COLOR if maximum is None else cv2.IMREAD_UNCHANGED
    try:
        with close_stderr():
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise UserError(f"{display_path(path)}: not an image that can be decoded, or a damaged one")
    if maximum is not None:
        pixels = cv2.convertScaleAbs(pixels, alpha=255.0 / maximum)
        pixels = cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR) if pixels.ndim == 2 else pixels
    return np.ascontiguousarray(pixels)


def _image_files(path: str) -> list[str]:
    try:
        names = sorted(os.listdir(path), key=natural_key)
    except OSError as error:
        raise UserError(f"{display_path(path)}: cannot be read: {error.strerror or error}") from None
    names = [name for name in names if name.lower().endswith(SUFFIXES) and not name.startswith(".")]
    files = [file for file in (os.path.join(path, name) for name in names) if os.path.isfile(file)]
    if not files:
        raise UserError(f"{display_path(path)}: no image in this folder ({' '.join(SUFFIXES)})")
    for file in files:
        if os.path.getsize(file) == 0:
            raise UserError(f"{display_path(file)}: empty file")
    return files
