"""Frames from image files, in a list or in a folder."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence

import numpy as np

from ..core.frame import Frame
from ..errors import InvalidFile, UserError
from ..files.content import HEAD_BYTES, identify
from ..files.paths import display_path, natural_key
from ..files.safe_read import open_regular
from .base import FRAME_ID, Source, frame_stamp_ns
from .pictures.decode import decode_color, read_picture
from .pictures.depth import BitDepth
from .pictures.header import MAX_IMAGE_PIXELS
from .pictures.reading import Reading

DEFAULT_FPS = 10.0
"""Rate of image files, which have none of their own: 10 per second, as in most recorded sequences (KITTI, PETS)."""

SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm",
            ".pnm")
NAMED_FOLDERS = 3
NOT_READ = (".heic", ".heif", ".avif", ".gif", ".jp2", ".jxl")
"""Pictures that cannot be decoded: they are dropped and counted, not passed over."""


class ImageFiles(Source):
    """Image files in the given order. Pixels are in BGR order, and stamps count from 0 at ``fps``.

    Images may differ in size. Gray images become BGR, 16-bit images are scaled by what they hold, transparency is
    ignored, and the camera's EXIF orientation is applied.

    Args:
        files: Paths, at least one.
        name: The source's name.
        reading: See ``Source``.
        fps: Frames per second.

    Raises:
        UserError: No image can be decoded; the message says what is wrong with the first one.
    """

    def __init__(
        self, files: Sequence[str], name: str, reading: Reading | None = None, fps: float = DEFAULT_FPS,
    ) -> None:
        super().__init__(reading)
        self._open = False
        self._files = files
        self.name = name
        self.fps = fps
        self.frame_count: int | None = len(self._files)
        self.size_wh = self._find_size()

    def frames(self) -> Iterator[Frame]:
        """See ``Source``."""
        self._open, depth = True, self.reading.new_depth()
        for index, file in enumerate(self._files):
            if not self._open:
                return
            try:
                pixels = read_image(file, self.reading.max_pixels, depth)
            except UserError as error:
                self.drop(error, file)
                continue
            frame = Frame(pixels, "bgr", frame_stamp_ns(index, self.fps), FRAME_ID)
            self.note_size(frame.size_wh, display_path(file))
            yield frame

    def close(self) -> None:
        """See ``Source``."""
        self._open = False

    def _find_size(self) -> tuple[int, int]:
        """Width and height of the first image that can be decoded."""
        first: UserError | None = None
        for file in self._files:
            try:
                height, width = read_image(file, self.reading.max_pixels).shape[:2]
            except UserError as error:
                first = first or error
                continue
            return width, height
        assert first is not None, "there is at least one file"
        if len(self._files) == 1:
            raise first
        raise UserError(f"none of {len(self._files)} images can be used, the first: {first}", first.reason)


class ImageFolder(ImageFiles):
    """The images of a folder, in natural order of their names.

    Files with other suffixes, hidden files and subfolders are ignored.

    Args:
        path: The folder.
        reading: See ``Source``.
        fps: Frames per second.

    Raises:
        UserError: There is no image, or none can be decoded.
    """

    def __init__(self, path: str, reading: Reading | None = None, fps: float = DEFAULT_FPS) -> None:
        super().__init__(list_images(path), os.path.basename(os.path.abspath(path)), reading, fps)


def read_image(path: str, max_pixels: int = MAX_IMAGE_PIXELS, depth: BitDepth | None = None) -> np.ndarray:
    """Decodes one image file completely.

    Args:
        path: The file.
        max_pixels: Largest number of pixels.
        depth: Bits of 16-bit samples; None: those of this image.

    Returns:
        uint8 [height, width, 3] in BGR order, C-contiguous.

    Raises:
        UserError: The file cannot be read, is damaged, is not an image, or has too many pixels.
    """
    try:
        with open_regular(path) as file:
            data = read_picture(file, max_pixels)
        return decode_color(data, max_pixels, depth, display_path(path))
    except InvalidFile as refused:
        raise refused.about(display_path(path)) from refused


def _describe_first(path: str) -> str:
    """What is in a folder without images, as a part of a message; empty if that is not known."""
    names = sorted(os.listdir(path), key=natural_key)
    for name in names:
        with contextlib.suppress(InvalidFile, OSError), open_regular(os.path.join(path, name)) as file:
            found = identify(file.read(HEAD_BYTES))
            if found:
                return f"; {display_path(name)} in it is {found.name}{found.cure and f': {found.cure}'}"
    folders = [name for name in names if os.path.isdir(os.path.join(path, name)) and not name.startswith(".")]
    if folders:
        more = f" and {len(folders) - NAMED_FOLDERS} more" if len(folders) > NAMED_FOLDERS else ""
        return (f"; the folders in it are not searched: give one of them: "
                f"{', '.join(map(display_path, folders[:NAMED_FOLDERS]))}{more}")
    return ""


def list_images(path: str) -> list[str]:
    """Lists the images of a folder.

    Args:
        path: The folder.

    Returns:
        Their paths, in natural order of their names.

    Raises:
        UserError: The folder cannot be read or has no image.
    """
    try:
        names = sorted(os.listdir(path), key=natural_key)
    except OSError as error:
        raise UserError(f"{display_path(path)}: cannot be read: {error.strerror or error}") from None
    names = [name for name in names if name.lower().endswith((*SUFFIXES, *NOT_READ)) and not name.startswith(".")]
    # A link that leads nowhere is an image that cannot be read.
    files = [file for file in (os.path.join(path, name) for name in names)
             if os.path.isfile(file) or (os.path.islink(file) and not os.path.exists(file))]
    if not files:
        raise UserError(f"{display_path(path)}: no image in this folder ({' '.join(SUFFIXES)}){_describe_first(path)}")
    return files
