"""The annotated video."""

from __future__ import annotations

import os

import cv2
import numpy as np

from ..errors import UserError
from ..sources.naming import shown
from ..sources.quiet import quiet_decoders

CODEC = "mp4v"
"""MPEG-4 part 2: the one that every build of OpenCV can write into an MP4 file."""


class VideoWriter:
    """Writes pictures to an MP4 file, which starts with the first picture and has its size.

    The codec wants even sizes: an odd width or height grows by one pixel, a copy of the last column or row. Pictures of
    another size than the first are scaled to it.

    path: where to write, ending in .mp4. name: what messages call it.
    """

    def __init__(self, path: str, fps: float, name: str = "") -> None:
        self._path, self._fps = path, fps
        self._name = shown(name or path)
        self._writer: cv2.VideoWriter | None = None
        self._size_wh = (0, 0)
        self._count = 0

    def add(self, picture: np.ndarray) -> None:
        """Appends one picture, uint8 [height, width, 3], BGR. Raises UserError when the video cannot be started."""
        if self._writer is None:
            self._size_wh = (picture.shape[1], picture.shape[0])
            self._writer = self._start()
        if (picture.shape[1], picture.shape[0]) != self._size_wh:
            picture = cv2.resize(picture, self._size_wh, interpolation=cv2.INTER_AREA)
        odd_w, odd_h = self._size_wh[0] % 2, self._size_wh[1] % 2
        if odd_w or odd_h:
            picture = cv2.copyMakeBorder(picture, 0, odd_h, 0, odd_w, cv2.BORDER_REPLICATE)
        self._writer.write(picture)
        self._count += 1

    def close(self) -> None:
        """Finishes the file. Raises UserError when it does not hold every picture: OpenCV itself says nothing."""
        if self._writer is None:
            return
        self._writer.release()
        self._writer = None
        capture = cv2.VideoCapture(os.path.abspath(self._path))
        held = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        capture.release()
        if held != self._count:
            held = max(0, held)
            raise UserError(f"{self._name}: only {held} of {self._count} pictures were written: is the disk full?")

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            self.close()
        elif self._writer is not None:
            self._writer.release()
            self._writer = None

    def _start(self) -> cv2.VideoWriter:
        quiet_decoders()
        width, height = self._size_wh
        even = (width + width % 2, height + height % 2)
        writer = cv2.VideoWriter(os.path.abspath(self._path), cv2.VideoWriter_fourcc(*CODEC), self._fps, even)
        if not writer.isOpened():
            raise UserError(
                f"{self._name}: OpenCV cannot write an MP4 video of {width}x{height} here: "
                "check the folder, or go without the video"
            )
        return writer
