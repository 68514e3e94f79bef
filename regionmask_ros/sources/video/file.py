"""Frames of a video file."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np

from ...core.frame import Frame
from ...errors import UserError
from ...files.paths import display_path
from ..base import FRAME_ID, Source
from ..pictures.reading import Reading
from .container import CONVERSION, OpenVideo, open_file
from .decoding import Decoder, faults
from .pixels import BgrConverter
from .stamps import Stamps


class VideoFile(Source):
    """A video file. Pixels are in BGR order and upright; stamps are the container's, counted from the first frame.

    A frame that cannot be decoded without errors is dropped, and so is each of those that the container announces and
    that are missing at its end.

    Args:
        path: The file.
        reading: See ``Source``.

    Raises:
        UserError: No frame of the file can be decoded; the message says why.
    """

    def __init__(self, path: str, reading: Reading | None = None) -> None:
        super().__init__(reading)
        self._path = path
        self._decoder: Decoder | None = None
        self.name = os.path.basename(os.path.abspath(path))
        video = self._open()
        try:
            codec = video.stream.codec_context.name
            self.fps, self._time_base = video.fps, video.time_base
            self.frame_count = _count_frames(video)
        finally:
            video.container.close()
        pixels = next((pixels for pixels, _ in self._images() if pixels is not None), None)
        if pixels is None:
            raise UserError(
                f"{display_path(path)}: opens as a video but holds no frame that can be decoded: it is damaged. If it "
                f"plays elsewhere, its codec ({codec}) cannot be decoded here: convert it there: {CONVERSION}")
        self.size_wh = (pixels.shape[1], pixels.shape[0])

    def frames(self) -> Iterator[Frame]:
        """See ``Source``."""
        self.close()
        decoder = self._decoder = Decoder(self._open)
        shown = display_path(self._path)
        for number, (pixels, stamp_ns) in enumerate(self._images(decoder)):
            if pixels is None:
                self.drop(UserError(f"{shown}: frame {number}: damaged"), f"{self._path} {number}")
                continue
            self.note_size((pixels.shape[1], pixels.shape[0]), f"{shown}: frame {number}")
            yield Frame(pixels, "bgr", stamp_ns, FRAME_ID)
        if decoder.missing and self._decoder is decoder:
            self.drop(UserError(f"{shown}: truncated: {decoder.missing} or more frames are missing at its end"),
                      f"{self._path} end", decoder.missing)

    def close(self) -> None:
        """See ``Source``."""
        if self._decoder is not None:
            self._decoder.close()
            self._decoder = None

    def _open(self) -> OpenVideo:
        return open_file(self._path, self.reading.max_pixels)

    def _images(self, decoder: Decoder | None = None) -> Iterator[tuple[np.ndarray | None, int]]:
        """Pixels and stamps of all frames, None for the pixels of a damaged one."""
        stamps, converter = Stamps(self._time_base, self.fps), BgrConverter()
        for frame, time in (decoder or Decoder(self._open)).frames():
            pixels = None
            if frame is not None and frame.width * frame.height <= self.reading.max_pixels:
                try:
                    pixels = converter.convert(frame)
                except faults():
                    pixels = None
            yield pixels, stamps.next(time)


def _count_frames(video: OpenVideo) -> int | None:
    """Number of frames that the container announces, those that an edit list hides left out; None if it does not."""
    stream = video.stream
    seconds = float(stream.duration * stream.time_base) if stream.duration and stream.time_base else 0.0
    if not seconds:
        seconds = (video.container.duration or 0) / 1e6
    by_length = round(min(seconds * video.fps, 1e12))
    if stream.frames > by_length > 0:
        return _count_shown(video)
    return stream.frames or by_length or None


def _count_shown(video: OpenVideo) -> int | None:
    """Reads the whole file without decoding it."""
    try:
        packets = (packet for packet in video.container.demux(video.stream) if packet.size)
        return sum(not packet.is_discard for packet in packets) or None
    except faults():
        return None
