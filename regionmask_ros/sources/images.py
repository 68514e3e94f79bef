"""Frames from image files, in a list or in a folder."""

from __future__ import annotations

import os
from typing import Iterator, Sequence

import cv2
import numpy as np

from ..errors import UserError
from ..frames import Frame
from .naming import natural_key, shown
from .picture_file import damage_of, pixel_maximum
from .quiet import stderr_closed
from .source import FRAME_ID, stamp_of

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
        first = read_picture(self._files[0])
        self.size_wh = (first.shape[1], first.shape[0])

    def frames(self) -> Iterator[Frame]:
        """See Source. Pixels are in BGR order, stamps count from 0 at ``fps``."""
        self._open = True
        for index, file in enumerate(self._files):
            if not self._open:
                return
            yield Frame(read_picture(file), "bgr", stamp_of(index, self.fps), FRAME_ID)

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
        super().__init__(_picture_files(path), os.path.basename(os.path.abspath(path)), fps)


def read_picture(path: str) -> np.ndarray:
    """Decodes one image file completely: uint8 [height, width, 3], BGR. Raises UserError when that is impossible."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise UserError(f"{shown(path)}: cannot be read: {error.strerror or error}") from None
    damage = damage_of(data)
    if damage:
        raise UserError(f"{shown(path)}: {damage}")
    maximum = pixel_maximum(data[:HEAD_BYTES])
    flags = cv2.IMREAD_COLOR if maximum is None else cv2.IMREAD_UNCHANGED
    try:
        with stderr_closed():
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise UserError(f"{shown(path)}: not an image that can be decoded, or a damaged one")
    if maximum is not None:
        pixels = cv2.convertScaleAbs(pixels, alpha=255.0 / maximum)
        pixels = cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR) if pixels.ndim == 2 else pixels
    return np.ascontiguousarray(pixels)


def _picture_files(path: str) -> list[str]:
    try:
        names = sorted(os.listdir(path), key=natural_key)
    except OSError as error:
        raise UserError(f"{shown(path)}: cannot be read: {error.strerror or error}") from None
    names = [name for name in names if name.lower().endswith(SUFFIXES) and not name.startswith(".")]
    files = [file for file in (os.path.join(path, name) for name in names) if os.path.isfile(file)]
    if not files:
        raise UserError(f"{shown(path)}: no image in this folder ({' '.join(SUFFIXES)})")
    for file in files:
        if os.path.getsize(file) == 0:
            raise UserError(f"{shown(file)}: empty file")
    return files
