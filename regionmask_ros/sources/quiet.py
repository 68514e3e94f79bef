"""Keeps decoders from writing to the terminal.

A broken file is reported once, by us, in one line. FFmpeg and OpenCV obey switches; libjpeg, libpng and libtiff write
straight to file descriptor 2.
"""

from __future__ import annotations

import contextlib
import os
from typing import Iterator

import cv2

FFMPEG_SILENT = "-8"
OPENCV_SILENT = 0


def quiet_decoders() -> None:
    """Turns the logs of OpenCV and its FFmpeg off, each unless the user has chosen a level in the environment."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", FFMPEG_SILENT)
    if "OPENCV_LOG_LEVEL" not in os.environ:
        cv2.setLogLevel(OPENCV_SILENT)


@contextlib.contextmanager
def stderr_closed() -> Iterator[None]:
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
