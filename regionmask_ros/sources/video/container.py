"""Opens videos with PyAV, that is FFmpeg, within limits.

PyAV replaces OpenCV's reader, because OpenCV hides what is needed: time stamps, packets that are cut short, frames with
errors, the codec's name, the rotation. Both are FFmpeg. PyAV 16.1.0 decodes the same pixels bit for bit (tests compare
them) in the same processor time. The newer 17.1.0 does not: its MPEG-4 decoder rounds in another way.

A video can be hostile. FFmpeg may open the given file and no other, in the formats that are listed here only: a play
list or a subtitle file could name other files. A frame of too many pixels is refused before memory is allocated.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from ...errors import TOO_LARGE, UNSUPPORTED, UserError
from ...files.content import HEAD_BYTES, Family, identify, picture_kind
from ...files.paths import display_path

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

DEMUXERS = (
    "mov,mp4,matroska,webm,avi,asf,flv,mpegts,mpeg,mpegvideo,m4v,h264,hevc,av1,obu,ivf,mjpeg,ogg,mxf,nut,dv,"
    "yuv4mpegpipe,rm,gif")
"""FFmpeg's formats that hold a video by themselves."""

DEFAULT_FPS = 25.0
"""Rate of a video without a rate, or with an impossible one."""

MAX_FPS = 1000.0
MAX_STREAMS = "64"

KEPT_BYTES = 64 << 20
"""Of freed memory: several large images. A larger half is beyond what the C library accepts."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3

CONVERSION = "ffmpeg -i IN -c:v libx264 -crf 18 -pix_fmt yuv420p OUT.mp4"


@dataclass(frozen=True)
class OpenVideo:
    """A video whose frames can be decoded.

    Attributes:
        container: The open file.
        stream: Its best video stream.
        fps: Mean number of frames per second.
    """

    container: InputContainer
    stream: VideoStream
    fps: float

    @property
    def time_base(self) -> Fraction:
        """Unit of time stamps in seconds."""
        return self.stream.time_base or Fraction(1, 1_000_000)

    def time_of(self, frame: VideoFrame) -> int | None:
        """When a frame is shown, in units of ``time_base``; None if the container does not say."""
        # AVI only has the order of decoding, which FFmpeg hands over as presentation times; frames are sorted already.
        return frame.dts if self.container.format.name == "avi" else frame.pts


def open_file(path: str, max_pixels: int) -> OpenVideo:
    """Opens a video file. ``container.close()`` closes it.

    Args:
        path: The file.
        max_pixels: Largest number of pixels of a frame.

    Returns:
        The open video.

    Raises:
        UserError: The file is no video, is damaged so that nothing of it can be decoded, or is of an unknown codec.
    """
    # With the protocol in front of an absolute path, a name such as "a:b.mp4" is no protocol, and "%d" no pattern.
    url, options = f"file:{os.path.abspath(path)}", {"protocol_whitelist": "file", "format_whitelist": DEMUXERS}
    # Before there is one: an interrupt while PyAV is imported leaves a part of it, which cannot name its errors.
    faults = _faults()
    try:
        container = open_container(url, options, form="mjpeg" if _begins_as_jpeg(path) else None)
    except faults:
        try:
            # Read from the start to the end, an MP4 file in fragments needs no whole last one.
            container = open_container(url, {**options, "seekable": "0"})
        except faults:
            raise UserError(f"{display_path(path)}: {_why_not_open(path)}") from None
    return choose_stream(container, display_path(path), max_pixels)


def load_pyav() -> Any:
    """Imports PyAV, which only videos need.

    Returns:
        The module ``av``.

    Raises:
        UserError: It is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise UserError(f"videos need PyAV, which cannot be imported ({error}): run 'make setup', or "
                        "'pip install av==16.1.0'") from None
    return av


def open_container(url: str, options: Mapping[str, str], form: str | None = None) -> InputContainer:
    """Opens what the address names.

    Options are for format and protocol only. PyAV writes beyond its memory when there are options for decoders, and a
    stream is found late.

    Args:
        url: Address, with its protocol.
        options: For FFmpeg's format and protocol.
        form: FFmpeg's name of the format; None: found by the content.

    Returns:
        The open container.

    Raises:
        Exception: See ``decoding.faults``.
    """
    _keep_freed_memory()
    container: InputContainer = load_pyav().open(
        url, format=form, container_options={"max_streams": MAX_STREAMS, **options}, metadata_errors="replace")
    return container


@cache
def _keep_freed_memory() -> None:
    """Tells the C library to keep the memory of images for the next ones.

    Without it, that memory goes back to the system and comes again with every frame, which takes as long as decoding.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)
        mallopt(_M_MMAP_THRESHOLD, KEPT_BYTES // 2)


def choose_stream(container: InputContainer, name: str, max_pixels: int) -> OpenVideo:
    """Chooses the video stream that players show.

    Args:
        container: The open container. It is closed if it has none that can be decoded.
        name: Its name in messages.
        max_pixels: Largest number of pixels of a frame.

    Returns:
        The container with its stream, whose decoder uses several threads.

    Raises:
        UserError: There is no such stream, its codec is not known, or its frames are too large.
    """
    try:
        stream = cast("VideoStream | None", container.streams.best("video"))
        if stream is None or stream.codec_context is None or _is_cover(stream):
            raise UserError(f"{name}: {_why_no_stream(container)}", UNSUPPORTED)
        context = stream.codec_context
        if context.width * context.height > max_pixels:
            raise UserError(f"{name}: a video of {context.width}x{context.height}: more pixels than max_image_pixels "
                            f"allows, {max_pixels}", TOO_LARGE)
        context.options = {"max_pixels": str(max_pixels)}
        stream.thread_type = "AUTO"
        rate = float(stream.average_rate or stream.guessed_rate or 0)
        return OpenVideo(container, stream, rate if 0.0 < rate <= MAX_FPS else DEFAULT_FPS)
    except UserError:
        container.close()
        raise


def _is_cover(stream: VideoStream) -> bool:
    """Whether a stream is the picture that belongs to a sound track."""
    return bool(stream.disposition & type(stream.disposition).attached_pic)


def codec_name(container: InputContainer) -> str:
    """Name of the codec of the first video, as FFmpeg describes it; empty if there is no video."""
    av = load_pyav()
    # FFmpeg only logs it, and PyAV knows no name of a codec without a decoder. No decoder runs now.
    av.logging.set_level(av.logging.INFO)
    try:
        found = re.search(r"Stream #[^\n]*?: Video: (\w+)(?: \((.{4}) /)?", container.dumps_format())  # type: ignore[attr-defined]  # PyAV's stub lacks it
    finally:
        av.logging.set_level(None)
    names = [name for name in found.groups() if name and name != "none"] if found else []
    return names[0] if names else ""


def _why_no_stream(container: InputContainer) -> str:
    if container.streams.video and _is_cover(container.streams.video[0]):
        return "holds sound and a cover picture but no video"
    codec = codec_name(container)
    if codec:
        return f"its codec is not known here: {codec}: convert it where it is: {CONVERSION}"
    if container.streams.audio:
        return "holds sound but no video"
    return "opens as a video but holds no video stream: damaged or truncated"


def _begins_as_jpeg(path: str) -> bool:
    """Whether a file is images of JPEG, one after the other; FFmpeg takes some of them for a single one."""
    with contextlib.suppress(OSError), open(path, "rb") as file:
        return picture_kind(file.read(HEAD_BYTES)) == "JPEG"
    return False


def _why_not_open(path: str) -> str:
    try:
        with open(path, "rb") as file:
            content = identify(file.read(HEAD_BYTES))
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    if content is None or content.family is not Family.VIDEO:
        return "not a video that FFmpeg can open"
    if "MP4" in content.name:
        return ("damaged or truncated video: no index (moov) can be read. A recording that was not finished, or a file "
                "that was not copied whole, lacks it: copy it again, or repair it with 'untrunc'")
    return "damaged or truncated video: nothing in it can be read"


def _faults() -> tuple[type[Exception], ...]:
    from .decoding import faults

    return faults()
