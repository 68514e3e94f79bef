"""Frames from image files, in a list or in a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import numpy as np

from ..core.frame import Frame
from ..errors import InvalidFile, UserError
from ..files.paths import display_path, natural_key
from ..files.safe_read import open_regular
from .base import FRAME_ID, PROBED_IMAGES, Source, frame_stamp_ns
from .pictures.decode import decode_color, read_picture
from .pictures.header import MAX_IMAGE_PIXELS

DEFAULT_FPS = 10.0
"""Rate of image files, which have none of their own: 10 per second, as in most recorded sequences (KITTI, PETS)."""

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm")


class ImageFiles(Source):
    """Image files in the given order. Pixels are in BGR order, and stamps count from 0 at ``fps``.

    Images may differ in size. Gray images become BGR, 16-bit images lose their low byte, transparency is ignored, and
    the camera's EXIF orientation is applied.

    Args:
        files: Paths, at least one.
        name: The source's name.
        fps: Frames per second.
        max_pixels: Largest number of pixels of an image.
        skip_damaged: Whether images that cannot be decoded are passed over and counted. Otherwise they are errors.

    Raises:
        UserError: The first image cannot be decoded; with ``skip_damaged``, none of the first ``PROBED_IMAGES``.
    """

    def __init__(
        self, files: Sequence[str], name: str, fps: float = DEFAULT_FPS, max_pixels: int = MAX_IMAGE_PIXELS,
        skip_damaged: bool = False,
    ) -> None:
        self._open, self._max_pixels, self._skip_damaged = False, max_pixels, skip_damaged
        self._files = files
        self.name = name
        self.fps = fps
        self.frame_count: int | None = len(self._files)
        self.size_wh = self._find_size()

    def frames(self) -> Iterator[Frame]:
        """See ``Source``."""
        self._open = True
        for index, file in enumerate(self._files):
            if not self._open:
                return
            try:
                pixels = read_image(file, self._max_pixels)
            except UserError as error:
                if not self._skip_damaged:
                    raise
                self.drop(error)
                continue
            yield Frame(pixels, "bgr", frame_stamp_ns(index, self.fps), FRAME_ID)

    def close(self) -> None:
        """See ``Source``."""
        self._open = False

    def _find_size(self) -> tuple[int, int]:
        """Width and height of the first image that can be decoded."""
        probed = self._files[:PROBED_IMAGES if self._skip_damaged else 1]
        for file in probed:
            try:
                height, width = read_image(file, self._max_pixels).shape[:2]
            except UserError:
                if file == probed[-1]:
                    raise
                continue
            return width, height
        raise AssertionError("there is at least one file")


class ImageFolder(ImageFiles):
    """The images of a folder, in natural order of their names.

    Files with other suffixes, hidden files and subfolders are ignored.

    Args:
        path: The folder.
        fps: Frames per second.
        max_pixels: Largest number of pixels of an image.
        skip_damaged: See ``ImageFiles``.

    Raises:
        UserError: There is no image, one is empty, or the first cannot be decoded.
    """

    def __init__(
        self, path: str, fps: float = DEFAULT_FPS, max_pixels: int = MAX_IMAGE_PIXELS, skip_damaged: bool = False,
    ) -> None:
        super().__init__(list_images(path), os.path.basename(os.path.abspath(path)), fps, max_pixels, skip_damaged)


def read_image(path: str, max_pixels: int = MAX_IMAGE_PIXELS) -> np.ndarray:
    """Decodes one image file completely.

    Args:
        path: The file.
        max_pixels: Largest number of pixels.

    Returns:
        uint8 [height, width, 3] in BGR order, C-contiguous.

    Raises:
        UserError: The file cannot be read, is damaged, is not an image, or has too many pixels.
    """
    try:
        with open_regular(path) as file:
            data = read_picture(file, max_pixels)
        return decode_color(data, max_pixels)
    except InvalidFile as refused:
        raise refused.about(display_path(path)) from refused


def list_images(path: str) -> list[str]:
    """Lists the images of a folder.

    Args:
        path: The folder.

    Returns:
        Their paths, in natural order of their names.

    Raises:
        UserError: The folder cannot be read or has no image, or one is empty.
    """
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
