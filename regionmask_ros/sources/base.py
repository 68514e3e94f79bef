"""The interface of all image sources, and how decoders are kept from writing to the terminal.

A damaged file is reported once, by this program, in one line. FFmpeg and OpenCV have settings for that. libjpeg, libpng
and libtiff write to file descriptor 2 in any case.
"""

from __future__ import annotations

import contextlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TypeVar

import cv2

from ..core.frame import Frame
from ..errors import UserError

FFMPEG_SILENT = "-8"
OPENCV_SILENT = 0

PROBED_IMAGES = 30
"""Where damaged images are passed over, one of so many first ones must be whole."""

FRAME_ID = "camera"
"""The camera's coordinate frame for sources that do not name one."""

_AnySource = TypeVar("_AnySource", bound="Source")


class Source(ABC):
    """A sequence of images with time stamps; a context manager.

    Attributes:
        name: Name of the file or folder, without its path.
        fps: Frames per second at which the images were taken, or shall be played.
        frame_count: Number of frames that the source announces; None when it cannot know.
        size_wh: Width and height of the first frame in pixels.
        dropped: Number of images that could not be decoded and were passed over; 0 where they end the iteration.
        first_drop: Why the first of them was dropped.
    """

    name: str
    fps: float
    frame_count: int | None
    size_wh: tuple[int, int]
    dropped: int = 0
    first_drop: str = ""

    def drop(self, error: UserError) -> None:
        """Counts an image that cannot be decoded."""
        self.dropped += 1
        self.first_drop = self.first_drop or str(error)

    @abstractmethod
    def frames(self) -> Iterator[Frame]:
        """All frames, from the first one at each call. Only the newest iteration continues.

        Yields:
            The frames, in the order in which they were taken.

        Raises:
            UserError: After the last good frame: a frame cannot be decoded, or the source ends early.
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
