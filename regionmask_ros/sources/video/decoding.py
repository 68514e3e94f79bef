"""Decodes a video frame by frame, and tells damage: by what FFmpeg says of packets and frames, and by what is missing.

FFmpeg plays what is left of a truncated file and stops without an error. So what a container announces (its number of
frames, or its length) is compared with what was read. Streams without such a number can be truncated between two frames
and nobody can tell: MPEG-TS, MPEG-PS, raw streams, and MP4 in fragments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from .container import OpenVideo, load_pyav

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.frame import VideoFrame

SLACK_FRAMES = 2
"""Containers round durations, and some writers count a few frames too many."""

SLACK_S = 0.25
"""Where the announced length can be that of the sound."""

MAX_FAULTS = 100
"""Reading ends after so many faults in a row."""

MAX_MISSING = 1_000_000
"""A damaged header can announce any number of frames."""

_LENGTH_IN_HEADER = ("matroska", "flv", "asf")
"""Formats whose header gives the length of the whole, but no number of frames."""

_COUNT_IN_HEADER = ("mov", "avi")

_ALL_CORES, _ONE_FRAME = "AUTO", "SLICE"
"""How many frames are decoded at a time. With several, an error in the last ones takes good ones along."""


def faults() -> tuple[type[Exception], ...]:
    """What PyAV raises for damaged input."""
    return load_pyav().error.FFmpegError, ValueError, OverflowError, MemoryError, EOFError, UnicodeError


class Decoded(NamedTuple):
    """A frame, or one that is damaged.

    Attributes:
        frame: The frame; None if it cannot be decoded without errors.
        time: When it is shown, in units of the video's ``time_base``; None if that is not known.
    """

    frame: VideoFrame | None
    time: int | None


_DAMAGED = Decoded(None, None)


class _LostFrames(Exception):
    """Frames that were in the decoder were lost by an error at the end."""


class Decoder:
    """All frames of a video, in the order in which they are shown.

    Args:
        open_video: Opens the video at its start.

    Attributes:
        missing: After the last frame: how many more the container announced, or at least 1 where the file ends in the
            middle of one.
    """

    def __init__(self, open_video: Callable[[], OpenVideo]) -> None:
        self._open_video = open_video
        self._video: OpenVideo | None = None
        self._is_closed = False
        self.missing = 0

    def frames(self) -> Iterator[Decoded]:
        """Decodes the video once, from its start.

        Yields:
            The frames, those that are damaged included.
        """
        good = bad = 0
        for threads in (_ALL_CORES, _ONE_FRAME):
            # The second time, what is known already is passed over.
            known_good, known_bad, good, bad = good, bad, 0, 0
            try:
                for decoded in self._decode_once(threads):
                    is_good = decoded.frame is not None
                    good, bad = good + is_good, bad + (not is_good)
                    if good > known_good if is_good else bad > known_bad:
                        yield decoded
                return
            except _LostFrames:
                good, bad = max(good, known_good), max(bad, known_bad)
        yield _DAMAGED

    def close(self) -> None:
        """Closes the file. A running iteration ends at its next frame."""
        self._is_closed = True

    def _decode_once(self, threads: str) -> Iterator[Decoded]:
        video = self._open_video()
        video.stream.thread_type = threads
        progress, is_told = _Progress(video), False
        try:
            for packet in chain(self._packets(video, progress), (None,)):
                for decoded in _decode(video, packet):
                    if self._is_closed:
                        return
                    is_told = is_told or decoded.frame is None
                    yield decoded
            self.missing = progress.missing(is_told)
        finally:
            video.container.close()

    def _packets(self, video: OpenVideo, progress: _Progress) -> Iterator[Packet]:
        """The packets of the video. Faults between them are passed over."""
        errors, in_a_row = faults(), 0
        while in_a_row < MAX_FAULTS:
            try:
                # All streams, because the length of the whole can be that of the sound.
                for packet in video.container.demux():
                    in_a_row = 0
                    # At its end PyAV hands over an empty packet for each stream, all of them as if of the first one.
                    if packet.size:
                        progress.note(packet)
                        if packet.stream_index == video.stream.index:
                            yield packet
                return
            except errors:
                progress.is_cut = True
                in_a_row += 1


def _decode(video: OpenVideo, packet: Packet | None) -> Iterator[Decoded]:
    """The frames that a packet completes; without a packet those that are left in the decoder."""
    try:
        frames = video.stream.decode(packet)
    except faults():
        if packet is None:
            raise _LostFrames from None
        yield _DAMAGED
        return
    for frame in frames:
        yield Decoded(None if frame.is_corrupt else frame, video.time_of(frame))


class _Progress:
    """How far a video was read, compared with what its container announces."""

    def __init__(self, video: OpenVideo) -> None:
        container, stream = video.container, video.stream
        self._fps, self._index, self._is_alone = video.fps, stream.index, len(container.streams) == 1
        self._announced = max(0, stream.frames)
        self._format = container.format.name.split(",")[0]
        start_s = (container.start_time or 0) / 1e6
        self._end_s = start_s + (container.duration or 0) / 1e6
        if self._format == "mov" and stream.duration and stream.time_base:
            self._end_s = float((stream.duration + (stream.start_time or 0)) * stream.time_base)
        elif self._format == "avi":
            self._end_s = self._announced / self._fps
        self._packets, self._last, self._others_s = 0, 0, 0.0
        self._time_base = video.time_base
        self.is_cut = False

    def note(self, packet: Packet) -> None:
        """Counts a packet of any stream."""
        is_ours = packet.stream_index == self._index
        self._packets += is_ours
        self.is_cut = self.is_cut or (is_ours and packet.is_corrupt)
        last = packet.pts if packet.pts is not None else packet.dts
        if last is None:
            return
        if is_ours:
            self._last = max(self._last, last + (packet.duration or 0))
        elif self._format in _LENGTH_IN_HEADER and packet.time_base:
            self._others_s = max(self._others_s, float((last + (packet.duration or 0)) * packet.time_base))

    def missing(self, is_told: bool) -> int:
        """Counts the frames that were announced and are not there.

        Args:
            is_told: Whether a damaged frame was found, which can be the one at which the file is cut.

        Returns:
            Their number.
        """
        rest_s = self._end_s - max(float(self._last * self._time_base), self._others_s)
        by_length = round(max(0.0, min(rest_s * self._fps, MAX_MISSING)))
        if self._format in _COUNT_IN_HEADER and self._announced:
            # An edit list shortens the length, and sample tables can hold more than it shows: damage lacks both.
            count, slack = min(self._announced - self._packets, by_length), SLACK_FRAMES if self._format == "avi" else 0
        elif self._format in _LENGTH_IN_HEADER:
            count, slack = by_length, SLACK_FRAMES if self._is_alone else max(SLACK_FRAMES, round(SLACK_S * self._fps))
        else:
            count, slack = 0, 0
        least = int(self.is_cut and not is_told)
        return max(count, least) if count > (0 if self.is_cut else slack) else least
