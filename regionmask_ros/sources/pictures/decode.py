"""Decodes pictures of unknown origin: header, structure, then pixels."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection
from typing import BinaryIO

import cv2
import numpy as np

from ...errors import InvalidFile
from ...files.safe_read import read_limited
from ..base import close_stderr
from .bitmap import unusual_white
from .depth import BitDepth
from .header import JPEG, MAX_IMAGE_PIXELS, PNG, READERS, WEBP, PictureHeader, read_header
from .jpeg import find_jpeg_damage
from .jpeg_decoders import DAMAGED, jpeg_decoder
from .png import find_png_damage
from .progressive import find_band_damage

HEAD_BYTES = 1 << 16
"""Read first of a file, so that one that claims too much is not read whole."""

KINDS = tuple(READERS)
CAMERA_KINDS = (JPEG, PNG)
"""What messages with compressed images hold."""

_TURNS = {3: cv2.ROTATE_180, 6: cv2.ROTATE_90_CLOCKWISE, 8: cv2.ROTATE_90_COUNTERCLOCKWISE}
_MIRRORED = {2: 1, 4: 0}


def read_picture(file: BinaryIO, max_pixels: int, kinds: Collection[str] = KINDS) -> bytes:
    """Reads the file of a picture whose header keeps the limits.

    Args:
        file: The open file.
        max_pixels: Largest number of pixels.
        kinds: The accepted formats.

    Returns:
        The file's content.

    Raises:
        InvalidFile: The file cannot be read, or its header is refused.
    """
    head = read_limited(file, HEAD_BYTES)
    read_header(head, max_pixels, kinds, os.fstat(file.fileno()).st_size)
    return head if len(head) < HEAD_BYTES else read_limited(file)


def check_picture(data: bytes, max_pixels: int = MAX_IMAGE_PIXELS, kinds: Collection[str] = KINDS) -> PictureHeader:
    """Checks header and structure of a picture. No decoder sees it.

    Args:
        data: The whole picture.
        max_pixels: Largest number of pixels.
        kinds: The accepted formats.

    Returns:
        Its header.

    Raises:
        InvalidFile: The picture is refused.
    """
    header = read_header(data, max_pixels, kinds)
    assert header is not None  # the data are whole
    damage = None
    if header.kind == PNG:
        damage = find_png_damage(data)
    elif header.kind == JPEG:
        damage = find_jpeg_damage(data, header.start)
    if damage:
        raise InvalidFile(damage)
    return header


def decode_color(
    data: bytes, max_pixels: int = MAX_IMAGE_PIXELS, depth: BitDepth | None = None, place: str = "",
) -> np.ndarray:
    """Decodes a picture to 8-bit color, upright.

    Gray becomes BGR, 16-bit samples are scaled by what they hold, and transparency is ignored.

    Args:
        data: The whole picture.
        max_pixels: Largest number of pixels.
        depth: Bits of 16-bit samples; None: those of this picture.
        place: Names the picture, for the log.

    Returns:
        uint8 [height, width, 3] in BGR order, C-contiguous.

    Raises:
        InvalidFile: The picture is refused or damaged.
    """
    header = check_picture(data, max_pixels)
    if header.kind == JPEG:
        return turn_upright(_decode_jpeg(data, header), header.orientation)
    if header.kind == WEBP:
        # Newer versions of OpenCV turn it.
        flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        return np.ascontiguousarray(turn_upright(_decode_with_opencv(data, header, flags, True), header.orientation))
    white = unusual_white(data)
    if white is None:
        pixels = _decode_with_opencv(data, header, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH, True)
        if pixels.dtype == np.uint16:
            pixels = (depth or BitDepth()).to_8_bits(pixels, place)
        return np.ascontiguousarray(pixels)
    pixels = cv2.convertScaleAbs(_decode_with_opencv(data, header, cv2.IMREAD_UNCHANGED, True), alpha=255.0 / white)
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR) if pixels.ndim == 2 else pixels)


def decode_camera(data: bytes, max_pixels: int = MAX_IMAGE_PIXELS) -> np.ndarray:
    """Decodes a camera's JPEG or PNG picture as it is. The orientation in it is ignored: the camera's size counts.

    Args:
        data: The whole picture.
        max_pixels: Largest number of pixels.

    Returns:
        uint8 or uint16 [height, width] or [height, width, 3 or 4], in BGR order.

    Raises:
        InvalidFile: The picture is refused or damaged.
    """
    header = check_picture(data, max_pixels, CAMERA_KINDS)
    if header.kind == JPEG:
        return _decode_jpeg(data, header)
    return _decode_with_opencv(data, header, cv2.IMREAD_UNCHANGED, False)


def decode_mask(data: bytes, max_pixels: int = MAX_IMAGE_PIXELS) -> np.ndarray:
    """Decodes a PNG picture as it is.

    Args:
        data: The whole picture.
        max_pixels: Largest number of pixels.

    Returns:
        uint8 or uint16 [height, width] or [height, width, 3 or 4], in BGR order.

    Raises:
        InvalidFile: The picture is refused or damaged.
    """
    return _decode_with_opencv(data, check_picture(data, max_pixels, (PNG,)), cv2.IMREAD_UNCHANGED, True)


def _decode_jpeg(data: bytes, header: PictureHeader) -> np.ndarray:
    pixels = jpeg_decoder().decode(data, header)
    if header.progressive and find_band_damage(data):
        raise InvalidFile(f"{DAMAGED} (coefficients outside of their band)")
    return pixels


def _decode_with_opencv(data: bytes, header: PictureHeader, flags: int, silent: bool) -> np.ndarray:
    """Decodes another format than JPEG, with the messages of its library suppressed if ``silent``."""
    try:
        with close_stderr() if silent else contextlib.nullcontext():
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        pixels = None
    # OpenCV turns some formats upright.
    if pixels is None or sorted(pixels.shape[:2]) != sorted((header.height, header.width)):
        raise InvalidFile(f"{header.kind} image that cannot be decoded, or a damaged one")
    return pixels


def turn_upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """The image as it was seen, by the orientation of EXIF, 1 to 8."""
    if orientation in _TURNS:
        return np.asarray(cv2.rotate(pixels, _TURNS[orientation]))
    if orientation in _MIRRORED:
        return np.asarray(cv2.flip(pixels, _MIRRORED[orientation]))
    if orientation in (5, 7):
        turned = pixels.transpose(1, 0, 2)
        return np.ascontiguousarray(turned if orientation == 5 else turned[::-1, ::-1])
    return pixels
