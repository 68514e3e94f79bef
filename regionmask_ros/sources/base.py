"""Keeps decoders from writing to the terminal.

A broken file is reported once, by us, in one line. FFmpeg and OpenCV obey switches; libjpeg, libpng and libtiff write
straight to file descriptor 2.

What every source of pictures offers.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Protocol

import cv2

from ..core.frame import Frame

FFMPEG_SILENT = "-8"
OPENCV_SILENT = 0


def silence_decoders() -> None:
    """Turns the logs of OpenCV and its FFmpeg off, each unless the user has chosen a level in the environment."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", FFMPEG_SILENT)
    if "OPENCV_LOG_LEVEL" not in os.environ:
        cv2.setLogLevel(OPENCV_SILENT)


@contextlib.contextmanager
def close_stderr() -> Iterator[None]:
    """File descriptor 2 leads nowhere inside the block, for C libraries that know no switch.

    The descriptor belongs to the whole process: keep the block as short as one call of a decoder.
    """
    try:
        saved = os.dup(2)
    except OSError:
        yield
        return
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


FRAME_ID = "camera"
"""The camera's coordinate frame: files do not tell one."""


class Source(Protocol):
    """A sequence of pictures with time stamps.

    name: file or folder name, without the way to it.
    fps: frames per second at which the pictures were taken, or are to be shown.
    frame_count: number of frames that the source promises, None when it cannot know.
    size_wh: width and height of the first frame in pixels.
    """

    name: str
    fps: float
    frame_count: int | None
    size_wh: tuple[int, int]

    def frames(self) -> Iterator[Frame]:
        """All frames from the first one, each time it is called; one iteration at a time.

        Raises UserError, after the last good frame, when a frame cannot be decoded or the video ends early.
        """

    def close(self) -> None:
        """Releases files. An iteration that is under way ends."""

    def __enter__(self) -> Source: ...

    def __exit__(self, *exception: object) -> None: ...


def frame_stamp_ns(index: int, fps: float) -> int:
    """Time of the frame of that index, in nanoseconds from the first one."""
    return round(index * 1e9 / fps)
