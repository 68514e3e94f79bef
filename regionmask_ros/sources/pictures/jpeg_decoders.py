"""Decoders of JPEG images that report damage.

libjpeg fills what is missing with gray, and says so in a warning only. OpenCV drops the warnings, so a damaged image
looks like a good one. simplejpeg and the TurboJPEG library report them. All three give the same pixels.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import cv2
import numpy as np

from ...errors import InvalidFile
from .header import PictureHeader

DAMAGED = "damaged JPEG image"
MISSING = (
    "JPEG images with damage inside are not noticed: install simplejpeg (pip install simplejpeg) or libturbojpeg "
    "(apt install libturbojpeg)")
"""The line for a computer that has neither library."""

TURBO_LIBRARIES = ("libturbojpeg.so.0", "libturbojpeg.so", "libturbojpeg.dylib")
_TURBO_BGR, _TURBO_CMYK = 1, 11
"""Pixel formats TJPF_BGR and TJPF_CMYK."""
_STOP_ON_WARNING = 8192

Decode = Callable[[bytes, PictureHeader], np.ndarray]


class JpegDecoder(NamedTuple):
    """A decoder.

    Attributes:
        name: The library.
        decode: Makes uint8 [height, width, 3], BGR, of a whole image whose header has been checked. Raises InvalidFile.
        sees_damage: Whether it notices damage inside a scan.
    """

    name: str
    decode: Decode
    sees_damage: bool


@cache
def jpeg_decoder() -> JpegDecoder:
    """The best decoder that is installed."""
    return next(found for make in (make_simplejpeg, make_turbojpeg, make_opencv) if (found := make()) is not None)


def make_simplejpeg() -> JpegDecoder | None:
    """The decoder of the package simplejpeg; None when it is not installed, or built for another NumPy."""
    try:
        from simplejpeg import decode_jpeg
    except (ImportError, ValueError, AttributeError):
        return None

    def decode(data: bytes, header: PictureHeader) -> np.ndarray:
        inks = header.channels == 4
        try:
            pixels: np.ndarray = decode_jpeg(data, "CMYK" if inks else "BGR")
        except ValueError as error:
            raise InvalidFile(f"{DAMAGED} ({error})") from error
        return _decode_with_opencv(data, header) if inks else pixels

    return JpegDecoder("simplejpeg", decode, True)


def make_turbojpeg() -> JpegDecoder | None:
    """The decoder of the system's TurboJPEG library; None when there is none."""
    library = _load_turbojpeg()
    if library is None:
        return None

    def decode(data: bytes, header: PictureHeader) -> np.ndarray:
        inks = header.channels == 4
        pixels = np.empty((header.height, header.width, 4 if inks else 3), np.uint8)
        handle = library.tjInitDecompress()
        if not handle:
            raise InvalidFile("the TurboJPEG library does not start")
        try:
            failed = library.tjDecompress2(
                handle, data, len(data), pixels.ctypes.data, header.width, pixels.strides[0], header.height,
                _TURBO_CMYK if inks else _TURBO_BGR, _STOP_ON_WARNING)
            reason = library.tjGetErrorStr2(handle).decode("utf-8", "replace") if failed else ""
        finally:
            library.tjDestroy(handle)
        if failed:
            raise InvalidFile(f"{DAMAGED} ({reason})")
        return _decode_with_opencv(data, header) if inks else pixels

    return JpegDecoder("libturbojpeg", decode, True)


def make_opencv() -> JpegDecoder:
    """OpenCV's decoder, which is always there."""
    return JpegDecoder("OpenCV", _decode_with_opencv, False)


def _decode_with_opencv(data: bytes, header: PictureHeader) -> np.ndarray:
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise InvalidFile(DAMAGED)
    return pixels


def _load_turbojpeg() -> ctypes.CDLL | None:
    for name in TURBO_LIBRARIES:
        try:
            library = ctypes.CDLL(name)
            library.tjInitDecompress.restype = ctypes.c_void_p
            library.tjDestroy.argtypes = [ctypes.c_void_p]
            library.tjGetErrorStr2.argtypes = [ctypes.c_void_p]
            library.tjGetErrorStr2.restype = ctypes.c_char_p
            library.tjDecompress2.argtypes = [
                ctypes.c_void_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_void_p, *[ctypes.c_int] * 5]
        except (OSError, AttributeError):
            continue
        return library
    return None
