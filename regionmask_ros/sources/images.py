"""Frames from image files, in a list or in a folder, and checks for damaged files.

The checks are needed because decoders return what is left of a truncated image and report success.
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
from .base import FRAME_ID, Source, close_stderr, frame_stamp_ns

DEFAULT_FPS = 10.0
"""Rate of image files, which have none of their own: 10 per second, as in most recorded sequences (KITTI, PETS)."""

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm")

HEAD_BYTES = 4096

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
JPEG_MAGIC = b"\xff\xd8\xff"
JPEG_END = b"\xff\xd9"
JPEG_SCAN = 0xDA

IMAGE_MAGICS = ((PNG_MAGIC, "PNG"), (JPEG_MAGIC, "JPEG"), (b"BM", "BMP"), (b"II*\0", "TIFF"), (b"MM\0*", "TIFF"))


def image_format(head: bytes) -> str | None:
    """Format of an image file with these first bytes, such as "PNG"; None for anything else."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    if re.match(rb"P[1-6]\s", head):
        return "PNM"
    return next((kind for magic, kind in IMAGE_MAGICS if head.startswith(magic)), None)


def find_damage(data: bytes) -> str | None:
    """Checks that an image file is complete.

    Only JPEG and PNG are checked; the decoders of the other formats reject a truncated file themselves.

    Args:
        data: The file's content.

    Returns:
        What is wrong with it; None when nothing is.
    """
    if not data:
        return "empty file"
    if data.startswith(PNG_MAGIC):
        return _png_damage(data)
    if data.startswith(JPEG_MAGIC):
        return _jpeg_damage(data)
    return None


def _unusual_white(head: bytes) -> int | None:
    """The value of white in a PGM or PPM file when it is neither 255 nor 65535; None otherwise."""
    # OpenCV reads 4095, the white of a 12-bit camera, as 4095 of 65535, which is nearly black.
    match = re.match(rb"P[2356](?:\s|#[^\n]*\n)+\d+(?:\s|#[^\n]*\n)+\d+(?:\s|#[^\n]*\n)+(\d{1,5})\s", head)
    white = int(match.group(1)) if match else 255
    return white if white not in (0, 255, 65535) else None


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
    """Follows the segments to the first scan and searches the end marker after it."""
    # The marker need not be at the end of the file, where phones append a video. A marker before the scan may be that
    # of the thumbnail.
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


class ImageFiles(Source):
    """Image files in the given order. Pixels are in BGR order, and stamps count from 0 at ``fps``.

    Images may differ in size. Gray images become BGR, 16-bit images lose their low byte, transparency is ignored, and
    the camera's EXIF orientation is applied.

    Args:
        files: Paths, at least one.
        name: The source's name.
        fps: Frames per second.

    Raises:
        UserError: The first image cannot be decoded.
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
        """See ``Source``."""
        self._open = True
        for index, file in enumerate(self._files):
            if not self._open:
                return
            yield Frame(read_image(file), "bgr", frame_stamp_ns(index, self.fps), FRAME_ID)

    def close(self) -> None:
        """See ``Source``."""
        self._open = False


class ImageFolder(ImageFiles):
    """The images of a folder, in natural order of their names.

    Files with other suffixes, hidden files and subfolders are ignored.

    Args:
        path: The folder.
        fps: Frames per second.

    Raises:
        UserError: There is no image, one is empty, or the first cannot be decoded.
    """

    def __init__(self, path: str, fps: float = DEFAULT_FPS) -> None:
        super().__init__(_image_files(path), os.path.basename(os.path.abspath(path)), fps)


def read_image(path: str) -> np.ndarray:
    """Decodes one image file completely.

    Args:
        path: The file.

    Returns:
        uint8 [height, width, 3] in BGR order, C-contiguous.

    Raises:
        UserError: The file cannot be read, is damaged, or is not an image.
    """
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise UserError(f"{display_path(path)}: cannot be read: {error.strerror or error}") from None
    damage = find_damage(data)
    if damage:
        raise UserError(f"{display_path(path)}: {damage}")
    white = _unusual_white(data[:HEAD_BYTES])
    flags = cv2.IMREAD_COLOR if white is None else cv2.IMREAD_UNCHANGED
    try:
        with close_stderr():
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise UserError(f"{display_path(path)}: not an image that can be decoded, or a damaged one")
    if white is not None:
        pixels = cv2.convertScaleAbs(pixels, alpha=255.0 / white)
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
