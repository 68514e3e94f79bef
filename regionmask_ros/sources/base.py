"""The interface of all image sources, and how decoders are kept from writing to the terminal.

A damaged file is reported once, by this program, in one line. FFmpeg and OpenCV have settings for that. libjpeg, libpng
and libtiff write to file descriptor 2 in any case.
"""

from __future__ import annotations

import contextlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import cv2

from ..core.frame import Frame
from ..errors import UserError
from .pictures.reading import Reading

FFMPEG_SILENT = "-8"
OPENCV_SILENT = 0

FRAME_ID = "camera"
"""The camera's coordinate frame for sources that do not name one."""

_AnySource = TypeVar("_AnySource", bound="Source")


class Source(ABC):
    """A sequence of images with time stamps; a context manager.

    An image that cannot be used is dropped and counted. It keeps its number, so that labels still fit the others.

    Args:
        reading: How images are read, and where dropped ones are counted; None: as by default, on an account of its own.

    Attributes:
        name: Name of the file or folder, without its path.
        fps: Frames per second at which the images were taken, or shall be played.
        frame_count: Number of frames that the source announces; None when it cannot know.
        size_wh: Width and height of the first frame in pixels.
        dropped: Number of images that were dropped, in all iterations together.
        reading: How images are read, with the account of the dropped ones.
    """

    name: str
    fps: float
    frame_count: int | None
    size_wh: tuple[int, int]
    dropped: int

    def __init__(self, reading: Reading | None = None) -> None:
        self.reading = reading or Reading()
        self.dropped = 0
        self._sizes: set[tuple[int, int]] = set()

    def drop(self, error: UserError, place: str = "", count: int = 1) -> None:
        """Counts an image that cannot be used; to be called while the next good one is searched.

        Args:
            error: Names the image, and says what is wrong with it.
            place: What only this image is called; empty: the text of the error.
            count: How many images have the error.
        """
        self.dropped += count
        self.reading.dropped.add(error, place, count)

    def note_size(self, size_wh: tuple[int, int], place: str) -> None:
        """Tells the user about an image of another size than those before, once a size.

        Args:
            size_wh: Width and height.
            place: Names the image.
        """
        if size_wh in self._sizes:
            return
        if self._sizes:
            self.reading.tell(f"{place}: {size_wh[0]}x{size_wh[1]} pixels, another size than the images before")
        self._sizes.add(size_wh)

    def numbered(self) -> Iterator[tuple[int, Frame]]:
        """All frames with their numbers in the source, from 0. A dropped image has a number, too.

        Yields:
            Number and frame.
        """
        before = self.dropped
        for index, frame in enumerate(self.frames()):
            yield index + self.dropped - before, frame

    def count_frames(self) -> int:
        """The number of frames that the source announces; it is read once where it announces none."""
        return self.frame_count or sum(1 for _ in self.frames())

    def facts(self) -> Mapping[str, Any]:
        """What a summary says about the source, by key."""
        return {}

    @abstractmethod
    def frames(self) -> Iterator[Frame]:
        """All frames, from the first one at each call. Only the newest iteration continues.

        Yields:
            The frames, in the order in which they were taken.

        Raises:
            UserError: After the last good frame: the source ends early.
        """

    @abstractmethod
    def close(self) -> None:
        """Closes files. A running iteration ends."""

    def __enter__(self: _AnySource) -> _AnySource:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def frame_stamp_ns(index: int, fps: float) -> int:
    """Time of a frame after the first one, in nanoseconds."""
    return round(index * 1e9 / fps)


def silence_decoders() -> None:
    """Turns the logs of OpenCV and of its FFmpeg off, each unless the environment sets its level."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", FFMPEG_SILENT)
    if "OPENCV_LOG_LEVEL" not in os.environ:
        cv2.setLogLevel(OPENCV_SILENT)


@contextlib.contextmanager
def close_stderr() -> Iterator[None]:
    """Inside the block, file descriptor 2 is /dev/null, for C libraries whose messages cannot be turned off.

    The descriptor belongs to the whole process: keep the block as short as one call of a decoder.

    Yields:
        Nothing.
    """
    try:
        saved = os.dup(2)
    except OSError:
        yield
        return
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 2)
        os.close(null)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
