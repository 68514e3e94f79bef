"""Videos that a run writes: H.264 in MP4, which players and browsers show, and what a page holds of them."""

from __future__ import annotations

import contextlib
import io
import os
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from ..errors import UserError
from ..files.paths import display_path
from ..sources.video.container import load_pyav

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.stream import VideoStream

CODECS = {
    "libx264": {"preset": "superfast", "crf": "28", "g": "100", "x264-params": "mbtree=1:rc-lookahead=10"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "crf": "36", "b": "0", "g": "100"},
}
"""Encoders and their options, the first one that FFmpeg has is used: H.264, and VP9 where it was built without it.

The tree of macroblocks makes files as small as the preset veryfast does, in 60 % of its time.
"""

THREADS = 2
"""Of the encoder: it works beside the detector."""

_BT601, _STUDIO_RANGE = 6, 1
"""FFmpeg's numbers of what OpenCV converts to."""

EMBEDDED_BYTES = 8 << 20
"""A page holds as much of a video; in a page it grows by a third."""

MAX_RATE_TERM = 1001000
"""Largest denominator of a frame rate, which MP4 stores in 32 bits."""


class VideoWriter:
    """Writes images to an MP4 file of the size of the first one.

    The codec needs even sizes: an odd width or height grows by one pixel, a copy of the last column or row. Images of
    another size than the first are scaled to it.

    Args:
        path: Where to write, ending in .mp4.
        fps: Frames per second.
        name: Name of the file in messages.
    """

    def __init__(self, path: str, fps: float, name: str = "") -> None:
        self._path, self._fps = path, fps
        self._name = display_path(name or path)
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._size_wh = (0, 0)

    def add(self, image: np.ndarray) -> None:
        """Appends one image; the first one opens the file.

        Args:
            image: uint8 [height, width, 3], BGR.

        Raises:
            UserError: The file cannot be written.
        """
        if self._stream is None:
            self._size_wh = (image.shape[1], image.shape[0])
            self._open()
        if (image.shape[1], image.shape[0]) != self._size_wh:
            image = cv2.resize(image, self._size_wh, interpolation=cv2.INTER_AREA)
        odd_w, odd_h = self._size_wh[0] % 2, self._size_wh[1] % 2
        if odd_w or odd_h:
            image = cv2.copyMakeBorder(image, 0, odd_h, 0, odd_w, cv2.BORDER_REPLICATE)
        av = load_pyav()
        self._encode(av.VideoFrame.from_ndarray(cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420), format="yuv420p"))

    def close(self) -> None:
        """Finishes the file.

        Raises:
            UserError: The file cannot be written.
        """
        if self._container is None:
            return
        self._encode(None)
        container, self._container, self._stream = self._container, None, None
        try:
            container.close()
        except load_pyav().error.FFmpegError as error:
            raise self._refusal(error) from None

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            self.close()
        elif self._container is not None:
            container, self._container, self._stream = self._container, None, None
            # Its file is thrown away, perhaps before nothing refers to it any more: PyAV would then print a traceback.
            with contextlib.suppress(load_pyav().error.FFmpegError):
                container.close()

    def _open(self) -> None:
        av = load_pyav()
        name = next((name for name in CODECS if name in av.codecs_available), "")
        if not name:
            raise UserError(f"{self._name}: this FFmpeg has none of the encoders {', '.join(CODECS)}: "
                            "'pip install av==16.1.0', or run without the video")
        width, height = self._size_wh
        try:
            # The index in front: a browser shows the video while it loads.
            container = av.open(f"file:{os.path.abspath(self._path)}", "w", format="mp4",
                                options={"movflags": "faststart"})
            rate = Fraction(self._fps).limit_denominator(MAX_RATE_TERM)
            stream = container.add_stream(name, rate=rate, options=CODECS[name])
        except load_pyav().error.FFmpegError as error:
            raise self._refusal(error) from None
        stream.width, stream.height, stream.pix_fmt = width + width % 2, height + height % 2, "yuv420p"
        stream.codec_context.thread_count = THREADS
        stream.codec_context.colorspace, stream.codec_context.color_range = _BT601, _STUDIO_RANGE
        self._container, self._stream = container, stream

    def _encode(self, frame: object) -> None:
        assert self._container is not None and self._stream is not None, "opened by the first image"
        try:
            for packet in self._stream.encode(frame):  # type: ignore[arg-type]  # PyAV's frame, which has no type here
                self._container.mux(packet)
        except load_pyav().error.FFmpegError as error:
            raise self._refusal(error) from None

    def _refusal(self, error: Any) -> UserError:
        return UserError(f"{self._name}: the video cannot be written: {error.strerror or error}: "
                         "check the folder and its disk, or run without the video")


def read_start(path: str, most: int = EMBEDDED_BYTES) -> tuple[bytes, float | None]:
    """Reads a video for a page: all of it, or as much of its start as fits.

    Args:
        path: A file of `VideoWriter`.
        most: Largest number of bytes.

    Returns:
        Content of an MP4 file, b"" for a video without images; and the seconds that it lasts if it was cut.
    """
    if os.path.getsize(path) <= most:
        return Path(path).read_bytes(), None
    av, buffer, size, end = load_pyav(), io.BytesIO(), 0, 0.0
    with av.open(f"file:{os.path.abspath(path)}") as source, av.open(buffer, "w", format="mp4") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        for packet in source.demux(stream):
            size += packet.size
            # Some is left for the index.
            if packet.dts is None or size > 0.98 * most:
                break
            end = float((packet.pts + (packet.duration or 0)) * packet.time_base)
            packet.stream = copy
            target.mux(packet)
    return buffer.getvalue(), end
