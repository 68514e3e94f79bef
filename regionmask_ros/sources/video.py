"""Frames of a video file, decoded by OpenCV."""

from __future__ import annotations

import os
from collections.abc import Iterator

import cv2
import numpy as np

from ..core.frame import Frame
from ..errors import UserError
from ..files.paths import display_path
from .base import FRAME_ID, Source, frame_stamp_ns
from .container import check_container

DEFAULT_FPS = 25.0
"""Rate of a video without a rate, or with an impossible one."""

MAX_FPS = 1000.0

COMPLETE_SHARE = 0.9
"""A video with less than this share of the frames that it announces is damaged. Some writers count a few too many."""


class VideoFile(Source):
    """A video file. Pixels are in BGR order, and stamps count from 0 at ``fps``.

    Args:
        path: The file.

    Raises:
        UserError: The file is not a complete video with at least one frame.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._capture: cv2.VideoCapture | None = None
        counts_frames = check_container(path)
        self.name = os.path.basename(os.path.abspath(path))
        capture = self._open()
        try:
            first = _read(capture)
            if first is None:
                raise UserError(f"{display_path(path)}: opens as a video but holds no frame that can be decoded")
            fps = capture.get(cv2.CAP_PROP_FPS)
            count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        finally:
            capture.release()
        self.fps = fps if 0.0 < fps <= MAX_FPS else DEFAULT_FPS
        self.frame_count = int(count) if 0 < count < 1e12 else None
        self.size_wh = (first.shape[1], first.shape[0])
        # Other containers only give a duration, often that of the sound, which proves no damage.
        self._min_frames = COMPLETE_SHARE * self.frame_count if self.frame_count and counts_frames else 1

    def frames(self) -> Iterator[Frame]:
        """See ``Source``."""
        self.close()
        capture = self._capture = self._open()
        index = 0
        while self._capture is capture:
            pixels = _read(capture)
            if pixels is None:
                break
            yield Frame(pixels, "bgr", frame_stamp_ns(index, self.fps), FRAME_ID)
            index += 1
        else:
            return
        self.close()
        if index < self._min_frames:
            raise UserError(
                f"{display_path(self._path)}: ends after {index} of {self.frame_count or 'some'} frames: "
                "damaged or truncated"
            )

    def close(self) -> None:
        """See ``Source``."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    def _open(self) -> cv2.VideoCapture:
        backends = cv2.videoio_registry.getBackends()
        api = cv2.CAP_FFMPEG if cv2.CAP_FFMPEG in backends else cv2.CAP_ANY
        try:
            # An absolute path, because FFmpeg would read "a:b.mp4" as the protocol a.
            capture = cv2.VideoCapture(os.path.abspath(self._path), api)
            opened = capture.isOpened()
        except cv2.error:
            opened = False
        if not opened:
            raise UserError(f"{display_path(self._path)}: not a video that OpenCV can open")
        return capture


def _read(capture: cv2.VideoCapture) -> np.ndarray | None:
    """The next image, uint8 [height, width, 3] BGR, or None at the end."""
    try:
        is_decoded, pixels = capture.read()
    except cv2.error:
        return None
    return np.ascontiguousarray(pixels) if is_decoded and pixels.ndim == 3 and pixels.shape[2] == 3 else None
